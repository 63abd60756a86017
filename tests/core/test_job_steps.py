"""The step of a job: what it makes of answers and wishes. In which order anything may happen is explored in tests/model."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backupstore.core.documents import decode, encode
from backupstore.core.job_commands import commands
from backupstore.core.job_documents import Job, NodeState, Request, Wish
from backupstore.core.job_ids import asked_at, is_job_id, job_id
from backupstore.core.job_steps import begin, queue, step
from backupstore.errors import Corrupt
from tests.model.clusters import CLUSTERS, RESTORE, request

NOW = 1000.0


def begun(asked: Request | None = None) -> Job:
    asked = asked or request()
    return step(begin(asked, NOW), asked, (), (), NOW)


def said(node: str, outcome: str, *, seq: int = 1, **others: Any) -> NodeState:  # noqa: ANN401 # any field of a state
    usual = {"node": node, "job": RESTORE, "epoch": 1, "number": 1, "seq": seq, "verb": "prepare", "at": 1.0}
    return NodeState.model_validate({**usual, "outcome": outcome, **others})


def wished(wish: str, name: str = "w", created: float = 1.0, job: str = RESTORE) -> Wish:
    return Wish.model_validate({"job": job, "id": name, "wish": wish, "by": "me", "created": created})


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"assignments": []}, "at least 1"),
        ({"assignments": [{"target": "n1", "sources": ["a"]}]}, "seed"),
        ({"assignments": [{"target": "n1", "sources": ["a", "b"], "seed": True}]}, "exactly one"),
        ({"assignments": [{"target": "n1", "sources": [], "seed": True}]}, "nothing to restore"),
        ({"assignments": [{"target": "n1", "sources": ["a"]}] * 2}, "two assignments"),
        (
            {"assignments": [{"target": "n1", "sources": ["a"], "seed": True}, {"target": "n2", "sources": ["a"]}]},
            "goes to two",
        ),
        ({"assignments": [{"target": "../n1", "sources": ["a"], "seed": True}]}, "part of a key"),
        ({"kind": "backup"}, "backup"),
        ({"job": "restore-1"}, "no id"),
        ({"patience": 0.0}, "greater"),
    ],
)
def test_a_request_that_makes_no_sense_is_none(changed: dict[str, Any], why: str) -> None:
    whole = {**request().model_dump(mode="json"), **changed}
    with pytest.raises(Corrupt, match=why):
        decode(Request, json.dumps(whole).encode(), "k")


def test_ids_tell_when_the_job_was_asked_for() -> None:
    name = job_id("restore", 1795370000.9, "0a1b2c3d4e5f")
    assert name == "restore-20261122175320-0a1b2c3d"
    assert is_job_id(name)
    assert asked_at(name) == "20261122175320"
    assert not is_job_id(name + "\n")
    assert not is_job_id("delete-20261122175320-0a1b2c3d")
    assert asked_at("x") == ""


@pytest.mark.parametrize(
    ("states", "outcome"),
    [
        ([("done", 1), ("refused", 2)], "done"),
        ([("refused", 1), ("done", 2)], "done"),
        ([("done", 2), ("doing", 1)], "done"),
        ([("doing", 2), ("done", 1)], "done"),
    ],
)
def test_of_several_answers_one_counts_whatever_their_order(states: list[tuple[str, int]], outcome: str) -> None:
    given_ = [said("n1", each, seq=seq) for each, seq in states]
    for order in (given_, given_[::-1]):
        assert step(begun(), request(), order, (), NOW).nodes["n1"].outcome == outcome


def test_a_failure_counts_more_than_a_success() -> None:
    after = step(begun(), request(), [said("n1", "failed", why="bit rot"), said("n1", "done", seq=2)], (), NOW)
    assert (after.phase, after.why) == ("rolling-back", "n1: prepare failed: bit rot")


def test_what_makes_all_go_back_is_said_once_with_what_to_do() -> None:
    states = [said(node, "failed", why="No room.", hint="Make some.") for node in ("n1", "n2")]
    after = step(begun(), request(), [*states, said("n3", "failed", why="bit rot")], (), NOW)
    assert after.why == "n1, n2: prepare failed: No room. → Make some.; n3: prepare failed: bit rot"


def test_what_is_for_good_stays() -> None:
    job = step(begun(), request(), [said("n1", "done")], (), NOW)
    assert step(job, request(), [said("n1", "failed", seq=2)], (), NOW) == job


@pytest.mark.parametrize(
    "others", [{"epoch": 2}, {"number": 2}, {"verb": "stop"}, {"job": RESTORE.replace("0a", "0b")}, {"node": "n9"}]
)
def test_answers_to_anything_else_change_nothing(others: dict[str, Any]) -> None:
    job = begun()
    assert step(job, request(), [said(**{"node": "n1", "outcome": "failed", **others})], (), NOW) == job


def test_wishes_are_obeyed_in_the_order_in_which_they_were_made() -> None:
    late, early = wished("resume", "a", created=2.0), wished("rollback", "b", created=1.0)
    after = step(begun(), request(), (), [late, early, wished("rollback", "c", job=RESTORE.replace("0a", "0b"))], NOW)
    assert [(each.id, each.came) for each in after.wishes] == [
        ("b", "everything goes back"),
        ("a", "it did not wait for anybody"),
    ]
    assert step(after, request(), (), [early, late], NOW) == after


def test_nobody_who_answered_nothing_before_the_stop_is_waited_for_on_the_way_back() -> None:
    after = step(begun(), request(), (), [wished("rollback")], NOW)
    assert after.phase == "rolled-back"
    told = [(each.node, each.verb, each.epoch) for each in commands(after, request(), "p", NOW)]
    assert told == [(node, "put-back", 2) for node in ("n1", "n2", "n3")], "and told all the same"


def test_at_most_so_many_nodes_fetch_at_once() -> None:
    asked = request(parallel=2)
    job = begun(asked)
    assert [each.node for each in commands(job, asked, "p", NOW)] == ["n1", "n2"]
    job = step(job, asked, [said("n2", "done")], (), NOW)
    assert [each.node for each in commands(job, asked, "p", NOW)] == ["n1", "n3"]


def test_what_expired_before_anybody_heard_it_is_not_commanded_and_what_was_begun_is() -> None:
    job = step(begun(), request(), [said("n1", "doing")], (), NOW)
    assert [each.node for each in commands(job, request(), "p", NOW + 900)] == ["n1"]
    assert commands(job, request(), "p", NOW + 900)[0].text == commands(job, request(), "p", NOW)[0].text


def test_a_job_whose_turn_has_not_come_waits_or_is_called_off() -> None:
    job = queue(begin(request(), NOW), [wished("resume")], "another one is not over", NOW)
    assert (job.phase, job.waiting[0].why) == ("queued", "another one is not over")
    assert queue(job, [wished("rollback", "v")], "", NOW).phase == "rolled-back"
    backup = CLUSTERS["backup"]
    called_off = queue(begin(backup, NOW), [wished("rollback", job=backup.job)], "", NOW)
    assert called_off.phase == "ended-with-failures"


def test_a_backup_is_called_off_without_its_nodes() -> None:
    backup = CLUSTERS["backup"]
    job = step(begun(backup), backup, (), [wished("rollback", job=backup.job)], NOW)
    assert (job.phase, job.finished) == ("ended-with-failures", NOW)
    assert "n1, n2, n3" in job.why
    assert commands(job, backup, "p", NOW) == ()


_states = st.builds(
    said,
    st.sampled_from(["n1", "n2", "n3"]),
    st.sampled_from(["doing", "done", "failed", "refused"]),
    seq=st.integers(1, 3),
    epoch=st.integers(1, 3),
    number=st.integers(1, 4),
    verb=st.sampled_from(["prepare", "stop", "put-back", "start", "load", "backup"]),
    code=st.sampled_from(["", "expired"]),
)
_wishes = st.builds(
    wished, st.sampled_from(["resume", "rollback"]), st.sampled_from("abc"), st.integers(0, 3).map(float)
)
_calls = st.lists(st.tuples(st.lists(_states, max_size=4), st.lists(_wishes, max_size=2), st.integers(0, 1000)))


@example("one after the other", [([said("n1", "done"), said("n2", "doing")], [], 0)]).via(
    "n2 is told only in this step"
)
@example(
    "one seed",
    [([said("n1", "doing"), said("n1", "doing", epoch=2, number=2, verb="put-back")], [wished("rollback")], 0)],
)
@given(st.sampled_from(["one seed", "one after the other", "sstableloader"]), _calls)
def test_the_same_step_twice_is_like_once_and_every_job_can_be_written(cluster: str, calls: list[Any]) -> None:
    asked, now = CLUSTERS[cluster], NOW
    job = begun(asked)
    for states, wishes, passed in calls:
        now += passed
        job = step(job, asked, states, wishes, now)
        assert step(job, asked, states, wishes, now) == job
        assert decode(Job, encode(job), "k") == job
        assert job.is_over == (job.finished is not None)
        assert all(wait.why for wait in job.waiting)
