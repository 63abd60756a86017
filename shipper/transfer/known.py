"""The memory of all earlier backups: which local file holds which content, and under which key of the bucket that lies.

A file is known by device, inode, size and mtime; a snapshot's hard link has the same inode, and changes only the ctime.
What is remembered of full backups is kept apart (``scope`` is the backup's name, else empty): their objects are not those
that differential backups share.

``parts`` are the components of an SSTable as they were when it was last checked, kept with its ``Data.db``. Without them
the SSTable has been read and not been checked yet: the run that read it was killed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from backupstore.ports import StoredObject

_VERSION = 2
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS bucket (name TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS known (
  device INTEGER NOT NULL, inode INTEGER NOT NULL, scope TEXT NOT NULL,
  size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
  sha256 TEXT NOT NULL, crc32 INTEGER NOT NULL, corrupt TEXT, parts TEXT,
  key TEXT NOT NULL, modified REAL NOT NULL, digest TEXT, read_at REAL NOT NULL,
  PRIMARY KEY (device, inode, scope)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS known_key ON known (key);
PRAGMA user_version = {_VERSION};
"""
_PRAGMAS = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-8000;"


class LocalFile(NamedTuple):
    """A file as a look at it says."""

    device: int
    inode: int
    size: int
    mtime_ns: int


class KnownFile(NamedTuple):
    """What is remembered of a local file: its content, and the object that holds it as a listing showed it."""

    sha256: str
    crc32: int
    corrupt: str | None
    parts: str | None
    key: str
    modified: float
    digest: str | None
    read_at: float


class KnownFiles:
    """The database, for one bucket and one scope; used from one thread."""

    def __init__(self, path: Path, bucket: str, scope: str = "") -> None:
        self.path = path
        self._scope = scope
        self._db = _open(path)
        self._adopt(bucket)

    def close(self) -> None:
        """Keep what was learnt."""
        self._db.commit()
        self._db.close()

    def keep(self) -> None:
        """Make what was learnt so far survive a kill."""
        self._db.commit()

    def get(self, file: LocalFile) -> KnownFile | None:
        """What is remembered of exactly this file: same inode, size and time."""
        found = self._db.execute(
            "SELECT sha256, crc32, corrupt, parts, key, modified, digest, read_at FROM known"
            " WHERE device = ? AND inode = ? AND scope = ? AND size = ? AND mtime_ns = ?",
            (file.device, file.inode, self._scope, file.size, file.mtime_ns),
        ).fetchone()
        return KnownFile(*found) if found else None

    def add(self, file: LocalFile, sha256: str, crc32: int, stored: StoredObject, *, now: float) -> None:
        """The file has just been read, and that object holds its content; its SSTable has not been checked yet."""
        self._db.execute(
            "INSERT OR REPLACE INTO known VALUES (?,?,?,?,?,?,?,NULL,NULL,?,?,?,?)",
            (
                *(file.device, file.inode, self._scope, file.size, file.mtime_ns, sha256, crc32),
                *(stored.key, stored.modified, stored.digest, now),
            ),
        )

    def mark_corrupt(self, device: int, inode: int, why: str) -> None:
        """The file is bad: a later backup which does not read it says so too."""
        self._db.execute(
            "UPDATE known SET corrupt = ? WHERE device = ? AND inode = ? AND scope = ?",
            (why, device, inode, self._scope),
        )

    def mark_checked(self, device: int, inode: int, parts: str) -> None:
        """The SSTable of this ``Data.db`` has been checked, with these components."""
        self._db.execute(
            "UPDATE known SET parts = ? WHERE device = ? AND inode = ? AND scope = ?",
            (parts, device, inode, self._scope),
        )

    def content_of(self, stored: StoredObject) -> str | None:
        """The sha256 of an object, when it was shipped from here and has not changed since."""
        found = self._db.execute(
            "SELECT sha256 FROM known WHERE key = ? AND size = ? AND digest IS ? AND (digest NOT NULL OR modified = ?)",
            (stored.key, stored.size, stored.digest, stored.modified),
        ).fetchone()
        return str(found[0]) if found else None

    def relied_on(self) -> Iterator[str]:
        """The objects that hold what is remembered."""
        for (key,) in self._db.execute("SELECT key FROM known WHERE scope = ?", (self._scope,)):
            yield str(key)

    def holds_versions(self) -> bool:
        """Whether a listing of ``data-v`` may matter: something lies there, or the memory is empty and cannot say."""
        if not self._db.execute("SELECT 1 FROM known WHERE scope = '' LIMIT 1").fetchone():
            return True
        return self._db.execute("SELECT 1 FROM known WHERE key LIKE '%/data-v/%' LIMIT 1").fetchone() is not None

    def keep_only(self, alive: Iterable[tuple[int, int]]) -> None:
        """Drop files that are no longer on the node, and earlier full backups, so as not to grow for ever."""
        self._db.executescript(
            "CREATE TEMP TABLE IF NOT EXISTS alive (device, inode, PRIMARY KEY (device, inode)) WITHOUT ROWID;"
            "DELETE FROM alive;"
        )
        self._db.executemany("INSERT OR IGNORE INTO alive VALUES (?, ?)", alive)
        self._db.execute(
            "DELETE FROM known WHERE scope NOT IN ('', ?) OR (device, inode) NOT IN (SELECT device, inode FROM alive)",
            (self._scope,),
        )
        self._db.commit()

    def _adopt(self, bucket: str) -> None:
        names = [name for (name,) in self._db.execute("SELECT name FROM bucket")]
        if names != [bucket]:
            self._db.execute("DELETE FROM bucket")
            self._db.execute("DELETE FROM known")
            self._db.execute("INSERT INTO bucket VALUES (?)", (bucket,))
        self._db.commit()


def discard(path: Path) -> None:
    """Remove the database; losing it only costs reading all files once more."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _open(path: Path) -> sqlite3.Connection:
    """Open or make it. A damaged one, or one of another version, is made anew."""
    db = sqlite3.connect(path)
    try:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version not in {0, _VERSION}:
            raise sqlite3.DatabaseError(f"it has version {version}")  # noqa: TRY301 # handled as any other damage
        db.executescript(_PRAGMAS + _SCHEMA)
    except sqlite3.OperationalError:
        db.close()
        raise
    except sqlite3.DatabaseError:
        db.close()
        discard(path)
        db = sqlite3.connect(path)
        db.executescript(_PRAGMAS + _SCHEMA)
    return db
