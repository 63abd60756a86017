"""Which complete backups count, by their rings."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from backupstore.core.ring_chain import SeenRing, follow


def ring(name: str, started: float, hosts: str, *, accepted: bool = False) -> SeenRing:
    """``hosts``: one letter for each node of dc1; those after a slash are in dc2."""
    first, _, second = hosts.partition("/")
    found = {"dc1": frozenset(first), "dc2": frozenset(second)}
    return SeenRing(name, started, {dc: ids for dc, ids in found.items() if ids}, accepted)


def test_a_node_that_names_only_itself_does_not_count() -> None:
    found = follow([ring("real", 1, "abc"), ring("alone", 2, "a"), ring("real2", 3, "abc")])
    assert found.covering == {"real", "real2"}
    assert found.lacking == {"alone": "it holds 1 of 3 nodes in dc1 as real knew them"}


def test_a_ring_that_grew_counts_and_is_the_measure_from_then_on() -> None:
    assert follow([ring("a", 1, "ab"), ring("b", 2, "abc"), ring("c", 3, "ab")]).covering == {"a", "b"}


def test_a_replaced_node_takes_the_place_of_the_old_one_in_its_datacenter_only() -> None:
    assert follow([ring("a", 1, "abc"), ring("b", 2, "abX")]).covering == {"a", "b"}
    assert follow([ring("a", 1, "abc/d"), ring("b", 2, "ab/dX")]).covering == {"a"}


def test_a_datacenter_that_is_missing_is_missed() -> None:
    assert follow([ring("a", 1, "ab/cd"), ring("b", 2, "abef")]).lacking == {
        "b": "it holds 0 of 2 nodes in dc2 as a knew them"
    }


def test_an_accepted_ring_is_the_measure_even_after_its_backup_is_gone() -> None:
    old, new, newer = ring("old", 1, "abc"), ring("new", 2, "ab"), ring("newer", 3, "ab")
    said = ring("new", 2, "ab", accepted=True)
    assert follow([old, new, newer]).covering == {"old"}
    assert follow([old, new, newer, said]).covering == {"old", "new", "newer"}
    assert follow([old, newer, said]).covering >= {"old", "newer"}
    assert follow([old, newer, said, ring("alone", 4, "a")]).lacking.keys() == {"alone"}
    assert follow([old, new, said]).lacking == {}


@given(st.lists(st.tuples(st.text("abcd", max_size=4), st.text("ef", max_size=2)), max_size=8))
def test_every_ring_counts_or_lacks_something(hosts: list[tuple[str, str]]) -> None:
    rings = [ring(f"b{at}", at, "/".join(pair)) for at, pair in enumerate(hosts)]
    found = follow(rings)
    assert found.covering.isdisjoint(found.lacking)
    assert found.covering | found.lacking.keys() == {one.name for one in rings}
    assert follow(reversed(rings)) == found
