"""The plan of one backup and the memory of all earlier ones, in SQLite, so that neither grows with the number of files.

``plan.sqlite`` is made anew for every run: the tables and files of the snapshot, what the bucket's listing shows, and
what became of each file. ``known-files.sqlite`` lasts: which local file (device, inode, size, mtime; a snapshot's hard
link has the same inode, and changes only the ctime) holds which content and lies under which key of the bucket.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from backupstore.errors import NodeTrouble
from backupstore.ports import StoredObject
from shipper.cassandra.port import TableFolder

_PLAN = """
CREATE TABLE tables (keyspace TEXT, name TEXT, PRIMARY KEY (keyspace, name)) WITHOUT ROWID;
CREATE TABLE files (
  id INTEGER PRIMARY KEY, keyspace TEXT NOT NULL, name TEXT NOT NULL, hidden TEXT NOT NULL, file TEXT NOT NULL,
  disk INTEGER NOT NULL, path TEXT NOT NULL, device INTEGER NOT NULL, inode INTEGER NOT NULL,
  size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
  key TEXT, md5 TEXT, sha256 TEXT, crc32 INTEGER, reused INTEGER NOT NULL DEFAULT 0,
  was_read INTEGER NOT NULL DEFAULT 0, corrupt TEXT,
  UNIQUE (keyspace, name, hidden, file));
CREATE TABLE stored (key TEXT PRIMARY KEY, size INTEGER NOT NULL, modified REAL NOT NULL, digest TEXT) WITHOUT ROWID;
"""
_KNOWN = """
CREATE TABLE IF NOT EXISTS bucket (name TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS known (
  device INTEGER NOT NULL, inode INTEGER NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
  sha256 TEXT NOT NULL, crc32 INTEGER NOT NULL, corrupt TEXT,
  key TEXT NOT NULL, modified REAL NOT NULL, digest TEXT, read_at REAL NOT NULL,
  PRIMARY KEY (device, inode)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS known_key ON known (key);
"""


class FileRow(NamedTuple):
    """One file of the plan."""

    id: int
    keyspace: str
    table: str
    hidden: str
    file: str
    disk: int
    path: str
    device: int
    inode: int
    size: int
    mtime_ns: int


class KnownFile(NamedTuple):
    """What is remembered of a local file: its content, and the object that holds it as a listing showed it."""

    sha256: str
    crc32: int
    corrupt: str | None
    key: str
    modified: float
    digest: str | None
    read_at: float


class Shipped(NamedTuple):
    """What became of one file: the object that holds its content, and what was learnt on the way.

    ``reused``: nothing was sent. ``read``: the file was read in this run. ``rotten``: it was read again after a long time
    and no longer holds what was shipped; the object does.
    """

    row: FileRow
    object: StoredObject
    sha256: str
    crc32: int
    reused: bool
    read: bool
    corrupt: str | None = None
    rotten: bool = False


class Done(NamedTuple):
    """A file with its outcome, as the manifest needs it."""

    keyspace: str
    table: str
    hidden: str
    file: str
    disk: int
    path: str
    size: int
    key: str
    md5: str | None
    sha256: str
    crc32: int
    corrupt: str | None
    reused: bool
    read: bool


@dataclass(frozen=True, slots=True)
class Totals:
    """Of a plan: all files, and what of them was new."""

    files: int
    size: int
    new_files: int
    new_size: int
    corrupt: int


class Ledger:
    """Both databases, used from one thread."""

    def __init__(self, plan: Path, known: Path, bucket: str) -> None:
        for leftover in (plan, plan.with_name(plan.name + "-journal")):
            leftover.unlink(missing_ok=True)
        self._plan = sqlite3.connect(plan, isolation_level=None)
        self._plan.executescript(
            "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-8000;" + _PLAN + "BEGIN;"
        )
        self._known = _open_known(known)
        self._known_path = known
        self._adopt(bucket)

    def close(self) -> None:
        """Keep what is known; the plan goes with the next run."""
        self._known.commit()
        self._known.close()
        self._plan.close()

    def _adopt(self, bucket: str) -> None:
        names = [name for (name,) in self._known.execute("SELECT name FROM bucket")]
        if names != [bucket]:
            self._known.execute("DELETE FROM bucket")
            self._known.execute("DELETE FROM known")
            self._known.execute("INSERT INTO bucket VALUES (?)", (bucket,))
        self._known.commit()

    # --- the plan ---
    def add_table(self, folder: TableFolder) -> None:
        """A table of the snapshot, which may hold no SSTable."""
        self._plan.execute("INSERT OR IGNORE INTO tables VALUES (?, ?)", (folder.keyspace, folder.table))

    def add_files(self, rows: Iterable[tuple[str, str, str, str, int, str, int, int, int, int]]) -> None:
        """Files as (keyspace, table, index or '', file, disk, path, device, inode, size, mtime_ns)."""
        try:
            self._plan.executemany(
                "INSERT INTO files (keyspace, name, hidden, file, disk, path, device, inode, size, mtime_ns) VALUES (?,?,?,?,?,?,?,?,?,?)",
                rows,
            )
        except sqlite3.IntegrityError as error:
            raise NodeTrouble(
                "Two data directories hold a file of the same name for the same table.",
                hint="Look for SSTables copied by hand between the data directories; move the copy out and run 'nodetool refresh'.",
                operation="plan",
            ) from error

    def add_stored(self, objects: Iterable[StoredObject]) -> None:
        """What the listing shows."""
        self._plan.executemany(
            "INSERT OR REPLACE INTO stored VALUES (?,?,?,?)", ((o.key, o.size, o.modified, o.digest) for o in objects)
        )

    def tables(self) -> Iterator[tuple[str, str]]:
        """(keyspace, table), sorted."""
        yield from self._plan.execute("SELECT keyspace, name FROM tables ORDER BY keyspace, name")

    def pending(self, after: int, count: int) -> list[FileRow]:
        """The next files without an outcome, in the order of the plan."""
        found = self._plan.execute(
            "SELECT id, keyspace, name, hidden, file, disk, path, device, inode, size, mtime_ns FROM files WHERE id > ? AND key IS NULL ORDER BY id LIMIT ?",
            (after, count),
        )
        return [FileRow(*row) for row in found]

    def stored(self, key: str) -> StoredObject | None:
        """What the listing showed under a key."""
        row = self._plan.execute("SELECT key, size, modified, digest FROM stored WHERE key = ?", (key,)).fetchone()
        return StoredObject(*row) if row else None

    def record(self, shipped: Shipped, *, now: float) -> None:
        """One file is in the bucket."""
        row, stored = shipped.row, shipped.object
        self._plan.execute(
            "UPDATE files SET key=?, md5=?, sha256=?, crc32=?, reused=?, was_read=?, corrupt=?, size=?, mtime_ns=? WHERE id=?",
            (
                *(
                    stored.key,
                    stored.digest,
                    shipped.sha256,
                    shipped.crc32,
                    shipped.reused,
                    shipped.read,
                    shipped.corrupt,
                ),
                *(row.size, row.mtime_ns, row.id),
            ),
        )
        if shipped.read:
            self._known.execute(
                "INSERT OR REPLACE INTO known VALUES (?,?,?,?,?,?,NULL,?,?,?,?)",
                (
                    row.device,
                    row.inode,
                    row.size,
                    row.mtime_ns,
                    shipped.sha256,
                    shipped.crc32,
                    stored.key,
                    stored.modified,
                    stored.digest,
                    now,
                ),
            )

    def mark_corrupt(self, row_path: str, why: str) -> None:
        """A component is bad; the memory keeps it, so that a later backup which does not read it says so too."""
        row = self._plan.execute("SELECT device, inode FROM files WHERE path = ?", (row_path,)).fetchone()
        self._plan.execute("UPDATE files SET corrupt = ? WHERE path = ?", (why, row_path))
        self._known.execute("UPDATE known SET corrupt = ? WHERE device = ? AND inode = ?", (why, *row))

    def done(self, keyspace: str, table: str) -> list[Done]:
        """The files of one table with their outcome, sorted by (index directory, file)."""
        found = self._plan.execute(
            "SELECT keyspace, name, hidden, file, disk, path, size, key, md5, sha256, crc32, corrupt, reused, was_read FROM files"
            " WHERE keyspace = ? AND name = ? ORDER BY hidden, file",
            (keyspace, table),
        )
        return [Done(*row) for row in found]

    def totals(self) -> Totals:
        """Sums over the plan."""
        row = self._plan.execute(
            "SELECT count(*), coalesce(sum(size),0), coalesce(sum(NOT reused),0), coalesce(sum(CASE WHEN reused THEN 0 ELSE size END),0), count(corrupt) FROM files"
        ).fetchone()
        return Totals(*row)

    def unknown_size(self) -> int:
        """Bytes of the files that are not known: what may have to be sent, at most."""
        self._plan.execute("COMMIT")
        self._plan.execute("ATTACH DATABASE ? AS memory", (str(self._known_path),))
        row = self._plan.execute(
            "SELECT coalesce(sum(f.size), 0) FROM files f LEFT JOIN memory.known k"
            " ON k.device = f.device AND k.inode = f.inode AND k.size = f.size AND k.mtime_ns = f.mtime_ns WHERE k.inode IS NULL"
        ).fetchone()
        self._plan.execute("DETACH DATABASE memory")
        self._plan.execute("BEGIN")
        return int(row[0])

    # --- the memory ---
    def keep(self) -> None:
        """Make what was learnt so far survive a kill."""
        self._known.commit()

    def known(self, row: FileRow) -> KnownFile | None:
        """What is remembered of exactly this file: same inode, size and time."""
        found = self._known.execute(
            "SELECT sha256, crc32, corrupt, key, modified, digest, read_at FROM known WHERE device = ? AND inode = ? AND size = ? AND mtime_ns = ?",
            (row.device, row.inode, row.size, row.mtime_ns),
        ).fetchone()
        return KnownFile(*found) if found else None

    def content_of(self, stored: StoredObject) -> str | None:
        """The sha256 of an object, when it was shipped from here and has not changed since."""
        found = self._known.execute(
            "SELECT sha256 FROM known WHERE key = ? AND size = ? AND modified = ? AND digest IS ?",
            (stored.key, stored.size, stored.modified, stored.digest),
        ).fetchone()
        return found[0] if found else None

    def knows_versions(self) -> bool:
        """Whether a listing of ``data-v`` may matter: something lies there, or the memory is empty and cannot say."""
        some = self._known.execute("SELECT 1 FROM known LIMIT 1").fetchone()
        return (
            some is None
            or self._known.execute("SELECT 1 FROM known WHERE key LIKE '%/data-v/%' LIMIT 1").fetchone() is not None
        )

    def forget_all_but_plan(self) -> None:
        """Drop files that are no longer on the node, so that the memory does not grow for ever."""
        self._known.execute(
            "CREATE TEMP TABLE IF NOT EXISTS alive (device INTEGER, inode INTEGER, PRIMARY KEY (device, inode)) WITHOUT ROWID"
        )
        self._known.execute("DELETE FROM alive")
        self._known.executemany(
            "INSERT OR IGNORE INTO alive VALUES (?, ?)", self._plan.execute("SELECT device, inode FROM files")
        )
        self._known.execute("DELETE FROM known WHERE (device, inode) NOT IN (SELECT device, inode FROM alive)")
        self._known.commit()


def _open_known(path: Path) -> sqlite3.Connection:
    """Open the memory; a damaged one is set aside, for losing it only costs reading the files again."""
    try:
        known = sqlite3.connect(path)
        known.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-8000;" + _KNOWN)
    except sqlite3.DatabaseError:
        known.close()
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        known = sqlite3.connect(path)
        known.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;" + _KNOWN)
    return known
