"""One node's part of a restore of the whole cluster, beside backups, restores of this node alone, other jobs and nodes."""

from __future__ import annotations

import json

import pytest

from backupstore.errors import NodeTrouble, Refused
from tests.killing import Point, Trigger
from tests.recorded import NAME, host_id
from tests.shipper.restore.part import BACK, FORWARD, JOB, obey, obey_all
from tests.shipper.restore.test_refusals import wipe
from tests.shipper.restore.world import World, killed_at, ring_of_three

BEFORE_COMMIT = FORWARD[:-1]


def phase_of(world: World) -> str | None:
    journal = world.journal()
    return journal.phase if journal else None


@pytest.mark.parametrize("done", range(1, len(BEFORE_COMMIT) + 1))
def test_no_backup_starts_on_a_node_that_is_part_of_a_job(world: World, done: int) -> None:
    obey_all(world, BEFORE_COMMIT[:done])
    with pytest.raises(Refused, match=f"a part of {JOB}, is not over"):
        world.back_up("tuesday")


def test_the_operator_of_one_node_leaves_it_to_the_job(world: World) -> None:
    obey_all(world, ("prepare", "stop", "place"))
    with pytest.raises(Refused, match=f"part of {JOB}") as caught:
        world.undo()
    assert f"restore-rollback {JOB}" in caught.value.hint
    assert "--leave-job" in caught.value.hint
    with pytest.raises(Refused, match=f"by {JOB}"):
        world.restore()
    assert phase_of(world) == "starting"
    world.undo(leave_job=True)
    assert world.stands() == "old"
    assert not world.node.down
    with pytest.raises(Refused, match=f"{JOB} is over"):
        obey(world, "check")
    obey_all(world, BACK)
    assert world.stands() == "old"


def test_a_node_that_its_job_has_ended_without_is_finished_alone(world: World) -> None:
    """It was given up while the others committed: the old data must not come back."""
    with pytest.raises(Refused, match="part of a job"):
        world.restore(leave_job=True)
    obey_all(world, BEFORE_COMMIT)
    with pytest.raises(Refused, match=f"by {JOB}") as caught:
        world.restore()
    assert "--leave-job" in caught.value.hint
    world.restore(leave_job=True)
    assert world.stands() == "new"
    assert phase_of(world) is None
    with pytest.raises(Refused, match=f"{JOB} is over"):
        obey(world, "put_back")


def test_finished_alone_nothing_goes_back_whatever_fails(world: World) -> None:
    obey_all(world, ("prepare", "stop", "place"))
    (world.base / "broken").touch()
    with pytest.raises(NodeTrouble, match="does not start"):
        world.restore(leave_job=True)
    assert phase_of(world) == "starting"
    (world.base / "broken").unlink()
    world.restore(leave_job=True)
    assert world.stands() == "new"


def test_a_job_makes_way_for_the_next_one_where_it_has_only_prepared(world: World) -> None:
    obey(world, "prepare")
    obey(world, "prepare", job="restore-2")
    journal = world.journal()
    assert journal is not None
    assert journal.job == "restore-2"
    with pytest.raises(Refused, match=f"{JOB} is over"):
        obey(world, "stop")
    obey(world, "put_back")  # of the first: it has nothing here
    for verb in FORWARD[1:]:
        obey(world, verb, job="restore-2")
    assert world.stands() == "new"


def test_a_restore_that_has_touched_the_node_does_not_make_way(world: World) -> None:
    killed_at(world, Point(1, "after", "service.stop"))
    with pytest.raises(Refused, match="Another restore of this node, to monday, is not over") as caught:
        obey(world, "prepare")
    assert "restore-node --undo" in caught.value.hint
    obey(world, "put_back")
    assert phase_of(world) in {"stopping", "setting-aside"}
    world.undo()
    with pytest.raises(Refused, match=f"{JOB} is over"):
        obey(world, "prepare")
    assert world.stands() == "old"


def test_a_restore_of_one_node_that_has_only_fetched_makes_way(world: World) -> None:
    killed_at(world, Point(9, "after", "store.fetch"))
    obey_all(world, FORWARD)
    assert world.stands() == "new"


def test_nodes_that_are_restored_together_are_neither_compared_nor_kept_quiet(world: World) -> None:
    world.peers.seen = ring_of_three(world)
    everybody = frozenset(member.name for member in world.peers.seen.members)
    with pytest.raises(Refused, match="The ring has moved on"):
        obey(world, "prepare", together=everybody - {"10.0.1.1"})
    trigger = Trigger()
    for verb in FORWARD:
        obey(world.deadly(trigger), verb, together=everybody)
    assert not [call for call in trigger.calls if call.startswith("peers.hold")]
    assert world.stands() == "new"


def test_a_node_of_the_ring_that_is_left_out_holds_its_hints_back(world: World) -> None:
    world.peers.seen = ring_of_three(world)
    obey(world, "prepare", together=frozenset({NAME, "10.0.0.2"}), ignore_ring_changes=True)
    obey(world, "stop")
    assert [path.name for path in world.base.glob("quiet-*")] == ["quiet-10.0.1.1"]
    obey_all(world, BACK)
    assert world.stands() == "old"


def test_a_job_tells_a_wiped_node_who_it_is(world: World) -> None:
    wipe(world)
    with pytest.raises(Refused, match="Nothing here tells"):
        world.restore()
    obey_all(world, FORWARD)
    assert world.stands() == "new"
    assert not world.node.down


def test_but_not_where_that_node_is_up_elsewhere(world: World) -> None:
    world.peers.seen, world.peers.up = ring_of_three(world), frozenset({NAME})
    wipe(world)
    with pytest.raises(Refused, match=f"is up at {NAME}"):
        obey(world, "prepare", ignore_ring_changes=True)
    assert phase_of(world) is None


def test_and_not_where_it_is_somebody_else(world: World) -> None:
    key = world.layout.attempt(NAME, "monday", 1)
    document = json.loads(world.owner.read(key).body)
    world.owner.put(key, json.dumps({**document, "host_id": host_id("10.0.0.2")}).encode())
    with pytest.raises(Refused, match="made by the node with host id"):
        obey(world, "prepare")


def test_two_verbs_at_once(world: World) -> None:
    obey(world, "prepare")
    with world.state.locked("backup tuesday"), pytest.raises(Refused, match="busy: backup tuesday"):
        obey(world, "stop")


def test_a_failed_preparation_is_begun_again(world: World) -> None:
    world.service.missing = ("sudo",)
    with pytest.raises(Refused, match="sudo"):
        obey(world, "prepare")
    world.service.missing = ()
    obey_all(world, FORWARD)
    assert world.stands() == "new"
