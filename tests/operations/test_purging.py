"""A run of purge: on record before anything goes, no two that each keep what the other deletes, and a catalog that follows."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import replace

import pytest

from backupstore.core.documents import Condemned, decode, encode
from backupstore.core.layout import Layout
from backupstore.core.purge_records import NodeResult, PlannedVerdict, PurgeRecord
from backupstore.core.retention import Policy
from backupstore.errors import Corrupt, Retryable
from backupstore.operations.doomed import read_record
from backupstore.operations.planning import asked_for
from backupstore.operations.purging import carry_out
from backupstore.operations.reading import read_head
from backupstore.ports import Folder, ObjectStore
from tests.operations.fleet import DAY, NOW, Fleet
from tests.shipper.backup.world import Wrapped
from tests.shipper.cli.handmade import Made

TWO = Policy(max_count=2)


@pytest.fixture
def fleet() -> Fleet:
    found = Fleet()
    found.daily([0, 1, 20, 30])
    found.index()
    return found


def record(fleet: Fleet, name: str = "run1") -> PurgeRecord:
    found = read_record(fleet.store, fleet.layout, name)
    assert found
    return found


def catalogued(fleet: Fleet) -> list[str]:
    head = read_head(fleet.store, fleet.layout)
    return [line.name for line in head.backups] if head else []


def test_what_goes_is_gone_from_bucket_and_catalog_and_what_stays_is_whole(fleet: Fleet) -> None:
    outcome = fleet.purge(TWO)
    for node in fleet.nodes:
        assert fleet.backups(node) == ["d0", "d1"]
        data = [key.rpartition("/")[2] for key in fleet.keys(fleet.layout.shared_data(node))]
        assert data == ["nb-09-big-Data.db", "nb-1-big-Data.db", "nb-19-big-Data.db"]
    assert catalogued(fleet) == ["d1", "d0"]
    assert outcome.errors == ()
    assert outcome.objects == sum(result.objects for result in record(fleet).results) > 0
    assert outcome.size > 0


def test_the_plan_is_on_record_before_the_first_deletion_and_the_outcome_after_the_last(fleet: Fleet) -> None:
    seen: list[PurgeRecord] = []

    def tell(_: NodeResult) -> None:
        seen.append(record(fleet))

    fleet.purge(TWO, tell=tell)
    assert {one.finished for one in seen} == {None}
    assert {verdict.name for verdict in seen[0].verdicts} == {"d0", "d1", "d20", "d30"}
    assert seen[0].deletes == {"d20", "d30"}
    assert all(verdict.reason for verdict in seen[0].verdicts)
    after = record(fleet)
    assert after.finished == NOW
    assert [(result.node, result.done) for result in after.results] == [("n1", True), ("n2", True), ("n3", True)]


def test_a_second_purge_finds_nothing_to_do(fleet: Fleet) -> None:
    fleet.purge(TWO)
    before = [key for key in fleet.everything() if "/purges/" not in key]
    assert fleet.purge(TWO, "run2").objects == 0
    assert [key for key in fleet.everything() if "/purges/" not in key] == before


def test_two_purges_at_once_never_each_keep_what_the_other_deletes(fleet: Fleet) -> None:
    """One was told to delete the newest by name, while the other keeps it and deletes all others."""
    other = asked_for(fleet.plan(Policy()), "d0")
    plan = fleet.plan(Policy(max_count=1))
    assert plan.deletes == {"d1", "d20", "d30"}
    fleet.store.create(fleet.layout.purge("run2"), _begun(fleet, other.deletes))
    outcome = fleet.carry_out(plan)
    assert outcome.plan.deletes == {"d20", "d30"}
    assert fleet.backups() == ["d0", "d1"]
    assert record(fleet).deletes == {"d20", "d30"}, "whoever reads it later must not take d1 for one that goes"


def test_what_another_purge_condemned_after_our_plan_counts_no_more(fleet: Fleet) -> None:
    plan = fleet.plan(Policy(max_count=1))
    fleet.store.create(fleet.layout.purge("run2"), _begun(fleet, frozenset({"d0"}), finished=NOW))
    fleet.condemn("n1", "d0", run="run2")
    assert fleet.carry_out(plan).plan.deletes == {"d20", "d30"}


def test_both_may_delete_what_both_want_to(fleet: Fleet) -> None:
    fleet.store.create(fleet.layout.purge("run2"), _begun(fleet, frozenset({"d20", "d30"})))
    assert fleet.purge(TWO).plan.deletes == {"d20", "d30"}


def test_what_a_third_purge_wants_to_delete_as_well_may_still_be_all_that_is_left(fleet: Fleet) -> None:
    """That one may be dead. As the simulation found: a purge died, an operator deleted the newest, a third took the rest."""
    fleet.store.create(fleet.layout.purge("dead"), _begun(fleet, {"d1", "d20", "d30"}))
    plan = fleet.plan(Policy(max_count=1))
    fleet.store.create(fleet.layout.purge("run2"), _begun(fleet, {"d0"}))
    assert "d1" not in fleet.carry_out(plan).plan.deletes
    assert "d1" in fleet.backups()


def test_a_purge_that_died_long_ago_is_not_waited_for(fleet: Fleet) -> None:
    fleet.time = NOW - 15 * DAY
    fleet.store.create(fleet.layout.purge("run2"), _begun(fleet, frozenset({"d0"})))
    fleet.time = NOW
    assert fleet.purge(Policy(max_count=1)).plan.deletes == {"d1", "d20", "d30"}
    assert record(fleet, "run2").finished == NOW, "and it is put down that it did nothing more"


def test_what_a_purge_that_is_over_did_not_delete_counts_again(fleet: Fleet) -> None:
    fleet.store.create(fleet.layout.purge("run2"), _begun(fleet, frozenset({"d0"}), finished=NOW))
    assert fleet.purge(Policy(max_count=1)).plan.deletes == {"d1", "d20", "d30"}


def test_a_record_that_cannot_be_read_stops_the_purge_before_it_deletes(fleet: Fleet) -> None:
    fleet.store.create(fleet.layout.purge("odd"), b"{")
    with pytest.raises(Corrupt):
        fleet.purge(TWO)
    assert fleet.backups() == ["d0", "d1", "d20", "d30"]


def test_a_hold_that_comes_between_plan_and_deletion_is_obeyed(fleet: Fleet) -> None:
    plan = fleet.plan(TWO)
    fleet.hold("d30")
    outcome = fleet.carry_out(plan)
    assert fleet.backups() == ["d0", "d1", "d30"]
    assert any("d30 is held" in note for result in outcome.record.results for note in result.notes)


def test_a_purge_that_died_half_way_is_finished_by_the_next_though_its_policy_would_keep_more() -> None:
    fleet = Fleet()
    fleet.daily([0, 1, 2, 3])
    fleet.index()
    plan = fleet.plan(TWO)

    class DiesError(Exception):
        pass

    def tell(_: NodeResult) -> None:
        raise DiesError

    with pytest.raises(DiesError):
        fleet.carry_out(plan, tell=tell)
    assert fleet.backups("n1") == ["d0", "d1"]
    assert fleet.backups("n3") == ["d0", "d1", "d2", "d3"]
    fleet.index()
    fleet.purge(Policy(), "run2")
    assert fleet.backups("n3") == ["d0", "d1"]


def test_a_purge_that_died_half_way_is_gone_on_with_where_the_plan_is_the_same(fleet: Fleet) -> None:
    class DiesError(Exception):
        pass

    def tell(_: NodeResult) -> None:
        raise DiesError

    with pytest.raises(DiesError):
        fleet.purge(TWO, tell=tell)
    fleet.index()
    told: list[NodeResult] = []
    outcome = fleet.purge(TWO, "run2", tell=told.append)
    assert outcome.record.run == "run1"
    assert fleet.keys(fleet.layout.purges()) == [fleet.layout.purge("run1")]
    assert [result.node for result in told] == ["n2", "n3"], "n1 was done"
    assert [(result.node, result.done) for result in record(fleet).results] == [(node, True) for node in fleet.nodes]
    assert catalogued(fleet) == ["d1", "d0"]


def test_trouble_with_one_node_does_not_keep_the_others_from_being_done(fleet: Fleet) -> None:
    plan = fleet.plan(TWO)
    troubled = replace(fleet.place, store=_Failing(fleet.place.store, fleet.layout.node("n2")))
    outcome = carry_out(troubled, plan, fleet.run("run1"), indexer=fleet.store)
    assert outcome.errors == ("n2: the store does not answer",)
    assert [result.done for result in outcome.record.results] == [True, False, True]
    assert (fleet.backups("n1"), fleet.backups("n2")) == (["d0", "d1"], ["d0", "d1", "d20", "d30"])
    fleet.purge(TWO, "run2")
    assert fleet.backups("n2") == ["d0", "d1"]


def test_orphans_of_nodes_without_backups_are_swept_too(fleet: Fleet) -> None:
    fleet.time = NOW - 30 * DAY
    orphan = f"{fleet.layout.shared_data('gone')}ks/t-0123456789abcdef0123456789abcdef/nb-1-big-Data.db"
    fleet.store.create(orphan, b"data")
    fleet.time = NOW
    fleet.purge(Policy())
    assert orphan not in fleet.everything()


def test_without_a_prefix_other_clusters_are_nobodys_nodes() -> None:
    ours = Fleet(layout=Layout())
    ours.daily([0, 1, 2])
    theirs = Fleet(layout=Layout("other"))
    theirs.bucket, theirs.time = ours.bucket, NOW
    theirs.ship("theirs", 40, made=Made(ring=dict.fromkeys(theirs.nodes, "dc1"), mode="full"))
    ours.index()
    before = [key for key in ours.everything() if key.startswith("other/")]
    ours.purge(TWO)
    assert [key for key in ours.everything() if key.startswith("other/")] == before
    assert ours.backups() == ["d0", "d1"]


def _begun(fleet: Fleet, deletes: Iterable[str], finished: float | None = None) -> bytes:
    """The record of a purge that is at work, or has finished."""
    verdicts = tuple(PlannedVerdict(name=name, delete=True, reason="why") for name in sorted(deletes))
    return encode(PurgeRecord(revision="x", run="run2", created=fleet.time, verdicts=verdicts, finished=finished))


class _Failing(Wrapped):
    """A store that does not list what is below one folder."""

    def __init__(self, store: ObjectStore, folder: str) -> None:
        super().__init__(store)
        self.folder = folder

    def entries(self, folder: str) -> Folder:
        if folder.startswith(self.folder):
            raise Retryable("the store does not answer")
        return self.store.entries(folder)


def test_a_later_node_is_purged_at_its_own_time(fleet: Fleet) -> None:
    """How old a condemned document is says whether it may still be carried out: a slow run must not stop its clock."""
    ticks = itertools.count()
    fleet.purge(TWO, running=lambda: 3600.0 * next(ticks))
    created = []
    for node in fleet.nodes:
        (document,) = fleet.keys(fleet.layout.condemned(node))
        created.append(decode(Condemned, fleet.store.read(document).body, document).created)
    assert NOW < created[0] < created[1]
