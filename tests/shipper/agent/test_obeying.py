"""Commands: which are obeyed, which are refused and how that is told, and what goes first. Signed with a real key."""

from __future__ import annotations

import json

import pytest

from backupstore.core.commands import Payload
from backupstore.errors import NodeTrouble, NoSpace, Refused, Retryable
from backupstore.ports import StoredObject
from shipper.agent.verbs import Work
from shipper.state import StateDirectory
from tests.recorded import NAME
from tests.shipper.agent.world import HOUR, AgentWorld, Gate, failing, prepare


def test_a_command_is_obeyed_and_what_came_of_it_is_told(world: AgentWorld) -> None:
    def work(_command: Payload, work: Work) -> None:
        work.progress.begin("fetching", files=3, size=300)
        world.clock.advance(6)
        work.progress.advance(files=1, size=100)
        work.progress.advance(files=1, size=100)
        work.progress.warn("the disk is slow")

    world.verbs.acts["prepare"] = work
    agent = world.open()
    world.coordinator.command("prepare", 4, arguments=prepare())
    world.turn(agent)
    assert world.verbs.obeyed == [("prepare", 1, 4)]
    states = world.coordinator.states()
    assert [(state.outcome, state.step, state.bytes, state.of) for state in states] == [
        ("doing", "prepare has begun", 0, 0),
        ("doing", "fetching", 0, 300),
        ("doing", "fetching", 100, 300),
        ("done", "fetching", 200, 300),
    ]
    assert states[-1].why == "prepare came to its end the disk is slow"
    assert {(state.node, state.job, state.number, state.epoch, state.verb) for state in states} == {
        (NAME, world.coordinator.job, 4, 1, "prepare")
    }
    assert {state.boot_id for state in states} == {"boot-1"}


def test_a_command_is_obeyed_once_however_often_it_is_read(world: AgentWorld) -> None:
    world.coordinator.command("stop", 1)
    agent = world.open()
    world.turn(agent, 3)
    world.turn(world.open(), 3)
    assert world.verbs.obeyed == [("stop", 1, 1)]
    assert world.coordinator.outcomes() == [(1, "doing"), (1, "done")]


def test_one_command_follows_the_other(world: AgentWorld) -> None:
    agent = world.open()
    for number, verb in enumerate(("stop", "place", "start", "check", "commit"), 1):
        world.coordinator.command(verb, number)  # type: ignore[arg-type]  # verbs
        world.turn(agent, 2)
    assert [verb for verb, _, _ in world.verbs.obeyed] == ["stop", "place", "start", "check", "commit"]
    assert world.coordinator.outcomes()[-1] == (5, "done")
    assert [state.seq for state in world.coordinator.states()] == list(range(1, 11))


def test_what_fails_is_told_with_why_and_what_to_do(world: AgentWorld) -> None:
    world.verbs.acts["start"] = failing(NodeTrouble("Cassandra did not start.", hint="Look into system.log."))
    agent = world.open()
    world.coordinator.command("start", 1)
    world.turn(agent)
    last = world.coordinator.states()[-1]
    assert (last.outcome, last.why, last.hint) == ("failed", "Cassandra did not start.", "Look into system.log.")
    assert agent.orders is not None
    assert agent.orders.failed == 1
    world.turn(world.open(), 2)
    assert len(world.verbs.obeyed) == 1, "a failure is an answer"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_defect_is_told_as_a_failure_and_the_agent_goes_on(world: AgentWorld) -> None:
    def break_down(_command: Payload, _work: Work) -> None:
        raise ZeroDivisionError

    world.verbs.acts["start"] = break_down
    agent = world.open()
    world.coordinator.command("start", 1)
    world.turn(agent)
    last = world.coordinator.states()[-1]
    assert (last.outcome, last.why) == ("failed", "this is a defect in medusa-shipper")
    world.coordinator.command("put-back", 2)
    world.turn(agent)
    assert world.coordinator.outcomes()[-1] == (2, "done")


def test_that_it_was_accepted_is_on_the_disk_before_it_is_begun(world: AgentWorld) -> None:
    seen = []

    def look(_command: Payload, _work: Work) -> None:
        (job,) = json.loads((world.state.path / "agent.json").read_text())["jobs"]
        seen.append((job["number"], job["answered"]))

    world.verbs.acts["stop"] = look
    agent = world.open()
    world.coordinator.command("stop", 7)
    world.turn(agent)
    assert seen == [(7, False)]


def test_a_state_that_cannot_be_written_is_written_later(
    world: AgentWorld, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    agent, create, refused = world.open(), world.store.create, list[str]()

    def unwilling(key: str, body: bytes) -> StoredObject:
        if b'"done"' in body and len(refused) < 4:
            refused.append(key)
            raise Retryable("the bucket is away")
        return create(key, body)

    monkeypatch.setattr(world.store, "create", unwilling)
    world.coordinator.command("stop", 1)
    world.turn(agent)
    assert len(refused) == 4
    assert world.coordinator.outcomes() == [(1, "doing"), (1, "done")]
    assert caplog.text.count("what came of stop cannot be told yet: the bucket is away") == 1


def test_a_bucket_that_cannot_be_read_is_told_once_and_becomes_a_problem(
    world: AgentWorld, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    agent, read = world.open(), world.store.read

    def away(_key: str, **_limit: int) -> object:
        raise Retryable("no bucket here")

    monkeypatch.setattr(world.store, "read", away)
    world.turn(agent, 3)
    assert list(agent.problems) == []
    world.clock.advance(301)
    world.turn(agent, 3)
    assert caplog.text.count("commands cannot be read: no bucket here") == 1
    assert list(agent.problems) == ["commands cannot be read: no bucket here"]
    monkeypatch.setattr(world.store, "read", read)
    world.turn(agent)
    assert list(agent.problems) == []


def test_numbers_of_states_go_on_where_the_memory_was_lost(world: AgentWorld) -> None:
    agent = world.open()
    world.coordinator.command("stop", 1)
    world.turn(agent)
    (world.state.path / "agent.json").unlink()
    again = world.open()
    world.turn(again)
    assert world.verbs.obeyed == [("stop", 1, 1)] * 2, "each verb finds out by itself that it is over"
    states = world.coordinator.states()
    assert [state.outcome for state in states] == ["doing", "done", "doing", "done"]


def test_a_later_command_goes_before_what_may_be_left(world: AgentWorld) -> None:
    gate = world.verbs.acts["prepare"] = Gate()
    agent = world.open()
    world.coordinator.command("prepare", 1, arguments=prepare())
    agent.turn()
    assert gate.began.wait(60)
    world.coordinator.command("put-back", 2)
    agent.turn()
    assert agent.worker.wait(60), "it was left"
    world.turn(agent)
    assert world.verbs.obeyed == [("prepare", 1, 1), ("put-back", 1, 2)]
    assert world.coordinator.outcomes() == [(1, "doing"), (2, "doing"), (2, "done")]


def test_what_moves_the_nodes_data_is_waited_for(world: AgentWorld) -> None:
    gate = world.verbs.acts["stop"] = Gate()
    agent = world.open()
    world.coordinator.command("stop", 1)
    agent.turn()
    assert gate.began.wait(60)
    world.coordinator.command("put-back", 2)
    for _ in range(3):
        agent.turn()
    waiting = [state.step for state in world.coordinator.states() if state.number == 2]
    assert waiting == [f"waiting until this is over: stop of {world.coordinator.job}"]
    gate.goes_on.set()
    assert agent.worker.wait(60)
    world.turn(agent)
    assert world.coordinator.outcomes() == [(1, "doing"), (2, "doing"), (1, "done"), (2, "doing"), (2, "done")]


@pytest.mark.parametrize("verb", ["prepare", "backup"])
def test_a_restore_goes_before_a_backup_of_the_schedule_and_a_backup_waits(world: AgentWorld, verb: str) -> None:
    agent, gate = world.open(), Gate()
    world.turn(agent)

    def hold() -> None:
        gate.began.set()
        assert gate.goes_on.wait(60)

    world.node.between = hold
    world.clock.advance(HOUR / 2)
    agent.turn()
    assert gate.began.wait(60)
    arguments = prepare() if verb == "prepare" else {"backup": "b1"}
    world.coordinator.command(verb, 1, arguments=arguments)  # type: ignore[arg-type]  # one of the verbs
    agent.turn()
    gate.goes_on.set()
    assert agent.worker.wait(60)
    world.node.between = lambda: None
    world.turn(agent, 3)
    turn = agent.backups.diary.value.turn
    assert turn is not None
    assert (turn.stand, len(world.backups())) == (("given-up", 0) if verb == "prepare" else ("good", 1))
    assert world.coordinator.outcomes()[-1] == (1, "done")


def test_a_command_that_is_refused_by_its_verb_has_failed(world: AgentWorld) -> None:
    world.verbs.acts["prepare"] = failing(Refused("There is no space.", hint="Free some."))
    agent = world.open()
    world.coordinator.command("prepare", 1, arguments=prepare())
    world.turn(agent)
    assert world.coordinator.outcomes() == [(1, "doing"), (1, "failed")]


def test_a_full_disk_holds_a_command_up_and_nothing_is_done_that_is_not_noted(
    world: AgentWorld, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    agent = world.open()
    world.turn(agent)
    write = StateDirectory.write

    def full(_state: StateDirectory, _name: str, _value: dict[str, object]) -> None:
        raise NoSpace("No space left.", hint="Free some.")

    monkeypatch.setattr(StateDirectory, "write", full)
    world.coordinator.command("stop", 1)
    world.clock.advance(HOUR / 2)
    world.turn(agent, 3)
    assert world.verbs.obeyed == []
    assert world.backups() == []
    assert caplog.text.count("commands cannot be read: No space left.") == 1
    monkeypatch.setattr(StateDirectory, "write", write)
    world.clock.advance(61)
    world.turn(agent, 3)
    assert world.verbs.obeyed == [("stop", 1, 1)]
    assert len(world.backups()) == 1
