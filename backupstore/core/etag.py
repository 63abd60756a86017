"""The digest that S3 gives to an object sent in parts: the MD5 of the parts' MD5s, a dash, and their number.

Stock sends every file of 20 MB and more so. Computed here while the file is read anyway, it spares the download of all
that stock has shipped, when we go on from its bucket, or from ours with an empty memory.
"""

from __future__ import annotations

import hashlib
import re

_ETAG = re.compile(r"[0-9a-f]{32}-([1-9][0-9]{0,4})")
_MIB = 1 << 20
_USUAL = (50 * _MIB, 8 * _MIB)
"""Stock's default, and that of the library below it."""


class EtagOfParts:
    """Fed with a file's pieces in order; ``hexdigest`` is the ETag for parts of that size, in bytes."""

    def __init__(self, part_size: int) -> None:
        self._part_size = part_size
        self._finished = b""
        self._part = hashlib.md5(usedforsecurity=False)
        self._room = part_size

    def update(self, piece: bytes) -> None:
        """Take the next bytes."""
        view = memoryview(piece)
        while view:
            if not self._room:
                self._next()
            taken = view[: self._room]
            self._part.update(taken)
            self._room -= len(taken)
            view = view[len(taken) :]

    def hexdigest(self) -> str:
        """The ETag, without quotes. An object without bytes has one part."""
        digests = self._finished + self._part.digest()
        number = len(digests) // self._part.digest_size
        return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{number}"

    def _next(self) -> None:
        self._finished += self._part.digest()
        self._part, self._room = hashlib.md5(usedforsecurity=False), self._part_size


def etag_like(etag: str | None, size: int, part_size: int) -> EtagOfParts | None:
    """What to compute in order to compare with an ETag; None when that is not of parts, or of parts of unknown size.

    ``part_size`` as configured is tried first, then what stock and its library use by default.
    """
    match = _ETAG.fullmatch(etag or "")
    if match is None:
        return None
    for candidate in (part_size, *_USUAL):
        if max(1, -(-size // candidate)) == int(match[1]):
            return EtagOfParts(candidate)
    return None
