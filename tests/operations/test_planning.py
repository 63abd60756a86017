"""The plan of a purge: from the catalog, and never by the catalog alone."""

from __future__ import annotations

import pytest

from backupstore.core import layout as grammar
from backupstore.core.documents import Attempt, Findings, Found, RingNode, encode
from backupstore.core.purge_records import AcceptedRing
from backupstore.core.retention import Policy
from backupstore.core.writers import Principal
from backupstore.errors import Corrupt, NotFound, Refused
from backupstore.operations.accepted_rings import accept_ring
from backupstore.operations.departed import departed_nodes, newest_ring, only_departed
from backupstore.operations.findings import write_findings
from backupstore.operations.plan import Plan
from backupstore.operations.planning import asked_for, ring_of_backup
from tests.operations.fleet import DAY, NOW, Fleet
from tests.shipper.cli.handmade import Made

TWO = Policy(max_count=2)


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


def work_of(plan: Plan) -> dict[str, tuple[str, ...]]:
    return {work.node: work.backups for work in plan.work}


def found_bad(backup: str) -> Findings:
    return Findings(
        revision="x",
        backup=backup,
        level="listing",
        at=NOW,
        ok=False,
        nodes=3,
        objects=1,
        size=1,
        findings=(Found(kind="missing", why="it is not there"),),
    )


def test_what_goes_goes_from_every_node_that_has_it_and_all_nodes_are_swept(fleet: Fleet) -> None:
    fleet.daily([0, 1, 2, 3])
    fleet.index()
    plan = fleet.plan(TWO)
    assert plan.deletes == {"d2", "d3"}
    assert work_of(plan) == dict.fromkeys(fleet.nodes, ("d2", "d3"))
    assert (plan.share.complete, plan.share.complete_gone) == (4, 2)
    assert plan.share.largest == 0.5


def test_planning_writes_nothing(fleet: Fleet) -> None:
    fleet.daily([0, 1, 2, 3])
    fleet.index()
    before = {key: fleet.store.read(key).version for key in fleet.everything()}
    fleet.plan(TWO)
    assert {key: fleet.store.read(key).version for key in fleet.everything()} == before


def test_without_a_catalog_nothing_is_planned(fleet: Fleet) -> None:
    fleet.daily([0])
    with pytest.raises(NotFound, match="no catalog") as caught:
        fleet.plan(TWO)
    assert "build-index" in caught.value.hint


def test_what_the_catalog_believes_in_and_the_bucket_has_not_keeps_nothing(fleet: Fleet) -> None:
    """The newest two are gone since the catalog was written: they must not make the last real ones go."""
    fleet.daily([0, 1, 2, 3])
    fleet.index()
    for name in ("d0", "d1"):
        fleet.store.delete([fleet.layout.meta("n2", name, grammar.MANIFEST)])
    assert fleet.plan(TWO).deletes == set()
    fleet.store.delete(fleet.keys(fleet.layout.backup("n3", "d2")))
    assert fleet.plan(Policy(max_age=DAY)).deletes == set()


def test_what_the_catalog_takes_for_unfinished_is_looked_at_before_it_goes(fleet: Fleet) -> None:
    fleet.ship("slow", 40, nodes=["n1"])
    fleet.index()
    for node in ("n2", "n3"):
        fleet.ship("slow", 40, nodes=[node])
    assert fleet.plan(Policy()).deletes == set()


def test_a_part_of_which_the_catalog_has_not_heard_is_looked_for_before_the_rest_goes(fleet: Fleet) -> None:
    """Only n2's event came: to the catalog it looks as if the others had never done anything."""
    ring = dict.fromkeys(fleet.nodes, "dc1")
    fleet.daily([1, 0])
    fleet.ship("d40", 40, nodes=["n2"], made=Made(ring=ring))
    fleet.index()
    fleet.ship("d40", 40, nodes=[node for node in fleet.nodes if node != "n2"], made=Made(ring=ring))
    plan = fleet.plan(Policy(max_age=90 * DAY))
    assert plan.candidates["d40"].state == "complete"
    assert plan.deletes == set()


def test_unfinished_backups_go_when_they_are_stale(fleet: Fleet) -> None:
    ring = dict.fromkeys(fleet.nodes, "dc1")
    fleet.ship("stale", 40, nodes=["n1"])
    fleet.ship("young", 3, nodes=["n1"])
    fleet.ship("begun", 39, nodes=["n2"], made=Made(ring=ring, end="begun"))
    fleet.daily([20])
    fleet.index()
    plan = fleet.plan(Policy())
    assert plan.deletes == {"stale", "begun"}
    assert work_of(plan) == {"n1": ("stale",), "n2": ("begun",), "n3": ()}


def test_what_a_node_gave_up_goes_out_of_a_backup_that_stays(fleet: Fleet) -> None:
    fleet.daily([20])
    fleet.ship("d20", 20, nodes=["old"], made=Made(ring=dict.fromkeys(fleet.nodes, "dc1"), abandoned=True))
    fleet.ship("lost", 30, nodes=["n1"], made=Made(abandoned=True))
    fleet.index()
    plan = fleet.plan(Policy())
    assert plan.deletes == {"lost"}
    assert work_of(plan) == {"n1": ("lost",), "n2": (), "n3": (), "old": ("d20",)}


def test_what_only_the_catalog_takes_for_given_up_does_not_go(fleet: Fleet) -> None:
    fleet.ship("again", 20, nodes=["n1"], made=Made(ring=dict.fromkeys(fleet.nodes, "dc1"), abandoned=True))
    fleet.ship("again", 20, nodes=["n2", "n3"])
    fleet.index()
    fleet.store.delete([fleet.layout.meta("n1", "again", grammar.ABANDONED)])
    assert work_of(fleet.plan(Policy())) == {"n1": (), "n2": (), "n3": ()}


def test_a_held_backup_stays(fleet: Fleet) -> None:
    fleet.daily([0, 1, 2, 3])
    fleet.index()
    assert fleet.hold("d3", expires=NOW + 1).condemned == ()
    assert fleet.plan(TWO).deletes == {"d2"}
    fleet.time = NOW + 1
    assert fleet.plan(TWO).deletes == {"d2", "d3"}


def test_a_hold_that_cannot_be_read_holds(fleet: Fleet) -> None:
    fleet.daily([0, 1, 2])
    fleet.index()
    fleet.store.create(fleet.layout.hold("d2", "x"), b"{")
    verdict = fleet.verdicts(TWO)["d2"]
    assert not verdict.delete
    assert "cannot be read" in verdict.reason


def test_a_hold_that_comes_too_late_is_told_so(fleet: Fleet) -> None:
    fleet.daily([0, 1])
    fleet.condemn("n2", "d1")
    assert fleet.hold("d1").condemned == ("n2",)


def test_what_is_condemned_goes_on_and_is_not_counted(fleet: Fleet) -> None:
    fleet.daily([0, 1, 2])
    fleet.index()
    fleet.condemn("n1", "d0")
    plan = fleet.plan(TWO)
    assert plan.deletes == {"d0"}
    assert plan.share.complete == 2, "what is going already is in no share"


def test_an_abandoned_node_backup_that_is_condemned_dooms_no_cluster_backup(fleet: Fleet) -> None:
    fleet.daily([20])
    fleet.ship("d20", 20, nodes=["old"], made=Made(ring=dict.fromkeys(fleet.nodes, "dc1"), abandoned=True))
    fleet.index()
    fleet.purge(Policy())
    assert fleet.backups("old") == []
    assert fleet.backups("n1") == ["d20"]
    assert [key for key in fleet.keys(fleet.layout.all_condemned()) if "/old/" in key]
    assert fleet.plan(Policy()).deletes == set()


def test_a_condemned_document_that_cannot_be_read_stops_everything(fleet: Fleet) -> None:
    fleet.daily([0, 1, 2])
    fleet.index()
    fleet.store.create(fleet.layout.condemned_document("n1", "x"), b"{")
    with pytest.raises(Corrupt):
        fleet.plan(TWO)


def test_a_backup_that_verify_found_bad_does_not_count(fleet: Fleet) -> None:
    fleet.daily([0, 1, 2])
    fleet.index()
    write_findings(fleet.store, fleet.layout, found_bad("d0"))
    assert fleet.plan(TWO).deletes == set(), "seen in the bucket, though the catalog does not know it yet"
    assert fleet.plan(Policy(max_count=1)).deletes == {"d2"}


@pytest.mark.parametrize(
    ("counts", "gone"), [({"unchecked": 7}, {"d2"}), ({"unchecked": 7, "mismatch": 1}, set[str]())]
)
def test_what_verify_had_nothing_to_compare_with_is_no_harm(
    fleet: Fleet, counts: dict[str, int], gone: set[str]
) -> None:
    """Stock writes no digests on a local bucket: its backups would never count."""
    fleet.daily([0, 1, 2])
    fleet.index()
    write_findings(fleet.store, fleet.layout, found_bad("d0").model_copy(update={"counts": counts}))
    assert fleet.plan(TWO).deletes == gone


# --- rings ---


def shrink(fleet: Fleet) -> None:
    """From day 2 on, n3 is in no ring any more."""
    fleet.daily([5, 4, 3])
    fleet.nodes = ("n1", "n2")
    fleet.daily([2, 1, 0])
    fleet.index()


def accepted(fleet: Fleet, name: str) -> AcceptedRing:
    ring = ring_of_backup(fleet.place, name)
    assert ring is not None
    hosts = {dc: tuple(sorted(ids)) for dc, ids in ring.hosts.items()}
    return AcceptedRing(backup=name, started=ring.started, hosts=hosts, by="anna", created=NOW)


def test_a_node_that_names_only_itself_rolls_off_nothing(fleet: Fleet) -> None:
    fleet.daily([9, 8, 7])
    for day in (3, 2, 1):
        fleet.ship(f"alone{day}", day, nodes=["n1"], made=Made(ring={"n1": "dc1"}))
    fleet.index()
    assert fleet.plan(Policy(max_count=3)).deletes == set()
    assert fleet.plan(TWO).deletes == {"d9"}


def test_a_backup_with_findings_still_knows_how_large_the_ring_was(fleet: Fleet) -> None:
    """The last one of the whole ring is damaged: one of a node that names only itself must not make it go."""
    fleet.daily([40])
    for day in (0, 1, 2):
        fleet.ship(f"alone{day}", day, nodes=["n1"], made=Made(ring={"n1": "dc1"}))
    write_findings(fleet.store, fleet.layout, found_bad("d40"))
    fleet.index()
    plan = fleet.plan(Policy(max_count=1, max_age=7 * DAY))
    assert plan.deletes == set()
    assert not any(one.counts for one in plan.candidates.values())


def test_a_corrupt_backup_still_knows_how_large_the_ring_was(fleet: Fleet) -> None:
    ring = dict.fromkeys(fleet.nodes, "dc1")
    fleet.ship("corrupt", 40, made=Made(ring=ring, corrupt=frozenset({"nb-1-big-Data.db"})))
    for day in (0, 1, 2):
        fleet.ship(f"alone{day}", day, nodes=["n1"], made=Made(ring={"n1": "dc1"}))
    fleet.index()
    assert fleet.plan(Policy(max_count=1, max_age=7 * DAY)).deletes == set()


def test_a_smaller_ring_counts_once_an_operator_has_accepted_it(fleet: Fleet) -> None:
    shrink(fleet)
    assert fleet.plan(Policy(max_count=3)).deletes == set()
    ring = accepted(fleet, "d2")
    assert fleet.plan(Policy(max_count=3), accepted=(ring,)).deletes == {"d3", "d4", "d5"}
    operator = fleet.bucket.open(Principal.OPERATOR, fleet.layout)
    assert accept_ring(operator, fleet.layout, ring)
    assert not accept_ring(operator, fleet.layout, ring)
    assert fleet.plan(Policy(max_count=3)).deletes == {"d3", "d4", "d5"}


def test_a_replaced_node_has_not_made_the_ring_smaller(fleet: Fleet) -> None:
    fleet.daily([3, 2])
    fleet.nodes = ("n1", "n2", "n4")
    fleet.daily([1, 0])
    fleet.index()
    assert fleet.plan(TWO).deletes == {"d3", "d2"}


def test_who_has_left_is_listed_with_what_goes_and_what_stays(fleet: Fleet) -> None:
    shrink(fleet)
    policy = Policy(max_count=4)
    ring = newest_ring(fleet.place, fleet.plan(policy), by="anna")
    assert (ring.backup, ring.accepted.backup) == ("d0", "d2"), "from the first backup of the smaller ring on"
    plan = fleet.plan(policy, accepted=(ring.accepted,))
    (gone,) = departed_nodes(fleet.place, plan, ring)
    assert (gone.node, gone.host_id, gone.going, gone.staying) == ("n3", "host-n3", ("d4", "d5"), ("d3",))
    plan = fleet.plan(Policy(max_count=1), accepted=(ring.accepted,))
    (gone,) = departed_nodes(fleet.place, plan, ring)
    left = only_departed(plan, [gone])
    assert work_of(left) == {"n3": gone.going}
    assert left.deletes == set(gone.going)


def test_whom_an_attempt_of_the_newest_backup_knows_has_not_left(fleet: Fleet) -> None:
    """Another datacenter's nodes stand in no tokenmap of ours, and a renamed node has kept its host id."""
    shrink(fleet)
    key = fleet.layout.attempt("n1", "d0", 1)
    attempt = Attempt.model_validate_json(fleet.store.read(key).body)
    for member in (RingNode(name="n3", host_id="new"), RingNode(name="renamed", host_id="host-n3")):
        fleet.store.put(key, encode(attempt.model_copy(update={"ring": (member,)})))
        plan = fleet.plan(TWO)
        assert departed_nodes(fleet.place, plan, newest_ring(fleet.place, plan, by="anna")) == ()


def test_nobody_has_left_a_ring_that_nobody_knows(fleet: Fleet) -> None:
    fleet.ship("alone", 1, nodes=["n1"])
    fleet.index()
    with pytest.raises(Refused, match="no complete backup"):
        newest_ring(fleet.place, fleet.plan(TWO), by="anna")


# --- one backup by name ---


def test_one_backup_goes_because_it_was_asked_for(fleet: Fleet) -> None:
    fleet.daily([0, 1, 2])
    fleet.index()
    plan = asked_for(fleet.plan(Policy()), "d1")
    assert plan.deletes == {"d1"}
    assert not plan.newest_gone
    assert asked_for(fleet.plan(Policy()), "d0").newest_gone == {"d0"}
    with pytest.raises(NotFound, match="no backup d9"):
        asked_for(fleet.plan(Policy()), "d9")
    fleet.hold("d1")
    with pytest.raises(Refused, match="held by anna: audit"):
        asked_for(fleet.plan(Policy()), "d1")


def test_sixty_nodes_with_thirty_backups_are_planned() -> None:
    fleet = Fleet(nodes=tuple(f"node{number:02}" for number in range(60)))
    fleet.daily(range(30))
    fleet.index()
    plan = fleet.plan(Policy(keep={"daily": 7, "weekly": 4}))
    assert len(plan.verdicts) == 30
    assert len(plan.work) == 60
    assert {work.backups for work in plan.work} == {tuple(sorted(plan.deletes))}
    days = {0, 1, 2, 3, 4, 5, 6} | {3, 10, 17}  # day 0 is a Wednesday
    assert plan.deletes == {f"d{day}" for day in range(30)} - {f"d{day}" for day in days}
