"""Who restores what: every way, every reason, and what holds for any two rings in any order."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backupstore.core.host_list import HostLine
from backupstore.core.topology import LEFT_OUT, Choice, Match, Ring, match, match_listed
from backupstore.errors import Refused
from tests.core.rings import Drawn, alike, ring, seat, sizes_of, with_ids

THREE = ring("n1 dc1/r1 10,40", "n2 dc1/r2 20,50", "n3 dc1/r3 30,60")
OTHERS = ring("x dc1/a 11,41", "y dc1/b 21,51", "z dc1/c 31,61")
NO_WISH = Choice()


def matched(backup: Ring, target: Ring, choice: Choice = NO_WISH) -> Match:
    return match(backup, target, sizes_of(backup), choice)


def pairs(found: Match) -> dict[str, str]:
    return {target: "+".join(sources) for target, sources in found.sources.items()}


def shuffled(given: Ring, order: list[int]) -> Ring:
    return replace(given, seats=tuple(given.seats[at] for at in order))


class TestInPlace:
    def test_the_same_host_ids_are_the_same_nodes_whatever_they_are_called_now(self) -> None:
        target = ring("a dc1/r3 31,61", "b dc1/r1 11,41", "c dc1/r2 21,51")
        named = {"a": "id-n3", "b": "id-n1", "c": "id-n2"}
        target = replace(target, seats=tuple(replace(each, host_id=named[each.name]) for each in target.seats))
        found = matched(with_ids(THREE), target)
        assert found.way == "in place"
        assert pairs(found) == {"a": "n3", "b": "n1", "c": "n2"}
        assert found.why == ()

    def test_without_host_ids_the_same_names_with_the_same_tokens_are_the_same_nodes(self) -> None:
        found = matched(THREE, with_ids(THREE))
        assert found.way == "in place"
        assert pairs(found) == {"n1": "n1", "n2": "n2", "n3": "n3"}

    def test_other_host_ids_under_the_same_names_and_tokens_are_other_nodes_that_stay_who_they_are(self) -> None:
        found = matched(with_ids(THREE), with_ids(THREE, "new-"))
        assert (found.way, pairs(found)) == ("remote", {"n1": "n1", "n2": "n2", "n3": "n3"})

    def test_the_same_tokens_under_other_names_are_other_nodes(self) -> None:
        target = ring("c dc1/r1 10,40", "b dc1/r2 20,50", "a dc1/r3 30,60")
        found = matched(THREE, target)
        assert (found.way, pairs(found)) == ("remote", {"a": "n3", "b": "n2", "c": "n1"})

    def test_one_replaced_node_makes_all_of_them_keep_who_they_are(self) -> None:
        target = with_ids(ring("n1 dc1/r1 10,40", "n2 dc1/r2 20,50", "n9 dc1/r3 30,60"))
        found = matched(with_ids(THREE), target)
        assert (found.way, pairs(found)) == ("remote", {"n1": "n1", "n2": "n2", "n9": "n3"})

    def test_a_node_that_stands_in_another_rack_would_not_start_with_what_it_remembers(self) -> None:
        moved = ring("n1 dc1/a 10,40", "n2 dc1/b 20,50", "n3 dc1/c 30,60")
        assert matched(with_ids(THREE), with_ids(moved)).way == "remote"

    def test_a_cluster_of_another_name_is_another_one(self) -> None:
        backup, target = replace(THREE, cluster="prod"), replace(THREE, cluster="staging")
        assert matched(backup, target).way == "remote"
        assert matched(backup, replace(target, cluster="prod")).way == "in place"


class TestRemote:
    def test_each_takes_the_place_of_one_in_the_order_of_the_ring(self) -> None:
        found = matched(THREE, OTHERS)
        assert (found.way, pairs(found), found.why) == ("remote", {"x": "n1", "y": "n2", "z": "n3"}, ())

    def test_whoever_holds_the_same_tokens_takes_the_place_of_that_one(self) -> None:
        target = ring("x dc1/a 30,60", "y dc1/b 10,40", "z dc1/c 15,45")
        assert pairs(matched(THREE, target)) == {"x": "n3", "y": "n1", "z": "n2"}

    def test_racks_stay_together_although_the_order_of_the_ring_says_otherwise(self) -> None:
        backup = ring("n1 dc1/r1 1,2", "n2 dc1/r2 3,4", "n3 dc1/r1 5,6")
        target = ring("x dc1/a 1,3", "y dc1/a 5,7", "z dc1/b 8,9")
        assert pairs(matched(backup, target)) == {"x": "n1", "y": "n3", "z": "n2"}

    def test_racks_of_one_name_go_together_where_tokens_say_nothing(self) -> None:
        target = ring("x dc1/r3 11,41", "y dc1/r2 21,51", "z dc1/r1 31,61")
        assert pairs(matched(THREE, target)) == {"x": "n3", "y": "n2", "z": "n1"}

    def test_single_tokens_find_their_own(self) -> None:
        backup = ring("n1 dc1/r1 10", "n2 dc1/r1 20")
        assert pairs(matched(backup, ring("x dc1/a 20", "y dc1/a 10"))) == {"x": "n2", "y": "n1"}

    def test_two_datacenters_are_paired_apart(self) -> None:
        backup = ring("n1 dc1/r1 1,2", "n2 dc2/r1 3,4")
        target = ring("x dc2/r1 1,5", "y dc1/r1 3,6")
        assert pairs(matched(backup, target)) == {"x": "n2", "y": "n1"}

    def test_without_regard_to_racks_a_repair_is_asked_for(self) -> None:
        target = ring("x dc1/a 11,41", "y dc1/a 21,51", "z dc1/a 31,61")
        found = matched(THREE, target, Choice(ignore_racks=True))
        assert (found.way, pairs(found)) == ("remote", {"x": "n1", "y": "n2", "z": "n3"})
        assert "repair --full" in found.warnings[0]


class TestSstableloader:
    @pytest.mark.parametrize(
        ("target", "why"),
        [
            (ring("x dc1/a 1,2", "y dc1/b 3,4"), ("3 nodes (n1, n2, n3)", "2 nodes (x, y)")),
            (ring("x dc1/a 1", "y dc1/b 2", "z dc1/c 3"), ("2 tokens (n1, n2, n3)", "1 token (x, y, z)")),
            (
                ring("x dc1/a 1,2", "y dc1/a 3,4", "z dc1/b 5,6"),
                ("r1 (n1), r2 (n2), r3 (n3)", "a (x, y), b (z)", "replicas"),
            ),
            (ring("x new/a 1,2", "y new/b 3,4", "z new/c 5,6"), ("dc1 is called new",)),
            (ring(*["x dc1/a 1,2", "y dc1/b 3,4", "z dc1/c 5,6", "v dc2/a 7,8"]), ("nothing for the datacenter dc2",)),
            (Ring((*OTHERS.seats[:2], replace(OTHERS.seats[2], tokens=()))), ("z has no tokens",)),
            (ring("x dc1/a 1,2", "y dc1/b 2,3", "z dc1/c 4,5"), ("x and y both hold the token 2",)),
        ],
    )
    def test_a_ring_that_does_not_fit_is_loaded_and_the_nodes_are_named(
        self, target: Ring, why: tuple[str, ...]
    ) -> None:
        found = matched(THREE, target)
        assert found.way == "sstableloader"
        assert all(part in found.why[0] for part in why), found.why
        assert sorted(source for sources in found.sources.values() for source in sources) == ["n1", "n2", "n3"]
        assert found.sources.keys() == target.names

    def test_a_single_token_that_nobody_holds_is_named(self) -> None:
        found = matched(ring("n1 dc1/r1 10", "n2 dc1/r1 20"), ring("x dc1/r1 10", "y dc1/r1 21"))
        assert found.why == ("n2 held the single token 20, which no node of the target holds; nodes that differ so: 1",)

    def test_single_tokens_that_lie_across_the_racks_are_loaded(self) -> None:
        backup = ring("n1 dc1/r1 1", "n2 dc1/r1 2", "n3 dc1/r2 3", "n4 dc1/r2 4")
        target = ring("w dc1/a 1", "x dc1/b 2", "y dc1/a 3", "z dc1/b 4")
        assert "racks of dc1" in matched(backup, target).why[0]
        assert matched(backup, target, Choice(ignore_racks=True)).way == "remote"

    def test_it_is_taken_when_it_is_asked_for(self) -> None:
        found = matched(with_ids(THREE), with_ids(THREE), Choice(use_sstableloader=True))
        assert (found.way, found.why) == ("sstableloader", ("it was asked for",))

    def test_a_node_without_a_backup_leaves_a_place_that_nobody_can_take(self) -> None:
        found = match(with_ids(THREE), with_ids(THREE), {"n1": 5, "n3": 5}, NO_WISH)
        assert found.way == "sstableloader"
        assert "n2" in found.why[0]
        assert sorted(source for sources in found.sources.values() for source in sources) == ["n1", "n3"]

    def test_a_backup_of_a_node_that_no_ring_knew_is_loaded(self) -> None:
        found = match(THREE, THREE, {**sizes_of(THREE), "n4": 1}, NO_WISH)
        assert (found.way, "n4 stood in no ring" in found.why[0]) == ("sstableloader", True)


class TestDatacenters:
    BACKUP = ring("n1 dc1/r1 1,2", "n2 dc2/r1 3,4")

    def test_the_one_that_is_left_takes_the_place_of_the_one_that_is_left(self) -> None:
        found = matched(self.BACKUP, ring("x dc1/r1 1,2", "y west/r1 3,4"))
        assert found.datacenters == {"dc1": "dc1", "dc2": "west"}
        assert found.warnings == ("Keyspaces with replicas in dc2 get them in west.",)

    def test_what_cannot_be_told_has_to_be_said(self) -> None:
        target = ring("x east/r1 1,2", "y west/r1 3,4")
        with pytest.raises(Refused) as refused:
            matched(self.BACKUP, target)
        assert "dc1, dc2" in refused.value.message
        assert "--datacenter dc1=east" in refused.value.hint
        found = matched(self.BACKUP, target, Choice(datacenters={"dc1": "west", "dc2": "east"}))
        assert found.datacenters == {"dc1": "west", "dc2": "east"}

    def test_one_may_say_half_of_it(self) -> None:
        found = matched(self.BACKUP, ring("x east/r1 1,2", "y west/r1 3,4"), Choice(datacenters={"dc1": "west"}))
        assert found.datacenters == {"dc1": "west", "dc2": "east"}

    def test_where_the_target_has_fewer_the_rest_is_left_out_and_told(self) -> None:
        found = matched(self.BACKUP, ring("x dc1/r1 1,2"))
        assert found.datacenters == {"dc1": "dc1", "dc2": LEFT_OUT}
        assert found.warnings == ("Keyspaces lose their replicas in dc2, which the target does not have.",)
        assert "no datacenter in place of dc2" in found.why[0]
        assert found.sources == {"x": ("n1", "n2")}

    def test_one_that_only_the_target_has_gets_no_replicas_and_that_is_told(self) -> None:
        found = matched(self.BACKUP, ring("x dc1/r1 1,2", "y dc2/r1 3,4", "z new/r1 5,6"))
        assert found.way == "sstableloader"
        (warning,) = found.warnings
        assert "no replicas in new" in warning

    def test_a_name_of_the_backup_may_be_given_to_another_one(self) -> None:
        found = matched(self.BACKUP, ring("x dc1/r1 1,2", "y new/r1 3,4"), Choice(datacenters={"dc2": "dc1"}))
        assert found.datacenters == {"dc2": "dc1", "dc1": "new"}

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"dc3": "dc1"}, "the backup has no datacenter dc3"),
            ({"dc1": "dc3"}, "the target has no datacenter dc3"),
            ({"dc1": "dc1", "dc2": "dc1"}, "dc1 cannot take the place of two"),
        ],
    )
    def test_a_map_that_makes_no_sense_is_refused(self, given: dict[str, str], said: str) -> None:
        with pytest.raises(Refused, match=said):
            matched(self.BACKUP, self.BACKUP, Choice(datacenters=given))


class TestRefused:
    def test_two_nodes_of_one_name(self) -> None:
        with pytest.raises(Refused, match=r"Two nodes of the target are called x\."):
            matched(THREE, ring("x dc1/a 1,2", "x dc1/b 3,4", "z dc1/c 5,6"))

    def test_nothing_to_restore_and_nowhere_to_restore_to(self) -> None:
        with pytest.raises(Refused, match="no node backup"):
            match(THREE, OTHERS, {}, NO_WISH)
        with pytest.raises(Refused, match="no nodes"):
            matched(THREE, Ring(()))


class TestListed:
    LINES = (
        HostLine(1, "x", "n1", is_seed=True),
        HostLine(2, "y", "n2", is_seed=False),
        HostLine(3, "z", "n3", is_seed=False),
    )
    KNOWN = THREE.names
    SIZES = sizes_of(THREE)

    def test_a_list_is_obeyed(self) -> None:
        found = match_listed(self.LINES, self.KNOWN, self.SIZES, NO_WISH)
        assert (found.way, pairs(found)) == ("remote", {"x": "n1", "y": "n2", "z": "n3"})
        assert "as the list says" in found.warnings[0]

    def test_who_takes_his_own_place_is_restored_in_place(self) -> None:
        lines = [replace(line, target=line.source) for line in self.LINES]
        assert match_listed(lines, self.KNOWN, self.SIZES, NO_WISH).way == "in place"
        assert match_listed([*lines[:2], self.LINES[2]], self.KNOWN, self.SIZES, NO_WISH).way == "remote"

    def test_several_sources_of_one_target_are_loaded(self) -> None:
        lines = [replace(line, target="x", is_seed=True) for line in self.LINES]
        found = match_listed(lines, self.KNOWN, self.SIZES, NO_WISH)
        assert (found.way, pairs(found)) == ("sstableloader", {"x": "n1+n2+n3"})
        assert "x takes the place of several nodes" in found.why[0]

    def test_a_source_that_the_list_leaves_out_would_be_lost(self) -> None:
        with pytest.raises(Refused, match="leaves n3 out, 1 of 3 nodes"):
            match_listed(self.LINES[:2], self.KNOWN, self.SIZES, NO_WISH)

    def test_a_source_without_a_backup_is_named_with_its_line(self) -> None:
        with pytest.raises(Refused, match="line 2: n2"):
            match_listed(self.LINES, self.KNOWN, {"n1": 1, "n3": 1}, NO_WISH)

    def test_of_an_incomplete_backup_what_is_there_is_loaded(self) -> None:
        found = match_listed([self.LINES[0], self.LINES[2]], self.KNOWN, {"n1": 1, "n3": 1}, NO_WISH)
        assert (found.way, "n2" in found.why[0]) == ("sstableloader", True)

    def test_the_loader_is_taken_when_it_is_asked_for(self) -> None:
        found = match_listed(self.LINES, self.KNOWN, self.SIZES, Choice(use_sstableloader=True))
        assert (found.way, found.why) == ("sstableloader", ("it was asked for",))


@given(alike())
def test_rings_that_fit_are_paired_one_to_one_and_replicas_stay_apart(drawn: Drawn) -> None:
    found = matched(drawn.backup, drawn.target)
    assert found.way == "remote", found.why
    taken = Counter(source for sources in found.sources.values() for source in sources)
    assert found.sources.keys() == drawn.target.names
    assert taken == Counter(drawn.backup.names)
    before = {each.name: each for each in drawn.backup.seats}
    now = {each.name: each for each in drawn.target.seats}
    for one, other in combinations(found.sources, 2):
        here, there = before[found.sources[one][0]], before[found.sources[other][0]]
        assert (here.dc, there.dc) == (now[one].dc, now[other].dc)
        assert len(here.tokens) == len(now[one].tokens)
        together = (here.dc, here.rack) == (there.dc, there.rack)
        assert together == ((now[one].dc, now[one].rack) == (now[other].dc, now[other].rack))


@given(alike(singles=True))
def test_single_tokens_always_go_to_whoever_holds_them(drawn: Drawn) -> None:
    found = matched(drawn.backup, drawn.target)
    assert found.way == "remote", found.why
    before, now = ({each.name: each.tokens for each in given.seats} for given in (drawn.backup, drawn.target))
    assert all(now[target] == before[sources[0]] for target, sources in found.sources.items())


@given(alike(), st.booleans(), st.booleans(), st.data())
def test_the_order_of_the_nodes_changes_nothing(drawn: Drawn, racks: bool, fewer: bool, data: st.DataObject) -> None:  # noqa: FBT001 - Hypothesis passes them
    target = Ring(drawn.target.seats[1:]) if fewer and len(drawn.target.seats) > 1 else drawn.target
    backup = with_ids(drawn.backup)
    choice = Choice(ignore_racks=racks)
    orders = [data.draw(st.permutations(range(len(each.seats)))) for each in (backup, target)]
    again = match(shuffled(backup, orders[0]), shuffled(target, orders[1]), sizes_of(backup), choice)
    assert again == match(backup, target, sizes_of(backup), choice)


@given(alike(), alike(), st.booleans())
def test_any_two_rings_are_matched_and_every_node_backup_goes_somewhere_once(
    one: Drawn,
    other: Drawn,
    racks: bool,  # noqa: FBT001 - Hypothesis passes it
) -> None:
    datacenters = {"dc0": "dc0"}
    found = match(one.backup, other.target, sizes_of(one.backup), Choice(ignore_racks=racks, datacenters=datacenters))
    taken = Counter(source for sources in found.sources.values() for source in sources)
    assert taken == Counter(one.backup.names)
    assert found.sources.keys() == other.target.names
    assert (found.way == "sstableloader") == bool(found.why)


@given(alike())
def test_a_ring_is_always_restored_in_place_onto_itself(drawn: Drawn) -> None:
    backup = with_ids(drawn.backup)
    found = matched(backup, backup)
    assert found.way == "in place"
    assert all(sources == (target,) for target, sources in found.sources.items())


def test_a_seat_is_read_as_it_is_written() -> None:
    assert seat("n1 dc1/r1 7,5").tokens == (5, 7)
