"""Where a job stands, as it is told: in a headline, in rows, and in what has changed."""

from __future__ import annotations

from typing import get_args

import pytest

from backupstore.core.job_documents import Assignment, GivenUp, Job, NodeJob, ObeyedWish, Phase, Request, Wait
from backupstore.core.job_ids import job_id
from shipper.cli import jobs_text

NOW = 1_790_000_000.0
ASKED = job_id("restore", NOW, "0a1b2c3d")
REQUEST = Request(
    job=ASKED,
    kind="restore",
    backup="b1",
    by="ops",
    created=NOW,
    assignments=tuple(Assignment(target=f"n{n}", sources=(f"n{n}",), seed=n == 1, size=100) for n in (1, 2, 3)),
)


def job(phase: Phase = "preparing", **fields: object) -> Job:
    plain = {
        "revision": "r",
        "job": ASKED,
        "kind": "restore",
        "backup": "b1",
        "created": NOW,
        "since": NOW,
        "phase": phase,
    }
    return Job.model_validate({**plain, **fields})


def part(**fields: object) -> NodeJob:
    return NodeJob.model_validate({"number": 1, "epoch": 1, "verb": "prepare", "issued": NOW, "heard": NOW, **fields})


def test_every_phase_is_put_into_words() -> None:
    assert jobs_text.PHASES.keys() == set(get_args(Phase))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (0, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (3599, "59 min"),
        (3600, "1 h 00 min"),
        (11_100, "3 h 05 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert jobs_text.duration(seconds) == text


class TestSilence:
    def test_a_job_that_nobody_takes_up_is_told_after_a_minute(self) -> None:
        assert jobs_text.silence_of(REQUEST, None, NOW + 60) == ""
        assert "Nobody has taken this job up for 61 s" in jobs_text.silence_of(REQUEST, None, NOW + 61)
        assert jobs_text.silence_of(REQUEST, job(), NOW + 61) == ""

    def test_a_node_that_has_not_begun_is_named_long_before_the_job_waits_for_it(self) -> None:
        n1, n2 = part(outcome="doing"), part(verb="stop", number=2, issued=NOW, heard=0.0)
        asked = job("stopping", nodes={"n1": n1, "n2": n2})
        assert jobs_text.silence_of(REQUEST, asked, NOW + 60) == ""
        assert jobs_text.silence_of(REQUEST, asked, NOW + 200) == (
            "No answer to 'stop' for 3 min from n2: look whether the agent runs there. Without one, the job waits for an"
            " operator in 11 min."
        )
        answered = job("stopping", nodes={"n1": n1, "n2": part(verb="stop", number=2, outcome="done")})
        assert jobs_text.silence_of(REQUEST, answered, NOW + 200) == ""

    def test_a_coordinator_that_has_gone_is_told_after_the_patience_of_the_job(self) -> None:
        quiet = job(nodes={"n1": part(heard=NOW + 100)})
        end = NOW + 100 + REQUEST.patience + jobs_text.TAKEN_UP
        assert jobs_text.silence_of(REQUEST, quiet, end - 1) == ""
        assert "if its coordinator is gone" in jobs_text.silence_of(REQUEST, quiet, end)

    @pytest.mark.parametrize("there", [job("committed"), job(waiting=(Wait(why="n1 is silent"),))])
    def test_a_job_that_is_over_or_waits_for_a_person_is_not_silent(self, there: Job) -> None:
        assert jobs_text.silence_of(REQUEST, there, NOW + 1e6) == ""


class TestRemarks:
    WAITING = (Wait(node="n2", why="it says nothing", hint="start its agent"),)

    def test_what_it_waits_for_and_both_ways_on(self) -> None:
        found = jobs_text.remarks(REQUEST, job("stopping", waiting=self.WAITING), NOW)
        assert found == [
            "WAITS: n2: it says nothing → start its agent",
            f"'restore-resume {ASKED}' asks again, 'restore-rollback {ASKED}' takes everything back.",
            f"A node that is gone for good is given up with 'restore-rollback {ASKED} --without NODE'.",
        ]

    def test_after_the_decision_there_is_one_way_only(self) -> None:
        decided = job("committing", waiting=self.WAITING, decision="commit")
        assert jobs_text.remarks(REQUEST, decided, NOW)[-2:] == [
            f"'restore-resume {ASKED}' asks again.",
            f"A node that is gone for good is given up with 'restore-resume {ASKED} --without NODE'.",
        ]

    def test_who_was_given_up_is_named_as_long_as_there_is_a_job(self) -> None:
        left = (GivenUp(node="n2", by="ops", at=NOW, phase="placing"),)
        parts = {"n2": part(verb="put-back", stopped=True)}
        going_back = job("rolling-back", decision="rollback", given_up=left, nodes=parts)
        assert jobs_text.headline(REQUEST, going_back, NOW).endswith("puts its old data back, WITHOUT n2")
        (told,) = jobs_text.remarks(REQUEST, going_back, NOW)
        assert told.startswith("WITHOUT n2 was given up by ops in placing: it may hold its old data aside")
        assert "before 'restore-node --undo --leave-job' has come to its end there" in told

    def test_a_job_whose_turn_has_not_come_needs_nobody(self) -> None:
        queued = job("queued", waiting=(Wait(why="another one is not over"),))
        assert jobs_text.remarks(REQUEST, queued, NOW) == ["WAITS: another one is not over"]

    def test_what_others_wrote_obeys_no_terminal(self) -> None:
        found = jobs_text.remarks(REQUEST, job(waiting=(Wait(node="n1", why="a\x1b[2J\nb"),)), NOW)
        assert found[0] == "WAITS: n1: a?[2J b"


class TestRows:
    def test_what_needs_a_person_stands_first_and_nobody_is_left_out(self) -> None:
        parts = {"n1": part(outcome="done"), "n2": part(outcome="doing", bytes=50, of=200, step="fetching")}
        found = jobs_text.rows(
            REQUEST, job(nodes={**parts, "n3": part(outcome="failed", why="no space", hint="free some")})
        )
        assert [(row.node, row.state, row.progress, row.said) for row in found] == [
            ("n3", "failed", "", "no space → free some"),
            ("n2", "doing", "25% of 200.00 B", "fetching"),
            ("n1", "done", "", ""),
        ]

    def test_before_anybody_was_asked(self) -> None:
        assert [(row.node, row.sources, row.verb, row.state) for row in jobs_text.rows(REQUEST, None)] == [
            (f"n{n}", f"n{n}", "", "") for n in (1, 2, 3)
        ]

    def test_how_far_all_are_together(self) -> None:
        parts = {"n1": part(outcome="done", bytes=100, of=100), "n2": part(outcome="doing", bytes=400, of=300)}
        assert jobs_text.progress_of(job(nodes=parts)) == "1 node at work, 400.00 B of 400.00 B (100%)"
        assert jobs_text.progress_of(job()) == ""


class TestChanges:
    def test_nothing_new_is_not_told(self) -> None:
        there = job(nodes={"n1": part(outcome="done")}, waiting=(Wait(why="w"),))
        assert list(jobs_text.changes(there, there)) == []
        assert list(jobs_text.changes(None, None)) == []

    def test_nodes_that_say_the_same_share_a_line(self) -> None:
        after = job("stopping", nodes={name: part(outcome="done") for name in ("n1", "n2", "n3")})
        assert list(jobs_text.changes(job(nodes={"n1": part(outcome="doing")}), after)) == [
            "n1, n2, n3: prepare done",
            f"stopping: {jobs_text.PHASES['stopping']}",
        ]

    def test_the_same_outcome_of_a_later_command_is_new(self) -> None:
        before, after = (job(nodes={"n1": part(outcome="done", number=number)}) for number in (1, 2))
        assert list(jobs_text.changes(before, after)) == ["n1: prepare done"]

    def test_wishes_are_told_with_what_came_of_them(self) -> None:
        wish = ObeyedWish(id="w", wish="resume", by="ops", at=NOW, came="asked again")
        after = job(wishes=(wish,), waiting=(Wait(node="n2", why="silent", hint="start it"),))
        assert list(jobs_text.changes(job(), after)) == ["resume, asked for by ops: asked again"]


class TestEnd:
    @pytest.mark.parametrize(
        ("phase", "wanted_back", "good"),
        [
            ("committed", False, True),
            ("committed", True, True),
            ("rolled-back", False, False),
            ("rolled-back", True, True),
            ("ended-with-failures", False, False),
            ("refused", True, False),
        ],
    )
    def test_an_end_is_good_when_it_is_what_was_meant(self, phase: Phase, wanted_back: bool, good: bool) -> None:  # noqa: FBT001 - parameters
        assert jobs_text.is_good(REQUEST, job(phase), wanted_back=wanted_back) == good
        left = (GivenUp(node="n2", by="ops", at=NOW, phase="placing"),)
        assert not jobs_text.is_good(REQUEST, job(phase, given_up=left), wanted_back=wanted_back)


def test_what_nodes_say_of_a_good_end_stands_together_and_is_not_endless() -> None:
    same = {f"n{n}": part(why="The old data is dropped.\nAll is well.") for n in (1, 2)}
    told = jobs_text.outcomes(job("committed", nodes={**same, "n3": part(why="No row in shop.hits."), "n4": part()}))
    assert told == ["n1, n2: The old data is dropped. All is well.", "n3: No row in shop.hits."]
    many = {f"n{n}": part(why=f"{n} files") for n in range(20)}
    told = jobs_text.outcomes(job("done", nodes=many))
    assert (len(told), told[-1]) == (13, f"and 8 more: restore-status {ASKED}")
