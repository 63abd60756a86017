"""Which node of one datacenter takes the place of which: rack by rack, by the tokens they hold, whatever order they come in.

A replica's place is worked out from tokens and racks. Put in place, the files of a node bring its tokens with them; the
rack is the target's own. So replicas stay where Cassandra looks for them exactly when nodes of one rack stay in one rack
and nodes of different racks in different ones, whatever the racks are called. Single tokens are set by hand, and stay:
there each node has to find its own token.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from backupstore.core.shown import counted, some_of


@dataclass(frozen=True, slots=True)
class Seat:
    """Where a node stands in a ring, and who it is. ``host_id`` is empty where nobody knows it; ``tokens`` are sorted."""

    name: str
    dc: str
    rack: str
    tokens: tuple[int, ...]
    host_id: str = ""


class DifferentError(Exception):
    """Why files of one ring cannot be put in place in the other: a sentence that names nodes, without its full stop."""


_Order = tuple[int, tuple[int, ...], str]


def pair(sources: Sequence[Seat], targets: Sequence[Seat], *, ignore_racks: bool = False) -> dict[str, str]:
    """Target → source for two datacenters, each source once. DifferentError; the same for any order of the nodes."""
    dc = sources[0].dc if sources else "the datacenter"
    if len(sources) != len(targets):
        raise DifferentError(f"{dc} had {_nodes(sources)}, and the target has {_nodes(targets)}")
    if Counter(map(_count, sources)) != Counter(map(_count, targets)):
        raise DifferentError(f"nodes of {dc} held {_counts(sources)}, and hold {_counts(targets)} on the target")
    singles = all(_count(seat) == 1 for seat in sources)
    if singles:
        _check_singles(sources, targets)
    if ignore_racks:
        return _by_tokens(sources, targets)
    racks = _pair_racks(_racks(sources), _racks(targets), dc)
    pairs = {target: source for here, there in racks for target, source in _by_tokens(here, there).items()}
    if singles and pairs != _by_tokens(sources, targets):
        raise DifferentError(_racks_differ(_racks(sources), _racks(targets), dc))
    return pairs


def _check_singles(sources: Sequence[Seat], targets: Sequence[Seat]) -> None:
    there = {seat.tokens for seat in targets}
    without = [seat for seat in sources if seat.tokens not in there]
    if without:
        held = f"{without[0].name} held the single token {without[0].tokens[0]}"
        raise DifferentError(f"{held}, which no node of the target holds; nodes that differ so: {len(without)}")


def _by_tokens(sources: Iterable[Seat], targets: Iterable[Seat]) -> dict[str, str]:
    """As many of each: first those that hold the same tokens, then in the order of the ring."""
    waiting = {seat.tokens: seat for seat in sources}
    pairs, others = {}, list[Seat]()
    for target in targets:
        same = waiting.pop(target.tokens, None)
        if same is None:
            others.append(target)
        else:
            pairs[target.name] = same.name
    left = zip(sorted(others, key=_order), sorted(waiting.values(), key=_order), strict=True)
    return {**pairs, **{target.name: source.name for target, source in left}}


def _pair_racks(
    before: Mapping[str, Sequence[Seat]], now: Mapping[str, Sequence[Seat]], dc: str
) -> list[tuple[Sequence[Seat], Sequence[Seat]]]:
    """Racks of the same shape, those first that hold the most tokens in common, then those of one name."""
    if Counter(map(_shape, before.values())) != Counter(map(_shape, now.values())):
        raise DifferentError(_racks_differ(before, now, dc))
    first = {id(seats): min(map(_order, seats)) for seats in (*before.values(), *now.values())}
    held = {id(seats): {seat.tokens for seat in seats} for seats in (*before.values(), *now.values())}
    ranked = sorted(
        (-len(held[id(here)] & held[id(there)]), rack != other, first[id(here)], first[id(there)], rack, other)
        for rack, here in before.items()
        for other, there in now.items()
        if len(here) == len(there) and _shape(here) == _shape(there)
    )
    found: dict[str, str] = {}
    taken: set[str] = set()
    for *_, rack, other in ranked:
        if rack not in found and other not in taken:
            found[rack] = other
            taken.add(other)
    return [(before[rack], now[other]) for rack, other in found.items()]


def _racks(seats: Iterable[Seat]) -> dict[str, list[Seat]]:
    found: dict[str, list[Seat]] = {}
    for seat in seats:
        found.setdefault(seat.rack, []).append(seat)
    return found


def _shape(seats: Iterable[Seat]) -> tuple[int, ...]:
    return tuple(sorted(map(_count, seats)))


def _count(seat: Seat) -> int:
    return len(seat.tokens)


def _order(seat: Seat) -> _Order:
    return len(seat.tokens), seat.tokens, seat.name


def _nodes(seats: Sequence[Seat]) -> str:
    return f"{counted(len(seats), 'node')} ({some_of(sorted(seat.name for seat in seats))})"


def _counts(seats: Iterable[Seat]) -> str:
    """``16 tokens (n1, n2), 4 tokens (n3)``."""
    by_count: dict[int, list[str]] = {}
    for seat in seats:
        by_count.setdefault(_count(seat), []).append(seat.name)
    return ", ".join(
        f"{counted(count, 'token')} ({some_of(sorted(names))})"
        for count, names in sorted(by_count.items(), reverse=True)
    )


def _racks_differ(before: Mapping[str, Sequence[Seat]], now: Mapping[str, Sequence[Seat]], dc: str) -> str:
    return (
        f"the racks of {dc} were {_of_racks(before)}, and are {_of_racks(now)} on the target:"
        " Cassandra would look for replicas where none are"
    )


def _of_racks(racks: Mapping[str, Sequence[Seat]]) -> str:
    return ", ".join(
        f"{rack or 'unknown'} ({some_of(sorted(seat.name for seat in seats))})" for rack, seats in sorted(racks.items())
    )
