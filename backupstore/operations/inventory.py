"""What a node has in the bucket, and what one manifest says of it, side by side: on disk, since both may be very long."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

from backupstore.core.keys import DataKey
from backupstore.core.manifest import Entry
from backupstore.core.sstables import parse_component
from backupstore.core.verification import Listed
from backupstore.operations.scratch import Scratch
from backupstore.ports import StoredObject

_SCHEMA = """
PRAGMA journal_mode = MEMORY;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -16384;
CREATE TABLE objects (key TEXT PRIMARY KEY, size INTEGER, digest TEXT) WITHOUT ROWID;
CREATE TABLE entries (keyspace TEXT, name TEXT, hidden TEXT, file TEXT,
    path TEXT, size INTEGER, md5 TEXT, sha256 TEXT, corrupt TEXT);
CREATE INDEX by_path ON entries (path);
"""


class Component(NamedTuple):
    """One entry of the manifest with what is listed under its key."""

    entry: Entry
    hidden: str
    file: str
    listed: Listed | None


class Inventory:
    """Of one node, used from one thread. Listings stay; ``begin`` forgets the manifest before."""

    def __init__(self) -> None:
        self._db = Scratch(_SCHEMA, "verify")
        self._folders: set[str] = set()

    def close(self) -> None:
        """Forget everything."""
        self._db.close()

    def take(self, folder: str, listing: Callable[[str], Iterable[StoredObject]]) -> None:
        """The listing of a folder; one that was taken whole before is not asked for again."""
        if folder in self._folders:
            return
        rows = ((each.key, each.size, each.digest) for each in listing(folder))
        self._db.insert("INSERT OR REPLACE INTO objects VALUES (?, ?, ?)", rows)
        self._folders.add(folder)

    def begin(self) -> None:
        """Another manifest comes now."""
        self._db.execute("DELETE FROM entries")

    def add(self, entries: Iterable[tuple[DataKey, Entry]]) -> None:
        """Some entries of the manifest."""
        rows = (
            (
                key.keyspace,
                key.table,
                key.index or "",
                key.file,
                each.path,
                each.size,
                each.md5,
                each.sha256,
                each.corrupt,
            )
            for key, each in entries
        )
        self._db.insert("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def sstables(self) -> Iterator[list[Component]]:
        """The components of one SSTable after the other: in the order of names they stand together."""
        found = self._db.rows(
            "SELECT e.*, o.key, o.size, o.digest FROM entries e LEFT JOIN objects o ON o.key = e.path"
            " ORDER BY keyspace, name, hidden, file"
        )
        components = (_component(row) for row in found)
        for _, group in groupby(
            components, key=lambda each: (each.entry[:2], each.hidden, parse_component(each.file)[0])
        ):
            yield list(group)

    def extras(self, folder: str) -> Iterator[str]:
        """What lies in a folder and the manifest does not name."""
        for (key,) in self._db.rows(
            "SELECT key FROM objects WHERE key > ? AND key < ?"
            " AND NOT EXISTS (SELECT 1 FROM entries WHERE path = key) ORDER BY key",
            (folder, folder[:-1] + "0"),  # the character after the slash
        ):
            yield str(key)


def _component(row: tuple[object, ...]) -> Component:
    keyspace, name, hidden, file, path, size, md5, sha256, corrupt, key, there, digest = row
    entry = Entry(keyspace, name, path, size, md5, sha256, corrupt)  # type: ignore[arg-type]  # as they were put in
    listed = Listed(there, digest) if key is not None else None  # type: ignore[arg-type]
    return Component(entry, str(hidden), str(file), listed)
