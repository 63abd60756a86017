"""Being killed at any change of the disk: Python's audit hooks tell of each before it is made.

    with dying(trigger, below=base):
        world.deadly(trigger).restore()

A hook can never be removed, so there is one for the whole process, and it is idle outside of the block.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.killing import Trigger

_CHANGES = {
    "os.rename": "disk.rename",
    "os.mkdir": "disk.mkdir",
    "os.rmdir": "disk.rmdir",
    "os.remove": "disk.remove",
    "os.chown": "disk.chown",
    "os.chmod": "disk.chmod",
    "open": "disk.open",
}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class _Watch:
    trigger: Trigger | None = None
    below = ""
    installed = False

    def hook(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.trigger is None or not _CHANGES.get(event):
            return
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & _WRITES):
            return
        path = arguments[0]
        name = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
        # A path relative to an open directory is rmtree's.
        if not name or not name.startswith("/") or name.startswith(self.below):
            # Renames are told apart by the folder they come from: ``disk.rename.aside`` brings old data back.
            kind = f"disk.rename.{Path(name).parent.name}" if event == "os.rename" else _CHANGES[event]
            self.trigger.around(kind, _nothing)(name)


def _nothing(_name: str) -> None:
    pass


_watch = _Watch()


@contextmanager
def dying(trigger: Trigger, below: Path) -> Iterator[None]:
    """Each change of a file below is a call of the trigger, of a kind that begins with ``disk.``."""
    if not _watch.installed:
        sys.addaudithook(_watch.hook)
        _watch.installed = True
    _watch.trigger, _watch.below = trigger, str(below)
    try:
        yield
    finally:
        _watch.trigger = None
