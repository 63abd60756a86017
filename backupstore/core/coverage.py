"""Does what was backed up hold every token range of every keyspace, so that a ring can be restored from it?

A node backup holds the ranges of which its node was a replica *as that node saw the ring and the schema* when it made
its snapshot. A range is covered when one node backup holds it. Replicas are placed as Cassandra places them: by
``SimpleStrategy`` the next nodes on the ring, by ``NetworkTopologyStrategy`` in each datacenter the next nodes that stand
in racks not met yet, as far as there are enough racks. Transient replicas hold nothing that counts.

What cannot be told (a strategy of somebody's own, a ring without racks) is reported, and is never taken for covered.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from backupstore.core.replication import Replication
from backupstore.core.tokenmap import Tokenmap

_FACTOR = re.compile(r"([0-9]{1,6})(?:/([0-9]{1,6}))?")
_NOBODYS = frozenset({"LocalStrategy"})
_EVERYBODYS = frozenset({"EverywhereStrategy"})
_FACTOR_OPTION = "replication_factor"
_NAMED = 8
_MOST_STEPS = 1 << 28
"""So many nodes are looked at to place one keyspace; a ring of a thousand nodes with 256 tokens each needs less."""
NEVER_SHIPPED = frozenset({"system_traces"})
"""Keyspaces that no backup holds: what happened lately, and nothing that anybody restores."""


@dataclass(frozen=True, slots=True)
class Holder:
    """One node backup that counts: the ring of all datacenters and the keyspaces, as its node saw them."""

    node: str
    ring: Tokenmap
    keyspaces: Mapping[str, Replication]


@dataclass(frozen=True, slots=True)
class Gap:
    """What is wrong with one keyspace. ``known`` is False where coverage could not be told."""

    keyspace: str
    why: str
    known: bool = True


@dataclass(frozen=True, slots=True)
class _Placed:
    """Tokens in order, and who holds the range that ends with each."""

    tokens: Sequence[int]
    holders: Sequence[Sequence[str]]

    def at(self, token: int) -> Sequence[str]:
        """Who holds a token: the range of the next one on the ring."""
        return self.holders[bisect_left(self.tokens, token) % len(self.tokens)]


class _UnknownError(Exception):
    """Why nobody can tell where the replicas are."""


def gaps(holders: Sequence[Holder]) -> tuple[Gap, ...]:
    """What these node backups do not cover, sorted by keyspace. The first one's schema says which keyspaces there are."""
    if not holders:
        return (Gap("", "there is no finished node backup"),)
    asked = _Asked()
    found = (
        _gap(name, holders, asked)
        for name, replication in sorted(holders[0].keyspaces.items())
        if replication.strategy not in _NOBODYS and name not in NEVER_SHIPPED
    )
    return tuple(gap for gap in found if gap is not None)


class _Asked:
    """Placements that were computed before: most keyspaces, and most nodes' rings, are alike."""

    def __init__(self) -> None:
        self._rings: list[Tokenmap] = []
        self._placed: dict[tuple[int, Replication], tuple[_Placed, ...]] = {}

    def number(self, ring: Tokenmap) -> int:
        """Names a ring by its content: who is up makes no difference."""
        for number, known in enumerate(self._rings):
            if known is ring or _same_ring(known, ring):
                return number
        self._rings.append(ring)
        return len(self._rings) - 1

    def ring(self, number: int) -> Tokenmap:
        return self._rings[number]

    def placed(self, number: int, replication: Replication) -> tuple[_Placed, ...]:
        """Of each datacenter, or of the whole ring. _UnknownError."""
        key = number, replication
        if key not in self._placed:
            self._placed[key] = tuple(place(self._rings[number], replication))
        return self._placed[key]


def _same_ring(first: Tokenmap, second: Tokenmap) -> bool:
    return first.keys() == second.keys() and all(
        (one.tokens, one.dc, one.rack) == (second[name].tokens, second[name].dc, second[name].rack)
        for name, one in first.items()
    )


def _gap(keyspace: str, holders: Sequence[Holder], asked: _Asked) -> Gap | None:
    views: dict[tuple[int, Replication], set[str]] = {}
    for holder in holders:
        replication = holder.keyspaces.get(keyspace)
        if replication is not None:
            views.setdefault((asked.number(holder.ring), replication), set()).add(holder.node)
    try:
        placed = {view: asked.placed(*view) for view in views}
    except _UnknownError as unknown:
        return Gap(keyspace, f"whether all of it is there cannot be told: {unknown}", known=False)
    ends = sorted({token for number, _ in views for member in asked.ring(number).values() for token in member.tokens})
    uncovered = [end for end in ends if not any(_holds(placed[view], end, nodes) for view, nodes in views.items())]
    if ends and not uncovered:
        return None
    base = placed[asked.number(holders[0].ring), holders[0].keyspaces[keyspace]]
    missed = sorted({name for end in uncovered for each in base for name in each.at(end)})
    named = ", ".join(missed[:_NAMED]) + (f" and {len(missed) - _NAMED} more" if len(missed) > _NAMED else "")
    held_by = f"; they were held by {named}" if missed else ""
    return Gap(keyspace, f"{len(uncovered)} of {len(ends)} token ranges are in no node backup{held_by}")


def _holds(placed: Sequence[_Placed], token: int, nodes: set[str]) -> bool:
    return any(not nodes.isdisjoint(each.at(token)) for each in placed)


def place(ring: Tokenmap, replication: Replication) -> Iterator[_Placed]:
    """Who holds which range, of each datacenter, or of the whole ring. _UnknownError."""
    owners = _owners(ring)
    options = dict(replication.options)
    match replication.strategy:
        case "SimpleStrategy":
            factor, full = _factor(options.get(_FACTOR_OPTION, ""))
            yield _walk(owners, dict.fromkeys(ring, ""), factor, full)
        case "NetworkTopologyStrategy":
            yield from _place_by_datacenter(ring, owners, options)
        case strategy if strategy in _EVERYBODYS:
            yield _Placed([token for token, _ in owners], [sorted(ring)] * len(owners))
        case strategy:
            raise _UnknownError(f"its replication strategy, {strategy or 'none'}, is not known")


def _place_by_datacenter(
    ring: Tokenmap, owners: Sequence[tuple[int, str]], options: dict[str, str]
) -> Iterator[_Placed]:
    everywhere = options.pop(_FACTOR_OPTION, None)
    if any(not member.dc for member in ring.values()):
        raise _UnknownError("a tokenmap does not say in which datacenter its nodes are")
    for dc in sorted({member.dc for member in ring.values()}):
        text = options.get(dc, everywhere)
        factor, full = _factor(text) if text is not None else (0, 0)
        racks = {name: member.rack for name, member in ring.items() if member.dc == dc}
        if full and any(not rack for rack in racks.values()):
            raise _UnknownError(f"a tokenmap does not say in which racks the nodes of {dc} are")
        own = [(token, name) for token, name in owners if name in racks]
        if full and own:
            yield _walk(own, racks, factor, full)


def _owners(ring: Tokenmap) -> list[tuple[int, str]]:
    owners = sorted((token, name) for name, member in ring.items() for token in member.tokens)
    if not owners:
        raise _UnknownError("no tokenmap holds a token")
    if any(one[0] == other[0] for one, other in pairwise(owners)):
        raise _UnknownError("a tokenmap gives one token to two nodes")
    return owners


def _walk(owners: Sequence[tuple[int, str]], racks: Mapping[str, str], factor: int, full: int) -> _Placed:
    """From each token on along the ring, as Cassandra does: a new rack always, a rack met before as often as is needed."""
    number = len({name for _, name in owners})
    wanted = min(factor, number)
    repeats_allowed = factor - len({racks[name] for _, name in owners})
    # The nodes as they come first from a token on: a later token of one that was left out changes nothing.
    following: OrderedDict[str, None] = OrderedDict()
    for _, name in reversed(owners):
        following[name] = None
        following.move_to_end(name, last=False)
    holders, steps = [], 0
    for _, owner in reversed(owners):
        following.move_to_end(owner, last=False)
        found: list[str] = []
        met: set[str] = set()
        repeats = repeats_allowed
        for name in following:
            if len(found) == wanted:
                break
            steps += 1
            if racks[name] not in met:
                met.add(racks[name])
            elif repeats > 0:
                repeats -= 1
            else:
                continue
            found.append(name)
        holders.append(tuple(found[:full]))
        if steps > _MOST_STEPS:
            raise _UnknownError("its nodes stand so unevenly in racks that it would take too long to tell")
    return _Placed([token for token, _ in owners], holders[::-1])


def _factor(text: str) -> tuple[int, int]:
    """All replicas, and those of them that hold everything. _UnknownError."""
    match = _FACTOR.fullmatch(text)
    if match is None:
        raise _UnknownError(f"its replication factor, {text[:40]!r}, is no number")
    factor, transient = int(match[1]), int(match[2] or 0)
    return factor, max(0, factor - transient)
