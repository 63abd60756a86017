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

from backupstore.errors import BackupError, Corrupt, Denied, NodeTrouble

_PIECE = 256 << 10  # read, hashed and sent while it is in the processor's own cache


class Changed(Exception):
    """The file was not the same from the first byte to the last, or is not the one that was looked at before."""


@dataclass(frozen=True, slots=True)
class Digests:
    """Of one whole pass: sha256 in hex, CRC-32 as Cassandra's Digest.crc32 has it, MD5 in hex where it was asked for."""

    sha256: str
    crc32: int
    md5: str | None


@dataclass(frozen=True, slots=True)
class Seen:
    """What tells a file from any other content that its name ever had. ``inode`` as SQLite can hold it."""

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Seen:
        """As a look at the file says."""
        return cls(status.st_size, status.st_mtime_ns, signed(status.st_ino))


def signed(inode: int) -> int:
    """SQLite's integers have a sign; some file systems use all 64 bits."""
    return inode - (1 << 64) if inode >= 1 << 63 else inode


class FileSource:
    """``ports.Source`` over a local file, which must be the one that was ``seen``.

    ``sha256``: what its content must be, where it is known; other content never reaches a store whole.
    """

    def __init__(self, path: Path, seen: Seen, *, md5: bool = False, sha256: str | None = None) -> None:
        self.path = path
        self._seen = seen
        self._wants_md5 = md5
        self._expected = sha256
        self.digests: Digests | None = None

    @property
    def size(self) -> int:
        """Bytes, as the plan saw them."""
        return self._seen.size

    def chunks(self) -> Iterator[bytes]:
        """One pass. Changed when the file is not what the plan saw; Corrupt when the disk cannot read it."""
        self.digests = None
        sha, crc, md5 = hashlib.sha256(), 0, hashlib.md5(usedforsecurity=False) if self._wants_md5 else None
        held = b""
        for piece in self._pieces():
            if held:
                yield held
            sha.update(piece)
            crc = zlib.crc32(piece, crc)
            if md5 is not None:
                md5.update(piece)
            held = piece
        # The last piece is given only now that the file was found unchanged: the store cannot finish a torn object.
        if self._expected is not None and sha.hexdigest() != self._expected:
            raise Changed(str(self.path))
        if held:
            yield held
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
        """Every byte; at the end, the file must be as it was seen."""
        try:
            handle = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise unreadable(self.path, error) from error
        left = self._seen.size
        try:
            while left and (piece := os.read(handle, min(_PIECE, left))):
                left -= len(piece)
                yield piece
            if left or Seen.of(os.fstat(handle)) != self._seen:
                raise Changed(str(self.path))
        except OSError as error:
            raise unreadable(self.path, error) from error
        finally:
            os.close(handle)


def unreadable(path: Path, error: OSError) -> BackupError:
    """Our error for a file of a snapshot that cannot be read."""
    if isinstance(error, FileNotFoundError):
        return NodeTrouble(
            f"{path} is gone: somebody cleared the snapshot while it was being shipped.",
            hint="Find out who runs 'nodetool clearsnapshot', then run the backup again with the same name.",
            operation="upload",
        )
    if isinstance(error, PermissionError):
        return Denied(
            f"{path} may not be read.",
            hint="Run the backup as Cassandra's user, which owns the data directories.",
            operation="upload",
        )
    return Corrupt(
        f"The disk cannot read {path}: {error.strerror}.",
        hint="Check the disk (dmesg, smartctl). Take the node's data from its replicas: nodetool scrub, or rebuild it.",
        operation="upload",
    )
