"""Node backups are dealt out evenly by bytes."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from backupstore.core.dealing import busiest, deal

SIZES = st.dictionaries(st.text("abcdef", min_size=1, max_size=4), st.integers(0, 10**12), max_size=12)
TARGETS = st.lists(st.text("xyz", min_size=1, max_size=3), min_size=1, max_size=5, unique=True)


def test_the_largest_goes_first_and_each_to_whoever_has_least() -> None:
    sizes = {"a": 7, "b": 6, "c": 5, "d": 4, "e": 3}
    assert deal(sizes, ["x", "y"]) == {"x": ("a", "d", "e"), "y": ("b", "c")}


def test_where_there_are_more_targets_some_get_nothing() -> None:
    assert deal({"a": 1}, ["y", "x"]) == {"x": ("a",), "y": ()}


def test_node_backups_without_data_are_shared_out_as_well() -> None:
    assert deal({"a": 0, "b": 0, "c": 0, "d": 0}, ["x", "y"]) == {"x": ("a", "c"), "y": ("b", "d")}


@given(SIZES, TARGETS, st.data())
def test_each_is_dealt_out_once_evenly_and_the_same_in_any_order(
    sizes: dict[str, int], targets: list[str], data: st.DataObject
) -> None:
    dealt = deal(sizes, targets)
    assert dealt.keys() == set(targets)
    assert Counter(source for sources in dealt.values() for source in sources) == Counter(list(sizes))
    loads = sorted(sum(sizes[source] for source in sources) for sources in dealt.values())
    # Whoever is ahead got its last one when it had least; what it had besides, everybody has.
    assert loads[-1] - loads[0] <= max(sizes.values(), default=0)
    again = {name: sizes[name] for name in data.draw(st.permutations(list(sizes)))}
    assert deal(again, data.draw(st.permutations(targets))) == dealt


@given(SIZES, st.integers(0, 9))
def test_so_many_at_once_are_no_slower_than_one_and_no_faster_than_the_largest(
    sizes: dict[str, int], parallel: int
) -> None:
    longest = busiest(sizes, parallel)
    total, largest = sum(sizes.values()), max(sizes.values(), default=0)
    assert largest <= longest <= total
    assert longest == (total if parallel == 1 else longest)
    assert longest == (largest if parallel == 0 else longest)
