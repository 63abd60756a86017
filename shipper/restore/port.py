"""What a restore needs beyond the node's own CQL: starting and stopping it, its directories, and its peers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias

from shipper.cassandra.port import Member
from shipper.restore.mounts import mount_points

Rows: TypeAlias = "tuple[tuple[object, ...], ...]"


@dataclass(frozen=True, slots=True)
class Directories:
    """Everything on disk that Cassandra owns.

    ``others``: commit log, hints, saved caches, cdc; ``caches``: the one of them with the saved caches. ``local``: the
    one of ``data`` that holds nothing but the local system tables, where there is one. ``mounts``: what is mounted on
    this machine; nothing is renamed across those.
    """

    data: tuple[Path, ...]
    others: tuple[Path, ...]
    local: Path | None = None
    mounts: frozenset[Path] = field(default_factory=mount_points)
    caches: Path | None = None

    @property
    def local_disk(self) -> int | None:
        """The position of ``local`` among the data directories."""
        return self.data.index(self.local) if self.local in self.data else None


@dataclass(frozen=True, slots=True)
class Witness:
    """The ring as one live node sees it. ``truncated``: table id → UTC epoch seconds."""

    address: str
    members: tuple[Member, ...]
    described: str
    export: str
    truncated: Mapping[str, float]


class Service(Protocol):
    """Cassandra as a service of this machine. Every method raises NodeTrouble when it fails or takes too long."""

    def stop(self) -> None:
        """Stop it and wait until it is down. A stopped one is fine."""
        ...

    def start(self) -> None:
        """Start it and wait until it answers."""
        ...

    def check(self) -> None:
        """The operator's own health check, ``[checks]``."""
        ...

    def drain(self) -> None:
        """Have everything written to its data directories, and no more writes taken until the next start."""
        ...

    def query(self, statement: str, values: Sequence[object] = ()) -> Rows:
        """One statement of CQL, asked of this node; ``values`` for each ``%s`` in it. Denied when the login may not."""
        ...

    def asking(self) -> AbstractContextManager[object]:
        """For a block with many queries, which share one connection in it."""
        ...

    def rebuild_index(self, keyspace: str, table: str, index: str) -> None:
        """Build a secondary index anew from its table."""
        ...

    def missing_commands(self) -> tuple[str, ...]:
        """Configured commands whose program is not on this machine."""
        ...


class Peers(Protocol):
    """The other nodes of the ring. ``hold_hints`` and ``release_hints`` are called from several threads."""

    def witness(self) -> Witness | None:
        """Ask this node if it is up, else the seeds one by one. None when nobody answers."""
        ...

    def is_up(self, address: str) -> bool:
        """Whether a node answers there now."""
        ...

    def hold_hints(self, address: str) -> bool:
        """Stop a peer from replaying hints. False when it cannot be told to."""
        ...

    def release_hints(self, address: str) -> bool:
        """Let it replay hints again. False when it cannot be told to."""
        ...
