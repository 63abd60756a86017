"""What a cluster shall be like: one frozen value that everything else is derived from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from tests.harness.errors import HarnessError
from tests.harness.jars import DEFAULT_VERSION

SUPERUSER = ("cassandra", "cassandra")


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterConfig:
    """How many nodes, laid out how, with which features.

    Nodes are dealt out to datacenters (`datacenter1`, `datacenter2`…) in turn, and within each
    datacenter to racks (`rack1`, `rack2`…) in turn. `settings` are put into cassandra.yaml last
    and win; `jvm` are further arguments of Java. A `detached` cluster outlives the program that
    started it and is taken down by `Cluster.open(directory).wipe()`, or by hand.
    """

    name: str = "harness"
    nodes: int = 1
    version: str = DEFAULT_VERSION
    num_tokens: int = 16
    data_dirs: int = 1
    sstable_format: Literal["big", "bti"] = "big"
    auth: bool = False
    incremental: bool = False
    datacenters: int = 1
    racks: int = 1
    uuid_sstables: bool | None = None
    detached: bool = False
    settings: Mapping[str, object] = field(default_factory=dict, hash=False)
    jvm: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no ring can be."""
        if not 1 <= self.nodes <= 200:
            raise HarnessError(f"a cluster has 1 to 200 nodes, not {self.nodes}")
        for what in ("num_tokens", "data_dirs", "datacenters", "racks"):
            if getattr(self, what) < 1:
                raise HarnessError(f"{what} must be 1 or more")
        if self.sstable_format == "bti" and self.release < (5, 0):
            raise HarnessError("the BTI format came with Cassandra 5.0")

    @property
    def release(self) -> tuple[int, int]:
        """Major and minor version, to compare with."""
        major, minor = self.version.split(".")[:2]
        return int(major), int(minor.split("-")[0])

    def place(self, number: int) -> tuple[str, str]:
        """Datacenter and rack of a node, counted from 1."""
        turn, datacenter = divmod(number - 1, self.datacenters)
        return f"datacenter{datacenter + 1}", f"rack{turn % self.racks + 1}"

    def tokens(self, number: int) -> tuple[int, ...]:
        """Even tokens, dealt out in turn, so that no node waits for another one to choose."""
        total = self.nodes * self.num_tokens
        return tuple(
            -(1 << 63) + (turn * self.nodes + number - 1) * (1 << 64) // total for turn in range(self.num_tokens)
        )

    def as_json(self) -> dict[str, Any]:
        """The value as plain data, for the cluster's file."""
        return asdict(self)

    @classmethod
    def of_json(cls, plain: dict[str, Any]) -> ClusterConfig:
        """The value from plain data."""
        return cls(**{**plain, "jvm": tuple(plain["jvm"])})
