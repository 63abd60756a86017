"""A Cassandra node that is only a directory: ``RecordedNode`` behind ``shipper.cassandra.port.CassandraNode``.

    node = RecordedNode.make(tmp_path / "node", seed=1)      # RecordedNode(path) opens one that is there
    node.flush(); node.compact("shop.orders"); node.rewrite_statistics(); node.restart_generations()
    node.corrupt("shop.orders", "Data.db"); node.alter(); node.create("shop.extra"); node.recreate("shop.reborn")
    node.down = True; node.fails = {"snapshot"}; node.empty = "tables"

Its snapshots are hard links in the places where Cassandra has them; its SSTables have real names, digests and TOCs and
random content, all of it from the seed, so that inspection finds nothing. Everything is on disk: another process sees
the same node. What a real node does is tried in ``tests/harness``; this one is for stories that need thousands of runs.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from backupstore.errors import NodeTrouble
from shipper.cassandra import data_directories
from shipper.cassandra.port import Identity, Member, Schema, Statement, TableFolder
from tests import sstables
from tests.sstables import SMALL, TABLES, Kind

__all__ = ["NAME", "SMALL", "TABLES", "Kind", "RecordedNode", "host_id"]

NAME = "10.0.0.1"
RING = (("10.0.0.1", "dc1", "r1"), ("10.0.0.2", "dc1", "r2"), ("10.0.1.1", "dc2", "r1"))


def host_id(address: str) -> str:
    """The host id of a node of the recorded ring."""
    digest = hashlib.md5(address.encode(), usedforsecurity=False).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}"


class RecordedNode:
    """The node. ``between`` is called again and again while a snapshot is taken or cleared, to be killed there."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.down = False
        self.fails: set[str] = set()
        self.empty = ""  # what a snapshot lacks though it succeeds: "tables" or "files"
        self.restless = 0  # during so many snapshots the schema changes
        self.between: Callable[[], None] = lambda: None
        self._memory: dict[str, Any] = json.loads((base / "node.json").read_text())

    @classmethod
    def make(
        cls, base: Path, *, seed: int = 1, disks: int = 2, tables: dict[str, Kind] | None = None, address: str = NAME
    ) -> RecordedNode:
        """A new node with one flush of everything."""
        for disk in range(disks):
            (base / f"data{disk + 1}").mkdir(parents=True)
        memory = {"seed": seed, "disks": disks, "address": address, "schema": 1, "turn": 0, "release": "5.0.6"}
        memory |= {"tokens": [seed * 1000 + turn for turn in range(4)], "tables": {}, "kinds": {}}
        (base / "node.json").write_text(json.dumps(memory))
        node = cls(base)
        for name, kind in (TABLES if tables is None else tables).items():
            node.create(name, kind)
        return node

    # --- what happens to it ---
    def create(self, name: str, kind: Kind | None = None) -> None:
        """A new table, flushed as often as its kind says."""
        kind = kind or Kind()
        self._memory["tables"][name] = hashlib.md5(f"{self._turn()} {name}".encode()).hexdigest()  # noqa: S324
        self._memory["kinds"][name] = asdict(kind)
        self._memory["schema"] += 1
        for folder in self.folders(name):
            folder.mkdir(parents=True)
        self._save()
        for _ in range(kind.flushed):
            self.flush(name)

    def recreate(self, name: str) -> None:
        """Dropped and created again: the schema's text is the same, the id is another one. Snapshots stay."""
        for folder in self.folders(name):
            sstables.remove_live(folder)
        version, kind = self._memory["schema"], self._kind(name)
        self.create(name, kind)
        self._memory["schema"] = version
        self._save()

    def alter(self) -> None:
        """The schema changes."""
        self._memory["schema"] += 1
        self._save()

    def move(self) -> None:
        """The node takes other tokens."""
        self._memory["tokens"] = [token + 1 for token in self._memory["tokens"]]
        self._save()

    def upgrade(self, release: str) -> None:
        """Another version of Cassandra runs here now."""
        self._memory["release"] = release
        self._save()

    def flush(self, name: str | None = None) -> None:
        """One more SSTable for a table, or for each that ever had one; the data directories take turns."""
        for each in [name] if name else [n for n in self._memory["tables"] if self._kind(n).flushed]:
            turn, kind = self._turn(), self._kind(each)
            folder = self.folders(each)[turn % self._memory["disks"]]
            generation = sstables.uuid_generation(turn) if kind.uuid else str(turn)
            for place in [folder, *([folder / kind.index] if kind.index else [])]:
                self._write(place, f"{kind.version}-{generation}-{kind.form}", kind.components, f"{each} {turn}")

    def compact(self, name: str) -> None:
        """All SSTables of a table become one new one."""
        for folder in self.folders(name):
            sstables.remove_live(folder)
        self.flush(name)

    def rewrite_statistics(self) -> None:
        """Cassandra changes repair state or level: Statistics.db is exchanged by a rename, under its name."""
        turn = self._turn()
        for path in self.live("*Statistics.db"):
            fresh = path.with_name("tmp")
            fresh.write_bytes(self._chance(f"{turn} {path.name}").randbytes(path.stat().st_size))
            fresh.rename(path)

    def restart_generations(self) -> None:
        """Everything is wiped and loaded again: the same names, as many bytes, other content."""
        turn = self._turn()
        for path in self.live("*-Data.db"):
            size, descriptor = path.stat().st_size, path.name.removesuffix("-Data.db")
            parts = [each.name.removeprefix(f"{descriptor}-") for each in path.parent.glob(f"{descriptor}-*")]
            for part in parts:
                (path.parent / f"{descriptor}-{part}").unlink()
            wanted = [part for part in parts if part != "TOC.txt"]
            self._write(path.parent, descriptor, wanted, f"{turn} {path.parent.name}", size=size)

    def grow(self, name: str, size: int) -> None:
        """The first SSTable of a table has so many bytes of data from now on."""
        path = next(path for path in self.live("*-Data.db") if path.parent in self.folders(name))
        descriptor = path.name.removesuffix("-Data.db")
        self._write(path.parent, descriptor, self._kind(name).components, f"{self._turn()} {name}", size=size)

    def corrupt(self, name: str, component: str) -> Path:
        """The disk turns one byte of the first file of that kind around, and keeps size and times."""
        path = next(path for path in self.live(f"*-{component}") if path.parent in self.folders(name))
        status, body = path.stat(), bytearray(path.read_bytes())
        body[len(body) // 2] ^= 0x20
        with path.open("r+b") as file:
            file.write(body)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        return path

    # --- what it holds ---
    def folders(self, name: str) -> tuple[Path, ...]:
        """A table's folders, one in each data directory."""
        keyspace, _, table = name.partition(".")
        return tuple(disk / keyspace / f"{table}-{self._memory['tables'][name]}" for disk in self.data_directories)

    def live(self, pattern: str = "*") -> list[Path]:
        """Files of SSTables that are not in a snapshot, sorted."""
        found = (path for disk in self.data_directories for path in disk.rglob(pattern) if path.is_file())
        return sorted(path for path in found if "snapshots" not in path.parts)

    def contents(self) -> dict[str, bytes]:
        """What a backup of now must hold: the body of each live file by ``KS/CF/[IDX/]file``, disks merged."""
        places = [(path.relative_to(self.base).parts[1:], path) for path in self.live()]
        return {"/".join(parts): path.read_bytes() for parts, path in places if parts[0] != "system_traces"}

    # --- CassandraNode ---
    @property
    def data_directories(self) -> tuple[Path, ...]:
        """As cassandra.yaml would name them."""
        return tuple(self.base / f"data{disk + 1}" for disk in range(self._memory["disks"]))

    def is_up(self) -> bool:
        """Whether CQL answers."""
        return not self.down

    def identity(self) -> Identity:
        """Who this is."""
        self._ask("identity")
        own = next(member for member in self.ring() if member.address == self._memory["address"])
        release = self._memory["release"]
        return Identity(own.host_id, "recorded", own.address, own.dc, own.rack, release, "cassandra", own.tokens)

    def ring(self) -> tuple[Member, ...]:
        """Three nodes in two datacenters."""
        self._ask("ring")
        own, tokens = self._memory["address"], tuple(self._memory["tokens"])
        return tuple(
            Member(a, a, host_id(a), dc, rack, tokens if a == own else (position,), is_up=True)
            for position, (a, dc, rack) in enumerate(RING)
        )

    def schema(self) -> Schema:
        """Both texts, from the tables and the number of changes."""
        self._ask("schema")
        tables, version = self._memory["tables"], self._memory["schema"]
        export = "\n\n".join(f"CREATE TABLE {name} (k int PRIMARY KEY); -- {version}" for name in sorted(tables))
        return Schema(export, tuple(_statement(name, tables[name], version) for name in sorted(tables)))

    def snapshot(self, tag: str, *, keyspaces: Sequence[str] = (), tables: Sequence[str] = ()) -> None:
        """Hard links of all, or of what is named."""
        self._ask("snapshot")
        if tag in self.snapshot_tags(tag):
            raise NodeTrouble(f"There is a snapshot {tag} already.", hint="Clear it.", operation="snapshot")
        everything = not keyspaces and not tables
        for name in self._memory["tables"]:
            if everything or name in tables or name.partition(".")[0] in keyspaces:
                self.between()
                self._snapshot_of(name, tag)
                self._ask("snapshot halfway")
        if self.restless:
            self.restless -= 1
            self.alter()

    def snapshot_tags(self, start: str) -> tuple[str, ...]:
        """Tags on disk."""
        return data_directories.snapshot_tags(self.data_directories, start)

    def clear_snapshot(self, tag: str) -> None:
        """Remove it, table by table."""
        self._ask("clear_snapshot")
        for folder in sorted(path for disk in self.data_directories for path in disk.glob(f"*/*/snapshots/{tag}")):
            self.between()
            shutil.rmtree(folder)

    def snapshot_tables(self, tag: str) -> tuple[TableFolder, ...]:
        """Table folders with that snapshot."""
        return data_directories.snapshot_tables(self.data_directories, tag)

    # --- inside ---
    def _ask(self, what: str) -> None:
        if self.down or what in self.fails:
            raise NodeTrouble(f"'{what}' failed.", hint="This node is only recorded.", operation="test")

    def _snapshot_of(self, name: str, tag: str) -> None:
        if self.empty == "tables":
            return
        folders = self.folders(name)
        for folder in folders:
            (folder / "snapshots" / tag).mkdir(parents=True)
        notes = folders[0] / "snapshots" / tag
        (notes / "manifest.json").write_text("{}")
        (notes / "schema.cql").write_text("-- Cassandra's own note")
        self.between()
        for folder in () if self.empty == "files" else folders:
            for path in sstables.live_below(folder):
                link = folder / "snapshots" / tag / path.relative_to(folder)
                link.parent.mkdir(exist_ok=True)
                os.link(path, link)

    def _write(self, folder: Path, descriptor: str, parts: Iterable[str], seed: str, *, size: int = 0) -> None:
        folder.mkdir(exist_ok=True)
        for part, body in sstables.bodies(parts, self._chance(f"{seed} {folder.name}"), size).items():
            (folder / f"{descriptor}-{part}").write_bytes(body)

    def _kind(self, name: str) -> Kind:
        values = self._memory["kinds"][name]
        return Kind(**{**values, "components": tuple(values["components"])})

    def _chance(self, text: str) -> random.Random:
        return random.Random(f"{self._memory['seed']} {text}")

    def _turn(self) -> int:
        self._memory["turn"] += 1
        self._save()
        return int(self._memory["turn"])

    def _save(self) -> None:
        (self.base / "node.json").write_text(json.dumps(self._memory))


def _statement(name: str, table_id: str, version: int) -> Statement:
    keyspace, _, table = name.partition(".")
    return Statement(
        keyspace, "table", table, f"CREATE TABLE {name} (k int) WITH ID = {uuid.UUID(table_id)}; -- {version}"
    )
