"""Where the content of one file is, or goes: the decision alone, without reading a byte.

Objects are never overwritten. So for each file of the snapshot there are four cases: the bucket holds exactly what we
know this file to be; the plain key is free; the plain key holds something that has to be compared first; or the plain
key is taken by other content, or condemned, and the content goes to a key never used before.
"""

from __future__ import annotations

from dataclasses import dataclass

from backupstore.core.documents import Mode
from backupstore.core.keys import DataKey
from backupstore.core.layout import Layout
from backupstore.ports import StoredObject
from shipper.transfer.known import KnownFile
from shipper.transfer.ledger import FileRow


@dataclass(frozen=True, slots=True)
class Destination:
    """Where this attempt's data goes. ``condemned``: keys that purge is about to delete, to be taken as absent.

    ``part_size``: of what stock has sent in parts, in bytes.
    """

    layout: Layout
    node: str
    backup: str
    mode: Mode
    attempt: int
    condemned: frozenset[str]
    part_size: int = 50 << 20

    def plain(self, row: FileRow) -> str:
        """The key that stock would use."""
        return self.layout.data(self._key(row, backup=self.backup if self.mode == "full" else None))

    def versioned(self, row: FileRow, sha256: str) -> tuple[str, ...]:
        """Keys for this content and no other, the better one first; the last one can never have been used before."""
        own = self.layout.data(self._key(row, version=sha256))
        fresh = self.layout.data(self._key(row, version=f"{sha256}-{self.backup}-{self.attempt}"))
        return (fresh,) if own in self.condemned else (own, fresh)

    def folder(self) -> str:
        """What to list before anything is relied on."""
        if self.mode == "full":
            return self.layout.full_data(self.node, self.backup)
        return self.layout.shared_data(self.node)

    def _key(self, row: FileRow, *, backup: str | None = None, version: str | None = None) -> DataKey:
        return DataKey(self.node, row.keyspace, row.table, row.file, row.hidden or None, backup, version)


@dataclass(frozen=True, slots=True)
class Reuse:
    """The object holds this very content: nothing to read, nothing to send."""

    object: StoredObject
    known: KnownFile


@dataclass(frozen=True, slots=True)
class Put:
    """The plain key is free."""

    key: str


@dataclass(frozen=True, slots=True)
class Compare:
    """Something of the same size lies there: read the file, compare, and go beside it if it differs."""

    object: StoredObject


@dataclass(frozen=True, slots=True)
class GoBeside:
    """The plain key must not be used."""


Decision = Reuse | Put | Compare | GoBeside


def decide(
    row: FileRow,
    destination: Destination,
    *,
    known: KnownFile | None,
    at_known: StoredObject | None,
    at_plain: StoredObject | None,
) -> Decision:
    """Decide from memory and listing.

    ``at_known`` and ``at_plain``: what was listed under the remembered and under the plain key.
    """
    if known and at_known and at_known.key not in destination.condemned and _is(at_known, known, row.size):
        return Reuse(at_known, known)
    plain = destination.plain(row)
    if plain in destination.condemned:
        return GoBeside()
    if at_plain is None:
        return Put(plain)
    return Compare(at_plain) if at_plain.size == row.size else GoBeside()


def _is(stored: StoredObject, known: KnownFile, size: int) -> bool:
    """Whether the object is the one that was remembered.

    A digest is that of the content, and tells alone: S3 gives the time of a write in other words than in a listing.
    """
    if stored.digest is not None:
        return (stored.size, stored.digest) == (size, known.digest)
    return (stored.size, stored.modified, known.digest) == (size, known.modified, None)
