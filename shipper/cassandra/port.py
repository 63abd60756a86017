"""What the shipper needs from the Cassandra node beside it, in our words.

``LocalNode`` (in ``node.py``) does it with CQL, nodetool and the configured commands; tests that need thousands of runs
use a recorded snapshot directory behind the same protocol. Every method raises ``NodeTrouble`` with a hint when
Cassandra, nodetool or a command fails or does not answer in its time limit; nothing returns a half answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from backupstore.errors import NodeTrouble


class Undecoded(NodeTrouble):
    """The node has answered with rows, and Python has no value for something in them: a time after the year 9999."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this node is, from ``system.local``. ``tokens`` as Cassandra holds them, in its order."""

    host_id: str
    cluster: str
    address: str
    dc: str
    rack: str
    release_version: str
    server_type: str
    tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Member:
    """One node of the ring, all datacenters; ``name`` is what its keys in the bucket use, resolved as our own name is.

    ``address`` is the one for clients, as the driver (and so stock) has it; ``is_up`` is None where it is not known.
    """

    name: str
    address: str
    host_id: str
    dc: str
    rack: str
    tokens: tuple[int, ...]
    is_up: bool | None


@dataclass(frozen=True, slots=True)
class Statement:
    """One row of ``DESCRIBE SCHEMA WITH INTERNALS``: keyspace, type, function, aggregate, table, index or view.

    Names are as on disk, without CQL's quotes; those of functions and aggregates carry their signature.
    """

    keyspace: str
    kind: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Schema:
    """``export`` is the driver's text, which stock parses; ``statements`` are the server's own, with ids."""

    export: str
    statements: tuple[Statement, ...]

    @property
    def described(self) -> str:
        """The text of ``describe.cql``."""
        return "\n\n".join(statement.text for statement in self.statements) + "\n"


@dataclass(frozen=True, slots=True)
class Component:
    """One file of a snapshot. ``disk`` is the position of its data directory, ``index`` a hidden directory or None."""

    disk: int
    keyspace: str
    table: str
    index: str | None
    path: Path

    @property
    def file(self) -> str:
        """The file's own name."""
        return self.path.name


@dataclass(frozen=True, slots=True)
class TableFolder:
    """One table directory that a snapshot covers; it may hold no SSTable at all."""

    disk: int
    keyspace: str
    table: str
    path: Path


class SnapshotCommands(Protocol):
    """How Cassandra is told about snapshots: by nodetool, the management API or Jolokia."""

    def snapshot(self, tag: str, *, keyspaces: Sequence[str] = (), tables: Sequence[str] = ()) -> None:
        """Take a snapshot of everything, of keyspaces, or of ``ks.table`` s. It flushes first."""
        ...

    def clear_snapshot(self, tag: str) -> None:
        """Remove a snapshot from every table. One that does not exist is fine."""
        ...


class CassandraNode(Protocol):
    """The node beside us."""

    @property
    def data_directories(self) -> tuple[Path, ...]:
        """As cassandra.yaml names them, in its order."""
        ...

    def is_up(self) -> bool:
        """Whether CQL answers now. Never raises."""
        ...

    def identity(self) -> Identity:
        """Ask the running node who it is."""
        ...

    def ring(self) -> tuple[Member, ...]:
        """Every node of every datacenter, this one included, sorted by name."""
        ...

    def schema(self) -> Schema:
        """The schema as it is now."""
        ...

    def snapshot(self, tag: str, *, keyspaces: Sequence[str] = (), tables: Sequence[str] = ()) -> None:
        """Take a snapshot: everything, or the named keyspaces and ``ks.table`` s. An existing tag is an error."""
        ...

    def snapshot_tags(self, start: str) -> tuple[str, ...]:
        """Tags on disk that begin with ``start``, sorted. Works while Cassandra is down."""
        ...

    def clear_snapshot(self, tag: str) -> None:
        """Remove a snapshot from every table. An unknown tag is fine."""
        ...

    def snapshot_tables(self, tag: str) -> Sequence[TableFolder]:
        """Table directories with that snapshot, sorted by (keyspace, table, disk), ``system_traces`` left out."""
        ...
