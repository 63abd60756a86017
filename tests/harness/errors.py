"""What may go wrong in the harness, in one type that a test run shows as it stands.

A missing Java or Maven is an error, never a reason to skip: tests that quietly did not run
look exactly like tests that passed.
"""

from __future__ import annotations

import shutil


class HarnessError(RuntimeError):
    """The harness cannot do what was asked of it; the message says what to do."""


def program(name: str, hint: str) -> str:
    """The full path of a program that must be installed."""
    found = shutil.which(name)
    if found is None:
        raise HarnessError(f"{name} is not on the PATH, and the harness needs it: {hint}")
    return found
