"""Asking before something that cannot be taken back, in one way for all commands."""

from __future__ import annotations

import sys

from backupstore.core.shown import harmless
from backupstore.errors import Refused


def demand_name(  # what is told, what is typed, and how both are called
    what: str,
    name: str,
    *,
    said: bool,
    operation: str,
    called: str = "the name of the backup",
    to: str = "begin",
    nobody: str = "Add -y, if that is what you want.",
) -> None:
    """Tell what is about to happen, and go on only when somebody types the name. Refused otherwise.

    A yes is typed too easily, and beside the wrong backup. ``said``: it was said before, by an option. ``called``: what
    has to be typed, ``to`` have what done; ``nobody``: the hint where nobody can be asked.
    """
    if said:
        return
    if not sys.stdin.isatty():
        raise Refused(
            f"{what} Nobody can be asked here.",
            hint=nobody,
            operation=operation,
        )
    sys.stderr.write(harmless(f"{what}\nType {called} to {to}: "))
    sys.stderr.flush()
    if sys.stdin.readline().strip() != name:
        raise Refused(
            f"That is not {called}: nothing was done.",
            hint=f"Run it again, and type {name}.",
            operation=operation,
        )
