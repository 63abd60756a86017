"""Retention: what is kept, what goes, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backupstore.core.documents import Hold, State
from backupstore.core.keep_rules import PERIODS, Period, kept_by, moment, period_of
from backupstore.core.retention import Candidate, NodeBackup, Policy, Verdict, given_up, verdicts

GOLDEN = Path(__file__).parent / "golden" / "retention_30_days_hourly.txt"
DAY = 86_400.0
NOW = datetime(2026, 11, 23, 2, 15, tzinfo=timezone.utc).timestamp()


def made(name: str, days: float, state: State = "complete", **more: object) -> Candidate:
    """A backup of one node, so many days old."""
    started = NOW - days * DAY
    node = NodeBackup(started=started, finished=None if state == "incomplete" else started + 60)
    given = {"name": name, "started": started, "finished": node.finished, "state": state, "nodes": {"n1": node}}
    return Candidate(**{**given, **more})  # type: ignore[arg-type] # whatever a test wants to be different


def hold(expires: float | None = None, by: str = "anna") -> Hold:
    sound = Hold(backup="b", id="1", by=by, why="audit", created=1.0)
    return sound.model_copy(update={"expires": expires})  # which no document could say, some of them


def judged(policy: Policy, *candidates: Candidate, now: float = NOW) -> dict[str, Verdict]:
    return {verdict.name: verdict for verdict in verdicts(candidates, policy, now)}


def gone(policy: Policy, *candidates: Candidate, now: float = NOW) -> list[str]:
    return sorted(name for name, verdict in judged(policy, *candidates, now=now).items() if verdict.delete)


def daily(count: int) -> list[Candidate]:
    """d0 is of today."""
    return [made(f"d{age}", age) for age in range(count)]


# --- complete backups ---


def test_without_any_policy_only_stale_unfinished_backups_go() -> None:
    stale = made("stale", 20, "incomplete")
    others = [made("partial", 900, "partial"), made("corrupt", 900, "corrupt"), made("young", 3, "incomplete")]
    assert gone(Policy(), *daily(5), made("ancient", 9000), stale, *others) == ["stale"]


def test_age_and_count_each_delete_what_is_beyond() -> None:
    assert gone(Policy(max_age=3 * DAY), *daily(6)) == ["d4", "d5"]
    assert gone(Policy(max_count=2), *daily(4)) == ["d2", "d3"]
    assert gone(Policy(max_age=3 * DAY, max_count=5), *daily(6)) == ["d4", "d5"]


def test_the_newest_complete_ones_never_go() -> None:
    assert gone(Policy(max_age=DAY), made("a", 90), made("b", 80)) == ["a"]
    assert gone(Policy(max_age=DAY, minimum_complete=2), *(made(name, 90) for name in "abc")) == ["a"]
    assert gone(Policy(max_count=0, minimum_complete=0), made("a", 1)) == []


def test_failed_backups_do_not_push_a_good_one_out() -> None:
    """Stock counts them, and then deletes the last good one."""
    found = gone(Policy(max_count=2), made("good", 3), made("f1", 2, "incomplete"), made("f2", 1, "corrupt"))
    assert found == []


def test_a_backup_with_too_small_a_ring_or_with_findings_does_not_count() -> None:
    alone = [made(f"alone{age}", age, covers_ring=False, lacks="it holds 1 of 3 nodes in dc1") for age in (0, 1, 2)]
    found = judged(Policy(max_count=1, max_age=DAY), made("real", 9), *alone)
    assert not any(verdict.delete for verdict in found.values())
    assert "--accept-ring alone2" in found["alone2"].reason
    assert "1 of 3 nodes" in found["alone2"].reason
    bad = made("bad", 0, open_findings=True)
    assert gone(Policy(max_count=1), made("real", 9), bad) == []


def test_what_does_not_count_goes_when_enough_that_count_are_newer() -> None:
    uncounted = [
        made("partial", 9, "partial"),
        made("corrupt", 9, "corrupt"),
        made("bad", 9, open_findings=True),
        made("alone", 9, covers_ring=False),
    ]
    names = sorted(one.name for one in uncounted)
    assert gone(Policy(max_count=2), *daily(2), *uncounted) == names
    assert gone(Policy(max_count=3), *daily(2), *uncounted) == []
    assert gone(Policy(max_age=8 * DAY), *daily(2), *uncounted) == names
    assert gone(Policy(keep={"daily": 2}), *daily(2), *uncounted) == names
    assert gone(Policy(keep={"daily": 3}), *daily(2), *uncounted) == []


@pytest.mark.parametrize("state", ["partial", "corrupt", "incomplete"])
def test_the_newest_of_what_does_not_count_stays_while_nothing_complete_is_newer(state: State) -> None:
    node = {"n1": NodeBackup(started=NOW - 50 * DAY, finished=NOW - 50 * DAY)}
    last, before = made("last", 50, state, nodes=node), made("before", 51, state, nodes=node)
    policy = Policy(max_age=10 * DAY)
    assert gone(policy, last, before, made("complete", 60)) == ["before"]
    assert gone(policy, last, before, made("complete", 1)) == ["before", "last"]


# --- keep rules ---


def test_with_keep_rules_only_what_none_keeps_goes() -> None:
    assert gone(Policy(keep={"daily": 3}), *daily(5)) == ["d3", "d4"]


def test_what_a_keep_rule_keeps_is_not_deleted_by_age_or_count() -> None:
    policy = Policy(max_age=DAY, max_count=1, keep={"daily": 3})
    assert gone(policy, *daily(5)) == ["d3", "d4"]


def test_keep_rules_are_a_union() -> None:
    both = Policy(keep={"daily": 2, "weekly": 2})
    kept = {"d0", "d1"} | set(kept_by("weekly", 2, [(one.name, one.started) for one in daily(30)]))
    assert set(gone(both, *daily(30))) == {f"d{age}" for age in range(30)} - kept


def test_a_period_without_backups_is_not_counted() -> None:
    assert list(kept_by("yearly", 2, [("new", NOW), ("old", NOW - 3000 * DAY), ("older", NOW - 6000 * DAY)])) == [
        "new",
        "old",
    ]


def test_periods_are_of_utc_and_weeks_begin_on_monday() -> None:
    sunday = datetime(2026, 1, 4, 23, 59, tzinfo=timezone.utc).timestamp()
    assert [period_of(sunday, period) for period in PERIODS] == [
        "2026-01-04 23",
        "2026-01-04",
        "2026-W01",
        "2026-01",
        "2026",
    ]
    assert period_of(sunday + 60, "weekly") == "2026-W02"
    assert period_of(datetime(2027, 1, 1, tzinfo=timezone.utc).timestamp(), "weekly") == "2026-W53"
    assert moment(1e300) is None
    assert period_of(1e300, "daily") == period_of(2e300, "daily")


def test_thirty_days_of_hourly_backups() -> None:
    """A worked example: read the file."""
    hourly = [
        made(datetime.fromtimestamp(NOW - hours * 3600, tz=timezone.utc).strftime("%Y%m%d%H%M"), hours / 24)
        for hours in range(30 * 24)
    ]
    policy = Policy(max_age=60 * DAY, max_count=3, keep={"hourly": 24, "daily": 7, "weekly": 4, "monthly": 12})
    found = [
        f"{verdict.name} {'delete' if verdict.delete else 'keep'}: {verdict.reason}"
        for verdict in verdicts(hourly, policy, NOW)
    ]
    assert found == GOLDEN.read_text(encoding="utf-8").splitlines()


# --- holds, condemned, unfinished, abandoned ---


def test_a_hold_keeps_until_it_ends_and_its_end_is_told() -> None:
    policy = Policy(max_count=1)
    old = made("old", 9, holds=(hold(NOW + 1),))
    assert gone(policy, made("new", 0), old) == []
    assert gone(policy, made("new", 0), old, now=NOW + 1) == ["old"]
    assert "anna" in judged(policy, made("new", 0), old)["old"].reason
    assert "hold of anna ended 2026-11-23 02:15 UTC" in judged(policy, made("new", 0), old, now=NOW + 2)["old"].reason


def test_a_hold_without_an_end_or_with_a_senseless_one_holds() -> None:
    for end in (None, float("nan"), 1e300, float("inf")):
        assert gone(Policy(max_count=1), made("new", 0), made("old", 9, holds=(hold(end),))) == []


def test_a_held_backup_still_counts() -> None:
    held = [made(f"h{age}", age, holds=(hold(),)) for age in range(2)]
    assert gone(Policy(max_count=2), *held, made("old", 9)) == ["old"]


def test_whose_deletion_has_begun_goes_on_and_does_not_count() -> None:
    going = made("going", 0, condemned=True)
    assert gone(Policy(max_count=1), going, made("old", 9)) == ["going"]
    assert gone(Policy(max_count=1), replace(going, holds=(hold(),)), made("old", 9)) == []


def test_an_unfinished_backup_is_young_by_the_last_sign_of_any_of_its_nodes() -> None:
    nodes = {"n1": NodeBackup(started=NOW - 30 * DAY), "n2": NodeBackup(started=NOW - 13 * DAY)}
    slow = made("slow", 30, "incomplete", nodes=nodes)
    assert gone(Policy(), slow) == []
    assert gone(Policy(), slow, now=NOW + 2 * DAY) == ["slow"]
    assert gone(Policy(incomplete_grace=DAY), slow) == ["slow"]


def test_abandoned_node_backups_go_after_the_grace_out_of_a_backup_that_stays() -> None:
    left = NodeBackup(started=NOW - 20 * DAY, abandoned=True)
    fresh = NodeBackup(started=NOW - 2 * DAY, abandoned=True)
    mixed = made("mixed", 20, nodes={"n1": NodeBackup(started=0, finished=9), "n3": left, "n2": left, "n4": fresh})
    assert given_up(mixed, Policy(), NOW) == ("n2", "n3")
    assert given_up(replace(mixed, holds=(hold(),)), Policy(), NOW) == ()
    assert gone(Policy(), mixed) == []


# --- properties ---

_states: st.SearchStrategy[State] = st.sampled_from(["complete", "complete", "incomplete", "partial", "corrupt"])
_nodes = st.builds(
    NodeBackup,
    started=st.integers(0, 60).map(lambda days: NOW - days * DAY),
    finished=st.none() | st.integers(0, 60).map(lambda days: NOW - days * DAY),
    abandoned=st.booleans(),
)
_holds = st.lists(st.none() | st.integers(-50, 50).map(lambda days: NOW + days * DAY), max_size=2)


@st.composite
def backups(draw: st.DrawFn) -> list[Candidate]:
    found = []
    for number, age in enumerate(draw(st.lists(st.integers(0, 900), max_size=30))):
        holds = draw(_holds) if draw(st.integers(0, 5)) == 0 else []
        found.append(
            made(
                f"b{number}",
                age / 8,
                draw(_states),
                nodes=draw(st.dictionaries(st.sampled_from(["n1", "n2"]), _nodes)),
                covers_ring=draw(st.integers(0, 4)) > 0,
                open_findings=draw(st.integers(0, 4)) == 0,
                condemned=draw(st.integers(0, 7)) == 0,
                holds=tuple(hold(end) for end in holds),
            )
        )
    return found


_keeps: st.SearchStrategy[Mapping[Period, int]] = st.dictionaries(st.sampled_from(PERIODS), st.integers(0, 5))
policies = st.builds(
    Policy,
    max_age=st.none() | st.integers(0, 60).map(lambda days: days * DAY),
    max_count=st.none() | st.integers(0, 9),
    keep=_keeps,
    minimum_complete=st.integers(0, 3),
    incomplete_grace=st.integers(1, 20).map(lambda days: days * DAY),
)


@given(backups(), policies, st.randoms(use_true_random=False))
def test_the_order_of_the_backups_changes_nothing(found: list[Candidate], policy: Policy, random: object) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)  # type: ignore[attr-defined] # Hypothesis gives a random.Random
    assert verdicts(shuffled, policy, NOW) == verdicts(found, policy, NOW)


@given(backups(), policies)
def test_every_backup_has_one_verdict_with_a_reason(found: list[Candidate], policy: Policy) -> None:
    judged = verdicts(found, policy, NOW)
    assert sorted(verdict.name for verdict in judged) == sorted(one.name for one in found)
    assert all(verdict.reason.strip() and "\n" not in verdict.reason for verdict in judged)


@given(backups(), policies)
def test_the_newest_that_count_never_go(found: list[Candidate], policy: Policy) -> None:
    counted = sorted((one for one in found if one.counts), key=lambda one: (one.started, one.name))
    newest = {one.name for one in counted[-max(1, policy.minimum_complete) :]}
    assert newest.isdisjoint(gone(policy, *found))


@given(backups(), policies)
def test_what_is_left_stays_by_the_same_rules(found: list[Candidate], policy: Policy) -> None:
    out = gone(policy, *found)
    assert gone(policy, *(one for one in found if one.name not in out)) == []


@given(backups(), policies, st.integers(0, 100))
def test_time_never_takes_a_deletion_back(found: list[Candidate], policy: Policy, days: int) -> None:
    assert set(gone(policy, *found)) <= set(gone(policy, *found, now=NOW + days * DAY))


@given(backups(), policies)
def test_what_is_held_never_goes(found: list[Candidate], policy: Policy) -> None:
    held = {one.name for one in found for each in one.holds if each.expires is None or each.expires > NOW}
    assert held.isdisjoint(gone(policy, *found))


@given(backups(), policies)
def test_a_keep_rule_more_never_deletes_more_than_age_and_count(found: list[Candidate], policy: Policy) -> None:
    bare = replace(policy, keep={}, max_count=policy.max_count or 3)
    assert set(gone(replace(bare, keep=policy.keep), *found)) <= set(gone(bare, *found))


@given(backups(), _keeps, _keeps)
def test_what_one_of_two_sets_of_rules_keeps_both_keep(
    found: list[Candidate], first: Mapping[Period, int], second: Mapping[Period, int]
) -> None:
    union = {period: max(first.get(period, 0), second.get(period, 0)) for period in PERIODS}
    counted = [one for one in found if one.counts]
    apart = [Policy(max_count=0, keep=keep) for keep in (first, second)]
    both = set(gone(Policy(max_count=0, keep=union), *counted))
    assert both == set(gone(apart[0], *counted)) & set(gone(apart[1], *counted))
