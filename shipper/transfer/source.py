"""A file as the bytes of an upload, its digests taken while it is read.

A snapshot's files do not change, as a rule; where one does, the pass that saw the change fails before the store has
taken the last byte, so that a torn object never lands, and the caller reads the file again.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backupstore.errors import Corrupt, NodeTrouble

PIECE = 1 << 20


class Changed(Exception):
    """The file was not the same from the first byte to the last."""


@dataclass(frozen=True, slots=True)
class Digests:
    """Of one whole pass: sha256 in hex, CRC-32 as Cassandra's Digest.crc32 has it, and MD5 in hex where it was asked for."""

    sha256: str
    crc32: int
    md5: str | None


class FileSource:
    """``ports.Source`` over a local file."""

    def __init__(self, path: Path, size: int, mtime_ns: int, *, md5: bool = False) -> None:
        self.path = path
        self._size = size
        self._mtime_ns = mtime_ns
        self._wants_md5 = md5
        self.digests: Digests | None = None

    @property
    def size(self) -> int:
        """Bytes, as the plan saw them."""
        return self._size

    def chunks(self) -> Iterator[bytes]:
        """One pass. Changed when the file is not what the plan saw; Corrupt when the disk cannot read it."""
        self.digests = None
        sha, crc, md5 = hashlib.sha256(), 0, hashlib.md5(usedforsecurity=False) if self._wants_md5 else None
        for piece in self._pieces():
            sha.update(piece)
            crc = zlib.crc32(piece, crc)
            if md5 is not None:
                md5.update(piece)
            yield piece
        self.digests = Digests(sha.hexdigest(), crc, md5.hexdigest() if md5 else None)

    def digest(self) -> Digests:
        """Read the file for its digests alone."""
        for _ in self.chunks():
            pass
        return self.taken()

    def taken(self) -> Digests:
        """The digests of the last whole pass."""
        if self.digests is None:
            raise Corrupt(f"{self.path} was not read to its end.", operation="upload")
        return self.digests

    def _pieces(self) -> Iterator[bytes]:
        try:
            handle = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise NodeTrouble(
                f"{self.path} is gone: somebody cleared the snapshot while it was being shipped.",
                hint="Find out who runs 'nodetool clearsnapshot', then run the backup again with the same name.",
                operation="upload",
            ) from error
        left, held = self._size, b""
        try:
            # The last piece is given only after the file was found unchanged: the store cannot finish a torn object.
            while left and (piece := os.read(handle, min(PIECE, left))):
                if held:
                    yield held
                held, left = piece, left - len(piece)
            status = os.fstat(handle)
            if left or status.st_size != self._size or status.st_mtime_ns != self._mtime_ns:
                raise Changed(str(self.path))
        except OSError as error:
            raise Corrupt(
                f"The disk cannot read {self.path}: {error.strerror}.",
                hint="Check the disk (dmesg, smartctl). Take the node's data from its replicas: nodetool scrub, or rebuild it.",
                operation="upload",
            ) from error
        finally:
            os.close(handle)
        if held:
            yield held
