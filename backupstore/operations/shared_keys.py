"""The keys of a node's shared data while purge decides over them: on disk, for there may be millions of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from backupstore.operations.scratch import Scratch
from backupstore.ports import StoredObject

_SCHEMA = """
PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-16000;
CREATE TABLE listed (key TEXT PRIMARY KEY, size INTEGER NOT NULL, modified REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE kept (key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE doomed (key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE condemned (key TEXT PRIMARY KEY) WITHOUT ROWID;
"""


class SharedKeys:
    """Four sets: what the bucket lists, what backups that stay name, what those that go name, what is condemned."""

    def __init__(self) -> None:
        self._db = Scratch(_SCHEMA, "purge")

    def close(self) -> None:
        """Nothing of it is kept."""
        self._db.close()

    def list(self, objects: Iterable[StoredObject]) -> None:
        """The bucket holds these."""
        rows = ((stored.key, stored.size, stored.modified) for stored in objects)
        self._db.insert("INSERT OR REPLACE INTO listed VALUES (?, ?, ?)", rows)

    def keep(self, keys: Iterable[str]) -> None:
        """A backup that stays names these."""
        self._db.insert("INSERT OR IGNORE INTO kept VALUES (?)", ((key,) for key in keys))

    def doom(self, keys: Iterable[str]) -> None:
        """A backup that goes names these."""
        self._db.insert("INSERT OR IGNORE INTO doomed VALUES (?)", ((key,) for key in keys))

    def condemn(self, keys: Iterable[str]) -> None:
        """A condemned document names these."""
        self._db.insert("INSERT OR IGNORE INTO condemned VALUES (?)", ((key,) for key in keys))

    def to_condemn(self, *, orphaned_before: float) -> Iterator[str]:
        """What nobody who stays names: if somebody who goes does, or if it is an orphan older than that. Sorted."""
        found = self._db.rows(
            "SELECT key FROM listed WHERE key NOT IN (SELECT key FROM kept)"
            " AND (modified < ? OR key IN (SELECT key FROM doomed)) ORDER BY key",
            (orphaned_before,),
        )
        for (key,) in found:
            yield str(key)

    def to_delete(self) -> Iterator[tuple[str, int]]:
        """What is condemned, is there, and is named by nobody who stays: keys, sorted, with their sizes."""
        found = self._db.rows(
            "SELECT key, size FROM listed WHERE key IN (SELECT key FROM condemned)"
            " AND key NOT IN (SELECT key FROM kept) ORDER BY key"
        )
        for key, size in found:
            yield str(key), int(size)  # type: ignore[call-overload] # as it was put in
