"""Is a cluster backup complete, and if not: whom does it wait for?

Every node stores the ring of its own datacenter, as it saw it when it started. For each datacenter that takes part, the
ring of the node that started first says which nodes are *expected*. Stock looks at the first ring only, so that of two
datacenters one is never checked. Whatever is not known counts against completeness: a node whose datacenter nobody can
tell is waited for, since the ring of its datacenter is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from backupstore.core.documents import NodeFact
from backupstore.core.tokenmap import Ring


@dataclass(frozen=True, slots=True)
class Complete:
    """Every expected node is finished, and there is at least one. ``unexpected`` nodes are in no ring that counts."""

    nodes: tuple[str, ...]
    unexpected: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Waiting:
    """``incomplete`` nodes have started, ``missing`` ones have not, or were given up; ``finished`` are there."""

    incomplete: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    finished: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()


def is_finished(fact: NodeFact) -> bool:
    """Whether the node backup counts: committed, readable, and not given up."""
    return fact.finished is not None and fact.problem is None and not fact.abandoned


def completion(nodes: Mapping[str, NodeFact], rings: Mapping[str, Ring]) -> Complete | Waiting:
    """Judge one cluster backup. Node backups beside ``abandoned`` are no backups."""
    live = {name: fact for name, fact in nodes.items() if not fact.abandoned}
    expected, unknown = _expected(live, rings)
    unexpected = tuple(sorted(live.keys() - expected))
    finished = {name for name in expected - unknown if name in live and is_finished(live[name])}
    if expected and finished == expected:
        return Complete(tuple(sorted(expected)), unexpected)
    return Waiting(
        incomplete=tuple(sorted((expected & live.keys()) - finished)),
        missing=tuple(sorted(expected - live.keys())),
        finished=tuple(sorted(finished)),
        unexpected=unexpected,
    )


def first_nodes(nodes: Mapping[str, NodeFact], rings: Mapping[str, Ring]) -> dict[str, str]:
    """Datacenter → the node whose ring says which nodes are expected there: the one that started first."""
    first: dict[str, str] = {}
    live = ((fact.started, name, fact) for name, fact in nodes.items() if not fact.abandoned)
    for _, name, fact in sorted(live, key=lambda one: one[:2]):
        dc = datacenter_of(name, rings.get(fact.ring or "", {}))
        if dc is not None:
            first.setdefault(dc, name)
    return first


def datacenter_of(name: str, ring: Ring) -> str | None:
    """Where the writer of this ring stands: a ring holds one datacenter, even one that does not name its writer."""
    if name in ring:
        return ring[name].dc
    dcs = {place.dc for place in ring.values()}
    return dcs.pop() if len(dcs) == 1 else None


def _expected(live: Mapping[str, NodeFact], rings: Mapping[str, Ring]) -> tuple[set[str], set[str]]:
    """The expected nodes, and those of them whose datacenter is unknown."""
    of = {name: rings.get(fact.ring or "", {}) for name, fact in live.items()}
    expected = {member for name in first_nodes(live, rings).values() for member in of[name]}
    unknown = {name for name, ring in of.items() if datacenter_of(name, ring) is None} - expected
    return expected | unknown, unknown
