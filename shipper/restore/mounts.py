"""What is mounted where, as the kernel tells: a rename never crosses a mount, not even one of the same file system."""

from __future__ import annotations

import re
from pathlib import Path

_MOUNTINFO = Path("/proc/self/mountinfo")
_MOUNT_POINT = 4
_ESCAPED = re.compile(rb"\\([0-7]{3})")


def mount_points(mountinfo: Path = _MOUNTINFO) -> frozenset[Path]:
    """Every mount point that this process sees; empty where the kernel does not tell."""
    try:
        lines = mountinfo.read_bytes().splitlines()
    except OSError:
        return frozenset()
    fields = (line.split(b" ") for line in lines)
    return frozenset(_path(each[_MOUNT_POINT]) for each in fields if len(each) > _MOUNT_POINT)


def _path(text: bytes) -> Path:
    """Blanks and the like stand in the file as octal numbers."""
    plain = _ESCAPED.sub(lambda match: bytes([int(match[1], 8)]), text)
    return Path(plain.decode("utf-8", "surrogateescape"))
