"""Who lives and who does not: the processes of nodes, and of those that started them.

A pid alone says little, for it may belong to somebody else by now, or to a corpse that nobody
collected. A node is alive if the pid in its file runs something that names the node's directory.
"""

from __future__ import annotations

import time
from pathlib import Path


def identity(pid: int) -> tuple[int, int] | None:
    """The pid and when its process began, in ticks since boot; None if it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else (pid, int(fields[19]))


def node_pid(directory: Path) -> int | None:
    """The pid of the node that lives in this directory, if it runs.

    An empty command line counts too: it is what a process shows in the middle of an exec.
    """
    try:
        pid = int((directory / "pid").read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    ours = not command or f"{directory}/".encode() in command
    return pid if ours and identity(pid) else None


def wait_gone(directory: Path, seconds: float) -> bool:
    """Wait for a node's process to end; tell whether it did."""
    deadline = time.monotonic() + seconds
    while node_pid(directory):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.03)
    return True
