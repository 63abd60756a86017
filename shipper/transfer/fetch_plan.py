"""The plan of a download: the manifest's entries, checked one by one, in SQLite, so that a hostile or huge manifest costs no memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from backupstore.core import layout as grammar
from backupstore.core.layout import Layout
from backupstore.core.manifest import Entry, ManifestReader, TableSection, check_entry
from backupstore.errors import Corrupt
from backupstore.ports import ObjectStore
from shipper.cassandra.sstables import parse_component

_SCHEMA = """
CREATE TABLE tables (keyspace TEXT, name TEXT, PRIMARY KEY (keyspace, name)) WITHOUT ROWID;
CREATE TABLE files (
  id INTEGER PRIMARY KEY, keyspace TEXT NOT NULL, name TEXT NOT NULL, hidden TEXT NOT NULL, file TEXT NOT NULL,
  key TEXT NOT NULL, size INTEGER NOT NULL, sha256 TEXT, md5 TEXT, corrupt TEXT, disk INTEGER,
  UNIQUE (keyspace, name, hidden, file));
"""


class Wanted(NamedTuple):
    """One file to fetch; ``disk`` is the position of the data directory it came from."""

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
        """Below a data directory, or a download's destination. Every part was checked against Cassandra's own names."""
        return (
            Path(self.keyspace, self.table, self.hidden, self.file)
            if self.hidden
            else Path(self.keyspace, self.table, self.file)
        )


class FetchPlan:
    """Made from one manifest; used from one thread."""

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.executescript(
            "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-8000;" + _SCHEMA + "BEGIN;"
        )

    def close(self) -> None:
        """The plan is over."""
        self._db.close()

    def add(self, item: TableSection | Entry, layout: Layout, node: str) -> None:
        """Take one item of the manifest. Corrupt when it names anything but data of this very node."""
        if isinstance(item, TableSection):
            self._db.execute("INSERT OR IGNORE INTO tables VALUES (?, ?)", (item.keyspace, item.table))
            return
        key = check_entry(layout, node, item)
        try:
            self._db.execute(
                "INSERT INTO files (keyspace, name, hidden, file, key, size, sha256, md5, corrupt, disk) VALUES (?,?,?,?,?,?,?,?,?,?)",
                (
                    *(key.keyspace, key.table, key.index or "", key.file, item.path, item.size),
                    *(item.sha256, item.md5, item.corrupt, item.disk),
                ),
            )
        except sqlite3.IntegrityError as error:
            raise Corrupt(
                f"The manifest names {key.keyspace}/{key.table}/{key.file} twice.",
                hint="This backup cannot be restored safely; choose another one and run verify on this.",
                operation="manifest",
                key=item.path,
            ) from error

    def keep_only(self, keyspaces: frozenset[str], tables: frozenset[tuple[str, str]]) -> None:
        """Drop all but the named keyspaces and (keyspace, table name without id) pairs. Nothing named: keep everything."""
        if not keyspaces and not tables:
            return
        for keyspace, folder in list(self.tables()):
            if keyspace not in keyspaces and (keyspace, folder.partition("-")[0]) not in tables:
                self._db.execute("DELETE FROM tables WHERE keyspace = ? AND name = ?", (keyspace, folder))
                self._db.execute("DELETE FROM files WHERE keyspace = ? AND name = ?", (keyspace, folder))

    def tables(self) -> Iterator[tuple[str, str]]:
        """(keyspace, table folder), sorted."""
        yield from self._db.execute("SELECT keyspace, name FROM tables ORDER BY keyspace, name").fetchall()

    def files(self) -> Iterator[Wanted]:
        """Every file, large ones first, so that no large one is left for the end."""
        select = (
            "SELECT id, keyspace, name, hidden, file, key, size, sha256, md5, disk FROM files ORDER BY size DESC, id"
        )
        for row in self._db.execute(select):
            yield Wanted(*row)

    def totals(self) -> tuple[int, int, int]:
        """(files, bytes, corrupt components)."""
        row = self._db.execute("SELECT count(*), coalesce(sum(size), 0), count(corrupt) FROM files").fetchone()
        return int(row[0]), int(row[1]), int(row[2])

    def sizes_by_disk(self) -> dict[int, int]:
        """Bytes per data directory."""
        return {
            int(disk): int(size) for disk, size in self._db.execute("SELECT disk, sum(size) FROM files GROUP BY disk")
        }

    def place(self, free: Sequence[int]) -> None:
        """Decide which data directory each file goes to, given the free bytes of each.

        Back where it came from when the node has as many directories as then. Otherwise whole SSTables are dealt out to
        the emptiest directory; the keyspaces that Cassandra keeps in its first directory stay there.
        """
        known, highest = self._db.execute("SELECT count(disk), max(disk) FROM files").fetchone()
        if len(free) > 1 and known and highest < len(free):
            self._db.execute("UPDATE files SET disk = 0 WHERE disk IS NULL")
            return
        self._db.execute("UPDATE files SET disk = 0")
        if len(free) > 1:
            self._deal(list(free))

    def _deal(self, left: list[int]) -> None:
        self._db.create_function("descriptor", 1, lambda file: parse_component(file)[0], deterministic=True)
        sstables = self._db.execute(
            "SELECT keyspace, name, hidden, descriptor(file), sum(size) FROM files WHERE keyspace NOT IN ('system', 'system_schema')"
            " GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC"
        ).fetchall()
        for keyspace, name, hidden, descriptor, size in sstables:
            disk = left.index(max(left))
            left[disk] -= size
            self._db.execute(
                "UPDATE files SET disk = ? WHERE keyspace = ? AND name = ? AND hidden = ? AND descriptor(file) = ?",
                (disk, keyspace, name, hidden, descriptor),
            )


def read_plan(path: Path, store: ObjectStore, layout: Layout, node: str, backup: str) -> FetchPlan:
    """Read the manifest of a node backup into a plan. NotFound, Corrupt."""
    plan = FetchPlan(path)
    key = layout.meta(node, backup, grammar.MANIFEST)
    try:
        reader = ManifestReader(key)

        def take(piece: bytes) -> None:
            for item in reader.feed(piece):
                plan.add(item, layout, node)

        store.fetch(key, take)
        for item in reader.finish():
            plan.add(item, layout, node)
    except BaseException:
        plan.close()
        raise
    return plan
