"""The plan of one backup, in SQLite, so that memory does not grow with the number of files.

It is made anew for every run: the tables and files of the snapshot, what the bucket's listing shows, and what became of
each file. What lasts from run to run is beside it, in ``known``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from backupstore.errors import BackupError, Denied, NodeTrouble
from backupstore.ports import StoredObject
from shipper.cassandra.port import TableFolder
from shipper.state import StateDirectory, no_space
from shipper.transfer.known import KnownFiles, LocalFile, discard

_PAGE = 1000
_SCHEMA = """
CREATE TABLE tables (keyspace TEXT, name TEXT, PRIMARY KEY (keyspace, name)) WITHOUT ROWID;
CREATE TABLE files (
  id INTEGER PRIMARY KEY, keyspace TEXT NOT NULL, name TEXT NOT NULL, hidden TEXT NOT NULL, file TEXT NOT NULL,
  disk INTEGER NOT NULL, path TEXT NOT NULL, device INTEGER NOT NULL, inode INTEGER NOT NULL,
  size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
  key TEXT, md5 TEXT, sha256 TEXT, crc32 INTEGER, reused INTEGER NOT NULL DEFAULT 0,
  was_read INTEGER NOT NULL DEFAULT 0, corrupt TEXT, parts TEXT,
  UNIQUE (keyspace, name, hidden, file));
CREATE TABLE stored (key TEXT PRIMARY KEY, size INTEGER NOT NULL, modified REAL NOT NULL, digest TEXT) WITHOUT ROWID;
"""
_PRAGMAS = "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-8000;"


class Planned(NamedTuple):
    """One file of the snapshot. ``hidden``: the folder of its index, or empty."""

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

    @property
    def local(self) -> LocalFile:
        """The file as the memory knows it."""
        return LocalFile(self.device, self.inode, self.size, self.mtime_ns)


class Shipped(NamedTuple):
    """What became of one file: the object that holds its content, and what was learnt on the way.

    ``reused``: nothing was sent. ``read``: the file was read in this run. ``rotten``: it was read again after a long
    time and no longer holds what was shipped, or cannot be read; the object does. ``corrupt`` and ``parts`` as remembered.
    """

    row: FileRow
    object: StoredObject
    sha256: str
    crc32: int
    reused: bool
    read: bool
    corrupt: str | None = None
    parts: str | None = None
    rotten: bool = False


class Done(NamedTuple):
    """A file with its outcome, as inspection and manifest need it."""

    id: int
    hidden: str
    file: str
    disk: int
    path: str
    device: int
    inode: int
    size: int
    key: str
    md5: str | None
    sha256: str
    crc32: int
    corrupt: str | None
    parts: str | None
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
    """The plan, beside the memory; used from one thread. Made by ``open_ledger``."""

    def __init__(self, plan: Path, known: KnownFiles) -> None:
        self.known = known
        for leftover in (plan, plan.with_name(plan.name + "-journal")):
            leftover.unlink(missing_ok=True)
        self._db = sqlite3.connect(plan, isolation_level=None)
        self._db.executescript(_PRAGMAS + _SCHEMA + "BEGIN;")

    def close(self) -> None:
        """The plan goes with the next run."""
        self._db.close()

    def add_table(self, folder: TableFolder) -> None:
        """A table of the snapshot, which may hold no SSTable."""
        self._db.execute("INSERT OR IGNORE INTO tables VALUES (?, ?)", (folder.keyspace, folder.table))

    def add_files(self, rows: Iterable[Planned]) -> None:
        """Files of the snapshot."""
        try:
            self._db.executemany(
                "INSERT INTO files (keyspace, name, hidden, file, disk, path, device, inode, size, mtime_ns)"
                " VALUES (?,?,?,?,?,?,?,?,?,?)",
                rows,
            )
        except sqlite3.IntegrityError as error:
            raise NodeTrouble(
                "Two data directories hold a file of the same name for the same table.",
                hint="Look for SSTables copied by hand between the data directories; move the copy out and run"
                " 'nodetool refresh'.",
                operation="plan",
            ) from error

    def add_stored(self, objects: Iterable[StoredObject]) -> None:
        """What the listing shows."""
        self._db.executemany(
            "INSERT OR REPLACE INTO stored VALUES (?,?,?,?)", ((o.key, o.size, o.modified, o.digest) for o in objects)
        )

    def tables(self) -> Iterator[tuple[str, str]]:
        """(keyspace, table), sorted."""
        yield from self._db.execute("SELECT keyspace, name FROM tables ORDER BY keyspace, name").fetchall()

    def pending(self, after: int, count: int) -> list[FileRow]:
        """The next files without an outcome, in the order of the plan."""
        found = self._db.execute(
            "SELECT id, keyspace, name, hidden, file, disk, path, device, inode, size, mtime_ns FROM files"
            " WHERE id > ? AND key IS NULL ORDER BY id LIMIT ?",
            (after, count),
        )
        return [FileRow(*row) for row in found]

    def stored(self, key: str) -> StoredObject | None:
        """What the listing showed under a key."""
        row = self._db.execute("SELECT key, size, modified, digest FROM stored WHERE key = ?", (key,)).fetchone()
        return StoredObject(*row) if row else None

    def changed_since(self, at: float) -> Iterator[StoredObject]:
        """Listed objects that were written then or later, by the store's time."""
        found = self._db.execute("SELECT key, size, modified, digest FROM stored WHERE modified >= ?", (at,))
        yield from (StoredObject(*row) for row in found)

    def record(self, shipped: Shipped, *, now: float) -> None:
        """One file is in the bucket."""
        row, stored = shipped.row, shipped.object
        self._db.execute(
            "UPDATE files SET key=?, md5=?, sha256=?, crc32=?, reused=?, was_read=?, corrupt=?, parts=?,"
            " device=?, inode=?, size=?, mtime_ns=? WHERE id=?",
            (
                *(stored.key, stored.digest, shipped.sha256, shipped.crc32),
                *(shipped.reused, shipped.read, shipped.corrupt, shipped.parts),
                *(*row.local, row.id),
            ),
        )
        if shipped.read:
            self.known.add(row.local, shipped.sha256, shipped.crc32, stored, now=now)

    def mark_corrupt(self, done: Done, why: str) -> None:
        """A component is bad."""
        self._db.execute("UPDATE files SET corrupt = ? WHERE id = ?", (why, done.id))
        self.known.mark_corrupt(done.device, done.inode, why)

    def done(self, keyspace: str, table: str) -> Iterator[Done]:
        """The files of one table with their outcome, sorted by (index directory, file); a page at a time."""
        after = ("", "")
        while page := self._page(keyspace, table, after):
            yield from page
            after = (page[-1].hidden, page[-1].file)

    def _page(self, keyspace: str, table: str, after: tuple[str, str]) -> list[Done]:
        found = self._db.execute(
            "SELECT id, hidden, file, disk, path, device, inode, size, key, md5, sha256, crc32, corrupt, parts, was_read"
            " FROM files WHERE keyspace = ? AND name = ? AND (hidden, file) > (?, ?) ORDER BY hidden, file LIMIT ?",
            (keyspace, table, *after, _PAGE),
        )
        return [Done(*row) for row in found]

    def totals(self) -> Totals:
        """Sums over the plan."""
        row = self._db.execute(
            "SELECT count(*), coalesce(sum(size), 0), coalesce(sum(NOT reused), 0),"
            " coalesce(sum(CASE WHEN reused THEN 0 ELSE size END), 0), count(corrupt) FROM files"
        ).fetchone()
        return Totals(*row)

    def unknown_size(self) -> int:
        """Bytes of the files that are not known: what may have to be sent, at most."""
        return sum(row.size for row in self._each() if self.known.get(row.local) is None)

    def forget_all_but_plan(self) -> None:
        """Drop what is remembered of files that are no longer on the node."""
        self.known.keep_only((row.device, row.inode) for row in self._each())

    def _each(self) -> Iterator[FileRow]:
        after = 0
        while rows := self._rows(after):
            yield from rows
            after = rows[-1].id

    def _rows(self, after: int) -> list[FileRow]:
        found = self._db.execute(
            "SELECT id, keyspace, name, hidden, file, disk, path, device, inode, size, mtime_ns FROM files"
            " WHERE id > ? ORDER BY id LIMIT ?",
            (after, _PAGE),
        )
        return [FileRow(*row) for row in found]


@contextmanager
def open_ledger(state: StateDirectory, bucket: str, scope: str) -> Iterator[Ledger]:
    """The ledger of one run, beside what is known of that bucket. NoSpace, Denied; a damaged memory is set aside."""
    try:
        known = KnownFiles(state.known_files, bucket, scope)
        try:
            ledger = Ledger(state.plan, known)
            try:
                yield ledger
            finally:
                ledger.close()
        finally:
            known.close()
    except sqlite3.Error as error:
        raise _translated(error, state) from error


def _translated(error: sqlite3.Error, state: StateDirectory) -> BackupError:
    text = str(error)
    if "full" in text:
        return no_space(state.plan, "ledger")
    if isinstance(error, sqlite3.OperationalError):
        return Denied(
            f"The databases in {state.path} cannot be used: {text}.",
            hint=f"Check the owner and mode of {state.path} and its files, and the disk below it (dmesg).",
            operation="ledger",
        )
    discard(state.known_files)
    return NodeTrouble(
        f"{state.known_files} was damaged ({text}) and is removed: all files will be read once more.",
        hint="Run the same command again. If this happens twice, check the disk (dmesg).",
        operation="ledger",
    )
