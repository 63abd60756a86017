"""The plan of a download: the manifest's entries, checked one by one, in SQLite.

A manifest may be hostile or hold ten million entries: what is in memory does not grow with it, and what it names is
either a file that Cassandra could have made, of this very backup, or the manifest is Corrupt.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from backupstore.core import layout as grammar
from backupstore.core.layout import Layout
from backupstore.core.manifest import Entry, ManifestReader, TableSection, check_entry
from backupstore.core.sstables import parse_component
from backupstore.errors import BackupError, Corrupt, Refused
from backupstore.ports import ObjectStore
from shipper.state import disk_error, no_space

_SCHEMA = """
PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-8000; PRAGMA temp_store=FILE;
CREATE TABLE tables (keyspace TEXT, name TEXT, PRIMARY KEY (keyspace, name)) WITHOUT ROWID;
CREATE TABLE files (
  id INTEGER PRIMARY KEY, keyspace TEXT NOT NULL, name TEXT NOT NULL, hidden TEXT NOT NULL, file TEXT NOT NULL,
  key TEXT NOT NULL, size INTEGER NOT NULL, sha256 TEXT, md5 TEXT, corrupt TEXT, disk INTEGER,
  UNIQUE (keyspace, name, hidden, file));
BEGIN;
"""
_INSERT = """
INSERT INTO files (keyspace, name, hidden, file, key, size, sha256, md5, corrupt, disk) VALUES (?,?,?,?,?,?,?,?,?,?)
"""
_WANTED = "SELECT id, keyspace, name, hidden, file, key, size, sha256, md5, disk FROM files WHERE size"
_LARGE = 64 << 20
_MORE_THAN_ANY_DISK = 1 << 60
_BLOCK = 4096
_PAGE = 5000

# Cassandra keeps the keyspaces of the node itself in one directory, but for the tables that may grow large.
_LOCAL = ("system", "system_schema")
_SPLIT = ("batches", "paxos", "compaction_history", "prepared_statements", "repairs")


class Wanted(NamedTuple):
    """One file to fetch; ``disk`` is the position of the data directory it goes to."""

    id: int
    keyspace: str
    table: str
    hidden: str
    file: str
    key: str
    size: int
    sha256: str | None
    md5: str | None
    disk: int

    @property
    def relative(self) -> Path:
        """Below a data directory, or a download's destination. Each part was checked against Cassandra's own names."""
        return Path(self.keyspace, self.table, self.hidden, self.file)


class FetchPlan:
    """Made from one manifest; used from one thread. Its file has no name, so that it is gone with whoever uses it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = 0
        try:
            path.unlink(missing_ok=True)
            # In a directory that others may write to, nobody else's file or link may be opened.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise disk_error(error, path, "plan") from error
        self._db = sqlite3.connect(path, isolation_level=None)
        with self._translated():
            self._db.executescript(_SCHEMA)
        path.unlink()

    def close(self) -> None:
        """The plan is over."""
        self._db.close()

    def add(self, item: TableSection | Entry, layout: Layout, node: str, backup: str) -> None:
        """Take one item of the manifest. Corrupt when it names anything but data of this very node backup."""
        with self._translated():
            if isinstance(item, TableSection):
                self._db.execute("INSERT OR IGNORE INTO tables VALUES (?, ?)", (item.keyspace, item.table))
                return
            key = check_entry(layout, node, item, backup=backup)
            self._size += item.size
            if self._size > _MORE_THAN_ANY_DISK:
                raise _hostile("names more bytes than any disk holds", item.path)
            checks = (item.sha256, item.md5, item.corrupt, item.disk)
            try:
                place = (key.keyspace, key.table, key.index or "", key.file)
                self._db.execute(_INSERT, (*place, item.path, item.size, *checks))
            except sqlite3.IntegrityError as error:
                raise _hostile(f"names {key.keyspace}/{key.table}/{key.file} twice", item.path) from error

    def keep_only(self, keyspaces: frozenset[str], tables: frozenset[tuple[str, str]]) -> None:
        """Drop all but the named keyspaces and (keyspace, table name without id) pairs. Nothing named: keep all."""
        if not keyspaces and not tables:
            return
        self._drop(lambda keyspace, table: keyspace not in keyspaces and (keyspace, table) not in tables)

    def leave_out(self, tables: frozenset[tuple[str, str]]) -> None:
        """Drop these (keyspace, table name without id) pairs."""
        self._drop(lambda keyspace, table: (keyspace, table) in tables)

    def take_only(self, targets: Mapping[tuple[str, str], str]) -> None:
        """Keep only these (keyspace, folder) pairs, and let each go into the folder that is named for it."""
        with self._translated():
            for keyspace, folder in self.tables():
                target = targets.get((keyspace, folder))
                values = (target,) if target else ()
                for of in ("tables", "files"):
                    change = f"UPDATE {of} SET name = ?" if values else f"DELETE FROM {of}"  # noqa: S608 - our own names
                    self._db.execute(f"{change} WHERE keyspace = ? AND name = ?", (*values, keyspace, folder))

    def leave_out_index(self, keyspace: str, folder: str, hidden: str) -> None:
        """Drop the files of one index of a table."""
        with self._translated():
            where = "keyspace = ? AND name = ? AND hidden = ?"
            self._db.execute(f"DELETE FROM files WHERE {where}", (keyspace, folder, hidden))  # noqa: S608 - our own names

    def contents(self, keyspace: str, folder: str) -> dict[str, tuple[int, int]]:
        """Of one table: hidden folder of an index, or empty for the table itself → files, and bytes."""
        select = "SELECT hidden, count(*), sum(size) FROM files WHERE keyspace = ? AND name = ? GROUP BY hidden"
        return {hidden: (count, size) for hidden, count, size in self._db.execute(select, (keyspace, folder))}

    def _drop(self, goes: Callable[[str, str], bool]) -> None:
        with self._translated():
            for keyspace, folder in self.tables():
                if goes(keyspace, folder.partition("-")[0]):
                    for of in ("tables", "files"):
                        delete = f"DELETE FROM {of} WHERE keyspace = ? AND name = ?"  # noqa: S608 - our own names
                        self._db.execute(delete, (keyspace, folder))

    def tables(self) -> tuple[tuple[str, str], ...]:
        """(keyspace, table folder), sorted. A manifest with very many tables is not read at all."""
        return tuple(self._db.execute("SELECT keyspace, name FROM tables ORDER BY keyspace, name"))

    def files(self) -> Iterator[Wanted]:
        """Every file; the large ones first, the largest leading, so that none is left for the end."""
        for which in (f">= {_LARGE} ORDER BY size DESC, id", f"< {_LARGE}"):
            for row in self._db.execute(f"{_WANTED} {which}"):
                yield Wanted(*row)

    def disk_of(self, relative: Path) -> int | None:
        """Where a file shall go; None when it is not wanted at all."""
        if len(relative.parts) < 3:  # noqa: PLR2004 - keyspace, table, file
            return None
        keyspace, table, *hidden, file = relative.parts
        select = "SELECT disk FROM files WHERE keyspace = ? AND name = ? AND hidden = ? AND file = ?"
        row = self._db.execute(select, (keyspace, table, "".join(hidden), file)).fetchone()
        return int(row[0]) if row else None

    def holds(self, keyspace: str) -> bool:
        """Whether there is any file of a keyspace."""
        return self._db.execute("SELECT 1 FROM files WHERE keyspace = ? LIMIT 1", (keyspace,)).fetchone() is not None

    def totals(self) -> tuple[int, int, int]:
        """(files, bytes, corrupt components)."""
        row = self._db.execute("SELECT count(*), coalesce(sum(size), 0), count(corrupt) FROM files").fetchone()
        return int(row[0]), int(row[1]), int(row[2])

    def sizes_by_disk(self) -> dict[int, int]:
        """Bytes per data directory, in the blocks that a file system hands out."""
        blocks = f"sum((size + {_BLOCK - 1}) / {_BLOCK})"
        rows = self._db.execute(f"SELECT disk, {blocks} FROM files GROUP BY disk")  # noqa: S608 - our own numbers
        return {int(disk): int(count) * _BLOCK for disk, count in rows}

    def place(self, free: Sequence[int], local: int | None = None) -> None:
        """Decide which data directory each file goes to, given the free bytes of each.

        ``local`` is the one that holds nothing but the node's own tables, where there is one. Files go back where they
        came from, if these directories are there and have the space; else whole SSTables are dealt out anew.
        """
        with self._translated():
            known, highest = self._db.execute("SELECT count(disk), max(disk) FROM files").fetchone()
            self._db.execute("UPDATE files SET disk = 0 WHERE disk IS NULL")
            if len(free) == 1:
                self._db.execute("UPDATE files SET disk = 0")
                return
            fits = known and highest < len(free) and all(s <= free[disk] for disk, s in self.sizes_by_disk().items())
            if not fits:
                self._deal({disk: size for disk, size in enumerate(free) if disk != local})
            self._place_local(free, local)

    def _place_local(self, free: Sequence[int], local: int | None) -> None:
        """Cassandra looks for its own tables in one directory only, and for nobody else's there."""
        own = f"keyspace IN {_LOCAL} AND NOT (keyspace = 'system' AND {' OR '.join(map(_is_table, _SPLIT))})"
        self._db.execute(f"UPDATE files SET disk = ? WHERE {own}", (local or 0,))  # noqa: S608 - our own names
        if local is not None:
            strays = f"disk = {local} AND NOT ({own})"
            self._deal({disk: size for disk, size in enumerate(free) if disk != local}, strays)

    def _deal(self, left: dict[int, int], which: str = "1") -> None:
        """Whole SSTables to the emptiest directory each, in the order of their names; all parts of one lie together."""
        after: tuple[Any, ...] = ("", "", "", "")
        descriptor: tuple[str, ...] = ()
        disk = next(iter(left))
        while rows := self._page(which, after):
            moves = []
            for sstable, parts in groupby(rows, key=lambda row: (*row[1:4], parse_component(row[4])[0])):
                if sstable != descriptor:
                    descriptor, disk = sstable, max(left, key=lambda each: left[each])
                for row in parts:
                    left[disk] -= row[5]
                    moves.append((disk, row[0]))
            after = rows[-1][1:5]
            self._db.executemany("UPDATE files SET disk = ? WHERE id = ?", moves)

    def _page(self, which: str, after: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        return self._db.execute(
            "SELECT id, keyspace, name, hidden, file, size FROM files"  # noqa: S608 - conditions of our own
            f" WHERE (keyspace, name, hidden, file) > (?, ?, ?, ?) AND ({which}) ORDER BY 2, 3, 4, 5 LIMIT {_PAGE}",
            after,
        ).fetchall()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise self._trouble(error) from error

    def _trouble(self, error: sqlite3.Error) -> BackupError:
        if "full" in str(error):
            return no_space(self._path, "plan")
        return Refused(
            f"The plan of the download, {self._path}, failed: {error}.",
            hint="Look at the disk that it is on, or name another one with --temp-dir.",
            operation="plan",
            key=str(self._path),
        )


def _is_table(name: str) -> str:
    """In SQL: a table's folder, which is its name, a dash and its id."""
    return f"name = '{name}' OR name LIKE '{name}-%'"


def _hostile(what: str, path: str) -> Corrupt:
    return Corrupt(
        f"The manifest {what}.",
        hint="This backup cannot be restored safely: choose another one, and find out who wrote this.",
        operation="manifest",
        key=path,
    )


def read_plan(path: Path, store: ObjectStore, layout: Layout, node: str, backup: str) -> FetchPlan:
    """Read the manifest of a node backup into a plan. NotFound, Corrupt."""
    key = layout.meta(node, backup, grammar.MANIFEST)
    with ExitStack() as failed:
        plan = FetchPlan(path)
        failed.callback(plan.close)
        reader = ManifestReader(key)

        def take(piece: bytes) -> None:
            for item in reader.feed(piece):
                plan.add(item, layout, node, backup)

        store.fetch(key, take)
        for item in reader.finish():
            plan.add(item, layout, node, backup)
        failed.pop_all()
    return plan
