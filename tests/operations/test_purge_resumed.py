"""Purges that died: gone on with where the plan is still the same, ended and told where it is not, or after long silence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backupstore.core.documents import encode
from backupstore.core.purge_records import (
    PlannedVerdict,
    PurgeRecord,
)
from backupstore.core.retention import Policy
from backupstore.errors import Retryable
from backupstore.operations.answers import end
from backupstore.operations.opening import SILENCE, Opening, begin
from tests.operations.fleet import DAY, NOW
from tests.operations.purging import Meanwhile
from tests.operations.queued import RULES, Site, queued_site
from tests.shipper.cli.handmade import Made


@pytest.fixture
def site() -> Site:
    return queued_site()


def test_a_planner_that_died_while_it_sent_is_gone_on_with(site: Site) -> None:
    site.queue.fails_after = 1
    with pytest.raises(Retryable):
        site.plan()
    site.queue.fails_after = None
    (only,) = site.take()
    site.work(only)
    again = site.plan()
    assert again.run == "run1"
    assert [work.node for work in site.take()] == [node for node in site.fleet.nodes if node != only.node]
    assert site.fleet.keys(site.fleet.layout.purges()) == [site.fleet.layout.purge("run1")]


def test_a_plan_that_has_changed_is_a_purge_of_its_own(site: Site) -> None:
    site.plan()
    site.take()
    assert site.plan(Policy(max_count=1)).run == "run2", "it would delete more"
    site.take()
    assert site.plan(Policy(max_count=3)).run == "run3", "and this one less"


def test_a_node_that_was_not_in_the_plan_is_a_purge_of_its_own(site: Site) -> None:
    site.plan()
    site.take()
    site.fleet.store.create(f"{site.fleet.layout.shared_data('n4')}ks/t/nb-1-big-Data.db", b"x")
    assert site.plan().run == "run2"
    assert [work.node for work in site.take()] == ["n1", "n2", "n3", "n4"]


def test_a_node_that_was_blocked_is_looked_at_again_by_a_purge_of_its_own(site: Site) -> None:
    fleet = site.fleet
    site.plan()
    fleet.ship("new", 0, nodes=("n1",), made=Made(ring=dict.fromkeys(fleet.nodes, "dc1"), end="begun"))
    first = next(work for work in site.take() if work.node == "n1")
    result = site.work(first).result
    assert result
    assert result.is_blocked
    fleet.index()
    assert site.plan().run == "run2"


def test_what_is_there_again_and_kept_is_not_deleted_because_an_old_plan_says_so(site: Site) -> None:
    """Given up by its node when it was planned, and held since."""
    fleet = site.fleet
    made = Made(ring=dict.fromkeys(fleet.nodes, "dc1"), end="begun", abandoned=True)
    fleet.ship("d16", 16, nodes=("n1",), made=made)
    fleet.ship("d16", 16, nodes=("n2", "n3"))
    fleet.index()
    site.plan()
    assert site.record().by_node["n1"] == ("d16", "d20", "d30")
    site.take()
    fleet.hold("d16")
    assert site.plan().run == "run2"
    assert site.record("run2").by_node["n1"] == ("d20", "d30")


def test_what_another_purge_deletes_is_heard_before_one_is_gone_on_with(site: Site) -> None:
    """Its planner may have died before it heard anybody."""
    fleet = site.fleet
    site.plan(Policy(max_count=1))
    site.take()
    other = PurgeRecord(
        revision="x", run="other", created=NOW, verdicts=(PlannedVerdict(name="d0", delete=True, reason="why"),)
    )
    fleet.store.create(fleet.layout.purge("other"), encode(other))
    again = site.plan(Policy(max_count=1))
    assert again.run == "run2"
    assert again.plan.deletes == frozenset(), "those two delete everything already, if both are alive"


def test_one_that_is_too_old_to_be_gone_on_with_is_ended_and_told(site: Site) -> None:
    site.plan()
    works = site.take()
    site.work(works[0])
    site.fleet.time = NOW + 8 * DAY
    sent = site.plan()
    assert sent.run == "run2"
    (given_up,) = sent.given_up
    assert given_up.run == "run1"
    assert [(result.node, result.done, result.error) for result in given_up.results] == [
        ("n1", True, None),
        ("n2", False, "no worker has answered"),
        ("n3", False, "no worker has answered"),
    ]
    for work in works[1:]:
        assert site.work(work).result is None, "it is over"
    for work in site.take():
        site.work(work)
    assert site.record("run2").is_done
    assert site.fleet.backups("n3") == ["d0", "d1"]


def test_a_planner_that_sleeps_over_the_end_of_its_purge_does_not_open_it_again(site: Site) -> None:
    fleet = site.fleet
    plan = fleet.plan(Policy(max_count=1))

    def meanwhile() -> None:
        verdict = PlannedVerdict(name="d0", delete=True, reason="why")
        other = PurgeRecord(revision="x", run="other", created=NOW, verdicts=(verdict,), finished=NOW)
        fleet.store.create(fleet.layout.purge("other"), encode(other))
        fleet.condemn("n1", "d0")
        end(fleet.place, "run1", fleet.revision, NOW)

    at = fleet.place
    sleepy = replace(at, store=Meanwhile(at.store, "entries", fleet.layout.all_condemned(), meanwhile))
    begun = begin(sleepy, plan, Opening(name="run1", rules=RULES, revision=fleet.revision))
    assert begun.plan.deletes == {"d20", "d30"}
    assert begun.left == ()
    assert site.record("run1").finished == NOW


def test_one_that_gives_signs_is_not_ended(site: Site) -> None:
    fleet = site.fleet
    site.plan()
    first, second, third = site.take()
    fleet.time = NOW + SILENCE
    site.work(first)
    fleet.time = NOW + SILENCE + 3600
    assert site.plan(Policy(max_count=1)).given_up == ()
    assert site.record("run1").is_open
    site.work(second)
    site.work(third)
    assert site.record("run1").is_done
