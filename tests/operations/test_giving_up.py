"""Nodes that are gone for good: the job goes on without them by name only, and says for ever that it did, and what to do there."""

from __future__ import annotations

from functools import partial

import pytest

from backupstore.core.commands import Command, Payload, read_payload
from backupstore.operations.documents import read_own
from tests.killing import Point, Trigger, killed, killing
from tests.operations.jobs import World, world


def dead_in(here: World, phase: str, node: str = "n3", **asked: object) -> str:
    """A job that waits in this phase for a node that is gone."""
    job = here.ask(**asked)  # type: ignore[arg-type] # what the test says
    here.run_until(job, phase)
    here.agents[node].answer = lambda _: None
    here.run()
    here.clock.advance(901)
    here.run()
    assert (here.job(job).phase, [wait.node for wait in here.job(job).waiting]) == (phase, [node])
    return job


def told(here: World, node: str) -> Payload:
    """What lies where the node looks."""
    command = read_own(here.owner, Command, here.layout.command(node))
    assert command is not None
    return read_payload(command.payload)


@pytest.mark.parametrize("phase", ["stopping", "placing", "starting", "checking"])
def test_before_the_decision_the_others_go_back_without_it(phase: str) -> None:
    here = world()
    job = dead_in(here, phase)
    here.wish(job, "rollback", "n3")
    here.run()
    stands = here.job(job)
    assert (stands.phase, stands.decision) == ("rolled-back", "rollback")
    assert [(each.node, each.by, each.phase) for each in stands.given_up] == [("n3", "me", phase)]
    assert stands.wishes[-1].came == "given up: n3; everything else goes back"
    assert stands.why.startswith("me rolled it back; n3 was given up by me in ")
    assert "must not be started before 'restore-node --undo --leave-job'" in stands.why
    for node in ("n1", "n2"):
        assert here.verbs(node)[-2:] == ["put-back", "start"]
    assert told(here, "n3").verb == "put-back", "if it comes back after all"


def test_a_node_that_was_never_told_to_stop_has_its_data() -> None:
    here = world()
    job = here.ask()
    here.agents["n3"].answer = lambda _: "doing"
    here.run_until(job, "preparing")
    here.agents["n3"].look(here.clock.now())
    here.agents["n3"].answer = lambda _: None
    here.run()
    here.clock.advance(901)
    here.wish(job, "rollback", "n3")
    here.run()
    assert here.job(job).phase == "rolled-back"
    assert "it was never told to stop, and has the old data" in here.job(job).why


@pytest.mark.parametrize("wish", ["rollback", "resume"])
@pytest.mark.parametrize(("phase", "node"), [("rolling-back", "n3"), ("restarting-seeds", "n1"), ("restarting", "n3")])
def test_on_the_way_back_it_is_told_to_put_back_and_never_to_start(phase: str, node: str, wish: str) -> None:
    here = world()
    job = here.ask()
    here.run_until(job, "placing")
    here.wish(job, "rollback")
    here.run_until(job, phase)
    here.agents[node].answer = lambda _: None
    here.run()
    here.clock.advance(901)
    here.run()
    assert [wait.node for wait in here.job(job).waiting] == [node]
    here.wish(job, wish, node)  # type: ignore[arg-type] # one of them
    here.call()
    assert told(here, node).verb == "put-back"
    here.agents[node].answer = lambda _: "done"
    here.run()
    assert (here.job(job).phase, sorted(here.job(job).without)) == ("rolled-back", [node])
    assert here.verbs(node)[-1] == "put-back"
    assert all(here.verbs(other)[-1] == "start" for other in here.agents if other != node)


def test_while_it_commits_the_others_commit_and_it_is_said_how_to_finish_there() -> None:
    here = world()
    job = dead_in(here, "committing")
    here.wish(job, "rollback", "n3")
    here.call()
    assert "nothing was done: too late" in here.job(job).wishes[-1].came
    here.wish(job, "resume", "n3")
    here.run()
    stands = here.job(job)
    assert (stands.phase, sorted(stands.without)) == ("committed", ["n3"])
    assert "'restore-node --backup-name b --leave-job' has come to its end there" in stands.why
    assert told(here, "n3").verb == "commit", "what it was told leads to the data of the others"


def test_with_the_old_data_deleted_first_the_only_way_on_is_without_it() -> None:
    here = world()
    job = dead_in(here, "placing", stop_first=True)
    here.wish(job, "resume", "n3")
    here.run()
    assert here.job(job).phase == "committed"
    assert "its old data is deleted, or about to be" in here.job(job).why
    assert all("put-back" not in here.verbs(node) for node in here.agents)


def test_by_sstableloader_it_is_said_whose_rows_may_be_missing() -> None:
    here = world()
    job = dead_in(here, "loading", method="sstableloader", seeds=0)
    here.wish(job, "resume", "n3")
    here.run()
    assert here.job(job).phase == "committed"
    assert "rows of n3 may be missing" in here.job(job).why
    assert told(here, "n3").verb == "put-back"
    assert here.verbs("n1")[-1] == "index"


def test_who_makes_the_schema_is_another_one_then_and_the_same_makes_the_indexes() -> None:
    here = world()
    job = dead_in(here, "schema", "n1", method="sstableloader", seeds=0)
    here.wish(job, "resume", "n1")
    here.run()
    assert here.job(job).phase == "committed"
    assert here.verbs("n2") == ["prepare", "schema", "load", "index"]
    assert here.verbs("n3") == ["prepare", "load"]
    assert here.verbs("n1") == ["prepare"]


def test_those_that_are_only_late_are_told_again_by_the_same_wish() -> None:
    here = world()
    job = here.ask()
    here.run_until(job, "placing")
    here.wish(job, "rollback")
    here.run_until(job, "rolling-back")
    for node in ("n2", "n3"):
        here.agents[node].answer = lambda _: None
    here.run()
    here.clock.advance(901)
    here.run()
    here.agents["n2"].answer = lambda _: "done"
    here.wish(job, "resume", "n3")
    here.run()
    assert here.job(job).wishes[-1].came == "given up: n3; told again: n2"
    assert (here.job(job).phase, sorted(here.job(job).without)) == ("rolled-back", ["n3"])


@pytest.mark.parametrize(
    ("wish", "nodes", "why"),
    [
        ("resume", ["n3"], "nobody is left forwards"),
        ("rollback", ["n2"], "it does not wait for n2"),
        ("rollback", ["n2", "n3"], "it does not wait for n2"),
        ("rollback", ["n9"], "n9 has no part in it"),
    ],
)
def test_nobody_is_given_up_who_need_not_be(wish: str, nodes: list[str], why: str) -> None:
    here = world()
    job = dead_in(here, "placing")
    before = here.job(job)
    here.wish(job, wish, *nodes)  # type: ignore[arg-type] # one of them
    here.run()
    stands = here.job(job)
    assert (stands.phase, stands.given_up, stands.nodes, stands.epoch) == ("placing", (), before.nodes, before.epoch)
    assert stands.wishes[-1].came.startswith("nothing was done: ")
    assert why in stands.wishes[-1].came
    here.wish(job, "rollback", "n3")
    here.call()
    here.wish(job, "rollback", "n3")
    here.call()
    assert "n3 was given up before" in here.job(job).wishes[-1].came


def test_neither_from_a_backup_nor_from_a_job_that_has_not_begun() -> None:
    here = world()
    first = here.ask("backup")
    here.clock.advance(1)
    second = here.ask()
    here.agents["n3"].answer = lambda _: None
    here.call()
    here.wish(first, "resume", "n3")
    here.wish(second, "resume", "n3")
    here.call()
    assert "a backup goes on without" in here.job(first).wishes[0].came
    assert here.job(second).given_up == ()


def test_whoever_comes_back_late_finds_nothing_that_starts_it_and_the_next_job_is_its_own() -> None:
    """The last that it began was to start with the restored data. What took the place of that is expired when it comes."""
    here = world()
    job = dead_in(here, "starting")
    late = here.agents.pop("n3")
    here.wish(job, "rollback", "n3")
    here.run()
    assert here.job(job).phase == "rolled-back"
    here.clock.advance(1000)
    here.agents["n3"] = late
    late.answer = lambda _: "done"
    here.run()
    assert late.refusals == ["expired"]
    assert "start" not in here.verbs("n3")
    following = here.ask()
    here.run()
    assert here.job(following).phase == "committed"


def test_who_is_given_up_is_told_before_anybody_else_wherever_the_coordinator_is_killed() -> None:
    """Another node makes the schema only when nothing lies there any more that lets the first one do so, too."""

    def story() -> World:
        here = world()
        here.wish(dead_in(here, "schema", "n1", method="sstableloader", seeds=0), "resume", "n1")
        return here

    undisturbed = Trigger()
    here = story()
    here.coordinator(lambda store: killing(store, undisturbed, "store")).coordinate(here.clock.now())
    calls = [number for number, call in enumerate(undisturbed.calls, 1) if call in {"store.create", "store.replace"}]
    assert len(calls) >= 3
    seen = set()
    for number in calls:
        for when in ("before", "after"):
            here, trigger = story(), Trigger(Point(number, when))
            dying = here.coordinator(partial(killing, trigger=trigger, name="store"))
            killed(partial(dying.coordinate, here.clock.now()))
            assert trigger.dead
            verbs = told(here, "n1").verb, told(here, "n2").verb
            seen.add(verbs)
    assert ("schema", "schema") not in seen
    assert seen == {("schema", "prepare"), ("put-back", "prepare"), ("put-back", "schema")}
