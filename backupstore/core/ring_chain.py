"""Which complete backups count: those whose ring is no smaller than that of the complete backup before them.

"Complete" is what the tokenmaps say, and each node writes its own. A node that names only itself makes backups which are
complete and worthless, and these must not make real ones roll off. So a backup counts when it holds, in each datacenter,
at least as many nodes as the last one that counted: every one of them, or for one that is gone another that has taken its
place. Nodes are told apart by their host ids, since a name may move. Where the ring became smaller on purpose, an
operator says so once (``AcceptedRing``), and the chain goes on from that ring.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Hosts = Mapping[str, frozenset[str]]
"""Host ids by datacenter."""


@dataclass(frozen=True, slots=True)
class SeenRing:
    """The nodes that a complete backup holds. ``accepted``: an operator said that this is the whole ring from here on."""

    name: str
    started: float
    hosts: Hosts = field(default_factory=dict)
    accepted: bool = False


@dataclass(frozen=True, slots=True)
class Chain:
    """The names that count, and of each of the others what it lacks, as a sentence's end."""

    covering: frozenset[str]
    lacking: Mapping[str, str]


def follow(rings: Iterable[SeenRing]) -> Chain:
    """Follow the rings from the oldest to the newest."""
    covering = set()
    lacking = {}
    last: SeenRing | None = None
    for ring in sorted(rings, key=lambda ring: (ring.started, ring.name, ring.accepted)):
        lacks = lack(last, ring) if last and not ring.accepted else ""
        if lacks:
            lacking[ring.name] = lacks
        else:
            last = ring
            covering.add(ring.name)
    return Chain(frozenset(covering), {name: why for name, why in lacking.items() if name not in covering})


def lack(last: SeenRing, ring: SeenRing) -> str:
    """What a ring lacks beside an earlier one; empty when it covers that."""
    had = Counter({dc: len(hosts) for dc, hosts in last.hosts.items()})
    has = Counter({dc: len(hosts) for dc, hosts in ring.hosts.items()})
    fewer = had - has
    if not fewer:
        return ""
    where = ", ".join(f"{has[dc]} of {had[dc]} nodes in {dc or 'its datacenter'}" for dc in sorted(fewer))
    return f"it holds {where} as {last.name} knew them"
