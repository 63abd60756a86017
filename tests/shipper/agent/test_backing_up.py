"""The agent backs up at its times: missed, cut off, failing, in turn, and never into a restore."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from backupstore.core.names import name_of_time
from shipper.agent.loop import Agent
from shipper.agent.slots import Turn
from shipper.restore import journal as journals
from shipper.restore.journal import Journal
from tests.recorded import NAME
from tests.shipper.agent.world import DAY, HOUR, MINUTE, AgentWorld, make_world


def stands(agent: Agent) -> Turn:
    turn = agent.backups.diary.value.turn
    assert turn is not None
    return turn


def test_a_slot_is_backed_up_once_under_the_name_of_its_time(world: AgentWorld) -> None:
    agent = world.open()
    world.turn(agent, 3)
    assert world.backups() == []
    world.clock.advance(HOUR / 2)
    slot = name_of_time(world.clock.now())
    world.clock.advance(7)
    world.turn(agent, 3)
    assert world.backups() == [slot]
    assert (stands(agent).stand, agent.problems) == ("good", ())
    assert world.node.snapshot_tags("") == ()
    ended = agent.backups.diary.value.ended
    assert ended is not None
    assert (ended.backup, ended.corrupt) == (slot, 0)
    assert ended.size > 0
    world.clock.advance(HOUR)
    world.turn(agent, 2)
    assert len(world.backups()) == 2


def test_what_was_missed_while_the_machine_was_off_is_made_up_for_once(
    world: AgentWorld, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    first = world.open()
    world.clock.advance(HOUR / 2)
    world.turn(first, 2)
    world.clock.advance(5 * HOUR + 10 * MINUTE)
    world.clock.reboot()
    again = world.open()
    world.turn(again, 4)
    assert len(world.backups()) == 2
    assert stands(again).slot == world.clock.now() // HOUR * HOUR
    skipped = [name_of_time(stands(again).slot - hours * HOUR) for hours in (4, 3, 2, 1)]
    assert f"skipped, for an earlier backup took so long, or nothing ran here: {', '.join(skipped)}" in caplog.text


def test_a_failure_is_told_tried_again_and_left_to_the_next_slot(
    world: AgentWorld, caplog: pytest.LogCaptureFixture
) -> None:
    agent = world.open()
    world.turn(agent)
    world.node.fails = {"snapshot"}
    world.clock.advance(HOUR / 2)
    world.turn(agent, 3)
    assert (stands(agent).stand, stands(agent).tries) == ("failed", 1)
    assert list(agent.problems) == [f"backup {stands(agent).backup}: 'snapshot' failed."]
    world.clock.advance(MINUTE)
    world.turn(agent, 3)
    assert stands(agent).tries == 2
    failed = stands(agent).backup
    world.clock.advance(HOUR)
    world.node.fails = set()
    world.turn(agent)
    assert f"backup {failed} is given up after 2 tries: 'snapshot' failed." in caplog.text
    assert world.backups() == [stands(agent).backup] != [failed]
    assert list(agent.problems) == []


def test_a_failure_that_is_over_by_the_next_try_leaves_a_good_slot(world: AgentWorld) -> None:
    agent = world.open()
    world.turn(agent)
    world.node.down = True
    world.clock.advance(HOUR / 2)
    world.turn(agent)
    world.node.down = False
    world.clock.advance(MINUTE)
    world.turn(agent)
    assert (stands(agent).stand, stands(agent).tries, agent.problems) == ("good", 2, ())
    assert world.backups() == [stands(agent).backup]


def test_corrupt_files_make_a_backup_that_is_told_of_and_not_tried_again(world: AgentWorld) -> None:
    agent = world.open()
    world.turn(agent)
    world.node.corrupt("shop.customers", "Data.db")
    world.clock.advance(HOUR / 2)
    world.turn(agent)
    assert (stands(agent).stand, stands(agent).tries) == ("corrupt", 1)
    assert "1 component of" in agent.problems[0]
    world.clock.advance(30 * MINUTE)
    world.turn(agent, 2)
    assert stands(agent).tries == 1


def test_a_backup_that_overruns_ends_before_the_next_begins(world: AgentWorld) -> None:
    agent, began, goes_on = world.open(), threading.Event(), threading.Event()
    world.turn(agent)

    def take_long() -> None:
        began.set()
        assert goes_on.wait(60)

    world.node.between = take_long
    world.clock.advance(HOUR / 2)
    agent.turn()
    assert began.wait(60)
    first = stands(agent).backup
    world.clock.advance(2.5 * HOUR)
    for _ in range(3):
        agent.turn()
    assert stands(agent).backup == first
    world.node.between = lambda: None
    goes_on.set()
    assert agent.worker.wait(60)
    world.turn(agent, 2)
    assert world.backups() == [first, name_of_time(world.clock.now() // HOUR * HOUR)]


def test_what_the_end_of_the_agent_cut_off_is_gone_on_with(world: AgentWorld) -> None:
    agent, began, goes_on = world.open(), threading.Event(), threading.Event()
    world.turn(agent)

    def hold() -> None:
        began.set()
        assert goes_on.wait(60)

    world.node.between = hold
    world.clock.advance(HOUR / 2)
    agent.turn()
    assert began.wait(60)
    name = stands(agent).backup
    threading.Timer(0.2, goes_on.set).start()
    assert agent.stop(60)
    assert world.backups() == []
    world.node.between = lambda: None
    again = world.open()
    assert stands(again).stand == "doing"
    world.turn(again, 2)
    assert world.backups() == [name]
    assert (stands(again).stand, stands(again).tries) == ("good", 2)
    assert world.node.snapshot_tags("") == ()


def test_a_backup_that_was_finished_and_not_noted_is_good(world: AgentWorld) -> None:
    agent = world.open()
    world.clock.advance(HOUR / 2)
    world.turn(agent)
    diary = agent.backups.diary
    diary.change(lambda old: old.model_copy(update={"turn": stands(agent).model_copy(update={"stand": "doing"})}))
    again = world.open()
    world.turn(again, 2)
    assert (stands(again).stand, len(world.backups()), again.problems) == ("good", 1, ())


@pytest.mark.parametrize("phase", ["prepared", "placing", "restarting"])
def test_no_backup_begins_while_a_restore_is_open(
    world: AgentWorld, phase: journals.Phase, caplog: pytest.LogCaptureFixture
) -> None:
    agent = world.open()
    world.turn(agent)
    journal = Journal(
        phase=phase,
        backup="b1",
        node=NAME,
        bucket="bucket",
        host_id=None,
        places=(),
        was_up=True,
        boot_id="b",
        job=world.coordinator.job,
    )
    journals.save(world.state, journal)
    world.clock.advance(HOUR / 2)
    world.turn(agent, 3)
    assert world.backups() == []
    assert "A restore of this node to b1" in agent.problems[0]
    assert caplog.text.count("is not begun: A restore of this node to b1") == 1
    journals.close(world.state, journal)
    world.turn(agent, 2)
    assert (len(world.backups()), agent.problems) == (1, ())


@pytest.mark.parametrize(("seed", "place"), [(0, 0), (1, 2)])
def test_nodes_begin_in_the_order_of_their_tokens(tmp_path: Path, seed: int, place: int) -> None:
    """In the recorded ring the others have the tokens 1 and 2, and this node those from a thousand times its seed on."""
    world = make_world(tmp_path, seed=seed)
    world.stagger = 600.0
    agent = world.open()
    world.turn(agent, 2)
    assert agent.backups.offset == place * 600.0
    world.clock.advance(HOUR / 2 + agent.backups.offset - 1)
    world.turn(agent, 2)
    assert world.backups() == []
    world.clock.advance(1)
    world.turn(agent)
    assert world.backups() == [name_of_time(world.clock.now() // HOUR * HOUR)]


def test_a_snapshot_that_was_left_behind_is_cleared_at_the_start(world: AgentWorld) -> None:
    world.node.snapshot("medusa-shipper-long-ago")
    world.node.snapshot("an-operators-own")
    world.turn(world.open())
    assert world.node.snapshot_tags("") == ("an-operators-own",)


def test_a_node_that_is_down_at_the_start_is_looked_at_later(
    world: AgentWorld, caplog: pytest.LogCaptureFixture
) -> None:
    world.node.snapshot("medusa-shipper-long-ago")
    world.node.fails = {"clear_snapshot"}
    agent = world.open()
    for _ in range(3):
        world.turn(agent)
        world.clock.advance(61)
    assert caplog.text.count("the node was not looked at yet") == 1
    world.node.fails = set()
    world.turn(agent)
    assert world.node.snapshot_tags("") == ()


def test_a_memory_that_cannot_be_read_is_begun_anew_and_nothing_is_done_twice(
    world: AgentWorld, caplog: pytest.LogCaptureFixture
) -> None:
    agent = world.open()
    world.clock.advance(HOUR / 2)
    world.turn(agent, 2)
    (world.state.path / "schedule.json").write_text("{")
    again = world.open()
    world.turn(again, 2)
    assert len(world.backups()) == 1
    assert "is begun anew" in caplog.text
    world.clock.advance(DAY)
    world.turn(again, 2)
    assert len(world.backups()) == 2
