"""Rings for tests: written in one line, or drawn by Hypothesis in any order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hypothesis import strategies as st

from backupstore.core.pairing import Seat
from backupstore.core.topology import Ring


def seat(text: str, host_id: str = "") -> Seat:
    """``n1 dc1/r1 5,7``."""
    name, place, tokens = text.split()
    dc, rack = place.split("/")
    return Seat(name, dc, rack, tuple(sorted(int(token) for token in tokens.split(","))), host_id)


def ring(*texts: str, cluster: str = "") -> Ring:
    """One seat a line."""
    return Ring(tuple(map(seat, texts)), cluster)


def with_ids(given: Ring, start: str = "id-") -> Ring:
    """The same nodes, each with a host id of its own."""
    return replace(given, seats=tuple(replace(each, host_id=f"{start}{each.name}") for each in given.seats))


def sizes_of(given: Ring) -> dict[str, int]:
    """A finished backup of each node."""
    return {each.name: 100 for each in given.seats}


@dataclass(frozen=True)
class Drawn:
    """A ring that was backed up, and one of other nodes in racks of the same shape under other names."""

    backup: Ring
    target: Ring


@st.composite
def alike(draw: st.DrawFn, *, singles: bool = False) -> Drawn:
    """Two rings that fit: per datacenter the same racks by number of nodes and tokens, everything else is drawn."""
    shape = draw(st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=3), min_size=1, max_size=2))
    racks = [
        (dc, rack, [1 if singles else draw(st.sampled_from([2, 4])) for _ in range(nodes)])
        for dc, sizes in enumerate(shape)
        for rack, nodes in enumerate(sizes)
    ]
    total = sum(map(sum, (counts for _, _, counts in racks)))
    before = draw(_tokens(total))
    now = before if singles or draw(st.booleans()) else draw(_tokens(total))
    order = draw(st.permutations([f"t{number}" for number in range(sum(len(counts) for *_, counts in racks))]))
    backup, target = _seats(racks, before), _seats(racks, now)
    renamed = [replace(one, name=name, rack=f"other-{one.rack}") for one, name in zip(target, order, strict=True)]
    return Drawn(Ring(tuple(draw(st.permutations(backup)))), Ring(tuple(draw(st.permutations(renamed)))))


def _tokens(count: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(-(1 << 63), (1 << 63) - 1), min_size=count, max_size=count, unique=True)


def _seats(racks: Sequence[tuple[int, int, list[int]]], tokens: Sequence[int]) -> list[Seat]:
    left, seats = list(tokens), list[Seat]()
    for dc, rack, counts in racks:
        for count in counts:
            held, left = left[:count], left[count:]
            seats.append(Seat(f"n{len(seats)}", f"dc{dc}", f"r{rack}", tuple(sorted(held))))
    return seats
