"""One node's part of a restore of the whole cluster: verb by verb, each repeated, each failing, each out of turn."""

from __future__ import annotations

import pytest

from backupstore.errors import NodeTrouble, Refused
from shipper.restore import phases
from tests.killing import Point, Trigger
from tests.recorded import NAME, host_id
from tests.shipper.restore.part import BACK, FORWARD, JOB, die, obey, obey_all
from tests.shipper.restore.world import World

BEFORE_COMMIT = FORWARD[:-1]
PHASE_AFTER = {
    "prepare": "prepared",
    "stop": "placing",
    "place": "starting",
    "start": "starting",
    "check": "checked",
}


def is_down(world: World) -> bool:
    return world.node.down


def phase(world: World) -> str | None:
    journal = world.journal()
    return journal.phase if journal else None


def test_all_verbs_in_a_row_are_a_restore(world: World) -> None:
    trigger = Trigger()
    deadly = world.deadly(trigger)
    for verb in BEFORE_COMMIT:
        obey(deadly, verb)
        assert phase(world) == PHASE_AFTER[verb]
    obey(deadly, "commit")
    assert world.stands() == "new"
    assert not is_down(world)
    services = [call for call in trigger.calls if call.startswith("service.")]
    assert services.index("service.stop") < services.index("service.start") < services.index("service.check")


def test_what_the_check_found_in_the_tables_is_said_with_the_commit(world: World) -> None:
    obey_all(world, BEFORE_COMMIT)
    said = phases.commit(world.site, world.machine, JOB, world.listener)
    assert said == "Tables and views with rows: 1, without: 2."
    assert phases.commit(world.site, world.machine, JOB, world.listener) == "", "it was said"


def test_the_node_runs_on_while_it_is_prepared(world: World) -> None:
    obey(world, "prepare")
    assert not is_down(world)
    obey(world, "stop")
    assert is_down(world)


@pytest.mark.parametrize("times", [2, 3])
def test_each_verb_may_come_again_at_once(world: World, times: int) -> None:
    for verb in FORWARD:
        for _ in range(times):
            obey(world, verb)
    assert world.stands() == "new"
    assert not is_down(world)


def test_each_verb_may_come_again_when_later_ones_were_obeyed(world: World) -> None:
    for count, verb in enumerate(BEFORE_COMMIT):
        obey(world, verb)
        for earlier in FORWARD[: count + 1]:
            before = phase(world)
            obey(world, earlier)
            assert phase(world) == before, earlier
    obey(world, "commit")
    for verb in FORWARD[1:]:
        obey(world, verb)
    assert world.stands() == "new"


@pytest.mark.parametrize("verb", ["stop", "place", "start", "commit"])
def test_a_verb_out_of_turn_is_refused_and_changes_nothing(world: World, verb: str) -> None:
    """Of a check it shows in its answer."""
    too_early = FORWARD[: FORWARD.index(verb) - 1]
    obey_all(world, too_early)
    before = phase(world)
    expected = "Nothing of" if before is None else "does not fit"
    with pytest.raises(Refused, match=expected):
        obey(world, verb)
    assert phase(world) == before


def test_what_was_never_started_does_not_check_out(world: World) -> None:
    obey_all(world, ("prepare", "stop", "place"))
    with pytest.raises(NodeTrouble):
        obey(world, "check")
    with pytest.raises(Refused, match="does not fit"):
        obey(world, "commit")
    assert phase(world) == "starting"


@pytest.mark.parametrize("done", range(len(BEFORE_COMMIT) + 1))
def test_everything_can_be_taken_back_until_the_commit(world: World, done: int) -> None:
    obey_all(world, BEFORE_COMMIT[:done])
    obey(world, "put_back")
    assert phase(world) == ("restarting" if done > 1 else None)
    assert is_down(world) == (done > 1)
    obey_all(world, ("put_back", "start", "start", "put_back", "start"))
    assert world.stands() == "old"
    assert not is_down(world)
    for verb in FORWARD:
        if verb != "start":
            with pytest.raises(Refused, match=f"{JOB} is over"):
                obey(world, verb)
    assert world.stands() == "old"


def test_what_is_committed_is_not_put_back(world: World) -> None:
    obey_all(world, BEFORE_COMMIT)
    assert die(world, Point(1, "before", "disk.rmdir"), "commit")
    with pytest.raises(Refused, match="has proved good"):
        obey(world, "put_back")
    obey(world, "commit")
    with pytest.raises(Refused, match=f"{JOB} is over"):
        obey(world, "put_back")
    assert world.stands() == "new"


@pytest.mark.parametrize("was_up", [True, False])
def test_a_node_that_was_down_stays_down_after_the_way_back(world: World, was_up: bool) -> None:  # noqa: FBT001
    world.site.state.write("identity", {"host_id": host_id(NAME), "node": NAME})
    if not was_up:
        world.service.stop()
    obey_all(world, (*BEFORE_COMMIT, *BACK))
    assert world.stands() == "old"
    assert is_down(world) == (not was_up)


def test_nothing_rolls_back_by_itself(world: World) -> None:
    obey_all(world, ("prepare", "stop", "place"))
    (world.base / "broken").touch()
    with pytest.raises(NodeTrouble, match="does not start"):
        obey(world, "start")
    assert phase(world) == "starting"
    assert is_down(world)
    (world.base / "broken").unlink()
    obey(world, "start")
    world.service.ill = True
    with pytest.raises(NodeTrouble, match="0 rows"):
        obey(world, "check")
    with pytest.raises(Refused, match="does not fit"):
        obey(world, "commit")
    assert phase(world) == "starting"
    assert not is_down(world)
    obey_all(world, BACK)
    assert world.stands() == "old"


def test_a_node_that_fell_ill_after_its_check_is_not_committed(world: World) -> None:
    obey_all(world, BEFORE_COMMIT)
    world.service.ill = True
    with pytest.raises(NodeTrouble, match="0 rows"):
        obey(world, "check")
    with pytest.raises(Refused, match="does not fit"):
        obey(world, "commit")
    world.service.ill = False
    obey_all(world, ("check", "commit"))
    assert world.stands() == "new"


def test_without_verify_an_ill_node_is_good_enough(world: World) -> None:
    world.service.ill = True
    obey_all(world, FORWARD, verify=False)
    assert world.stands() == "new"


def test_a_node_that_was_started_while_its_files_were_moved_is_stopped_first(world: World) -> None:
    obey_all(world, ("prepare", "stop"))
    (world.base / "running").touch()
    obey(world, "place")
    assert is_down(world)
    obey_all(world, ("start", "check", "commit"))
    assert world.stands() == "new"


def test_a_node_whose_journal_was_lost_does_not_start_its_mix(world: World) -> None:
    obey_all(world, ("prepare", "stop"))
    world.state.journal.unlink()
    for verb in ("place", "start", "check", "commit"):
        with pytest.raises(Refused, match=f"Nothing of {JOB} is open") as caught:
            obey(world, verb)
        assert "do not start Cassandra" in caught.value.hint
    assert is_down(world)
