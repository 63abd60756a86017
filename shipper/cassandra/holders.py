"""Which processes still have files open below some directories.

Cassandra closes its ports at once when it is told to stop, and goes on writing its commit log for seconds. Only when no
process holds a file there may the directories be touched. Linux shows the open files of one's own processes to anyone
and of all processes to root: run as another user than Cassandra's, nothing is seen, and ports have to do.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Holder:
    """A process, and one of the files that it has open."""

    pid: int
    command: str
    path: str

    def __str__(self) -> str:
        return f"{self.command} (pid {self.pid})"


def holders(directories: Sequence[Path], *, proc: Path = _PROC) -> tuple[Holder, ...]:
    """Every other process that has a file open there, each with the first one found."""
    starts = tuple(f"{os.path.realpath(directory)}/" for directory in directories)
    found = []
    for pid in _pids(proc):
        path = next((path for path in _open_files(proc / str(pid)) if path.startswith(starts)), None)
        if path is not None and pid != os.getpid():
            found.append(Holder(pid, _command(proc / str(pid)), path))
    return tuple(found)


def _pids(proc: Path) -> list[int]:
    return sorted(int(entry.name) for entry in proc.iterdir() if entry.name.isdigit())


def _open_files(process: Path) -> Iterator[str]:
    """Processes end and close files while we look, and some are not ours to look into."""
    try:
        links = list((process / "fd").iterdir())
    except OSError:
        return
    for link in links:
        try:
            yield str(link.readlink())
        except OSError:
            continue


def _command(process: Path) -> str:
    try:
        return (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "a process"
