"""The command line in a process that was forked from one which has everything imported."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from shipper.__main__ import run


def play(arguments: Sequence[str], *, out: str, err: str) -> int:
    """``medusa-shipper <arguments>``: nothing to read, and what it says goes to these two files. The exit code."""
    writing = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    for number, path, flags in ((0, os.devnull, os.O_RDONLY), (1, out, writing), (2, err, writing)):
        os.dup2(os.open(path, flags, 0o600), number)
    sys.argv = ["medusa-shipper", *arguments]
    try:
        return run()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
