"""Programs that do not outlive who started them, even when that is killed by SIGKILL.

A test that is killed leaves its agents and its `serve` running otherwise: they go on asking a bucket for ever.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1  # linux/prctl.h; kept when a program takes the place of another (prctl(2))
_TIE = (
    "import ctypes, os, sys; "
    f"ctypes.CDLL(None).prctl({PR_SET_PDEATHSIG}, {int(signal.SIGKILL)}); "
    "os.getppid() == int(sys.argv[1]) or sys.exit('who started this was gone before it began'); "
    "os.execvp(sys.argv[2], sys.argv[2:])"
)


def leashed(command: Sequence[str]) -> list[str]:
    """The same command, killed at once when the thread that started it is no more."""
    return [sys.executable, "-c", _TIE, str(os.getpid()), *command]
