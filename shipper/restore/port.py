"""What a restore needs beyond the node's own CQL: starting and stopping it, its directories, and its peers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from shipper.cassandra.port import Member


@dataclass(frozen=True, slots=True)
class Directories:
    """Everything on disk that Cassandra owns. ``others``: commit log, hints, saved caches, cdc."""

    data: tuple[Path, ...]
    others: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Witness:
    """The ring as one live node sees it. ``truncated``: table id (32 hex digits) → UTC epoch seconds."""

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

    def missing_commands(self) -> tuple[str, ...]:
        """Configured commands whose program is not on this machine."""
        ...


class Peers(Protocol):
    """The other nodes of the ring."""

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
