"""A purge in pieces: many workers, each message twice, late, or after its purge was ended; and what purges leave behind."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from backupstore.core.documents import decode
from backupstore.core.purge_records import (
    NodeAnswer,
)
from backupstore.core.retention import Policy
from backupstore.core.work import PurgeWork
from backupstore.errors import Corrupt, Retryable
from backupstore.operations.answers import end, read_answers
from backupstore.operations.doomed import read_doomed
from backupstore.operations.opening import SILENCE, Opening, begin
from backupstore.operations.planning import asked_for
from backupstore.operations.purging import Worker
from backupstore.operations.queued_purge import Worked, work_off
from backupstore.ports import ObjectStore
from tests.operations.fleet import NOW, Fleet
from tests.operations.purging import Meanwhile, Spy
from tests.operations.queued import RULES, TWO, Site, queued_site


@pytest.fixture
def site() -> Site:
    return queued_site()


def ended(site: Site, name: str = "run1") -> list[tuple[str, bool]]:
    return [(result.node, result.done) for result in site.record(name).results]


@pytest.mark.parametrize("seed", range(8))
def test_in_any_order_and_doubled_it_is_what_one_process_does(site: Site, seed: int) -> None:
    beside = Fleet()
    beside.daily([0, 1, 20, 30])
    beside.index()
    beside.purge(TWO)
    random = Random(seed)
    site.plan()
    works = site.take() * 2
    random.shuffle(works)
    for work in works:
        site.work(work)
    assert ended(site) == [("n1", True), ("n2", True), ("n3", True)]
    by_chance = (site.fleet.layout.all_condemned(), site.fleet.layout.purges())
    assert [key for key in site.fleet.everything() if not key.startswith(by_chance)] == [
        key for key in beside.everything() if not key.startswith(by_chance)
    ]
    assert site.answers() == []


def test_what_was_freed_is_the_sum_of_all_that_worked_on_it(site: Site) -> None:
    beside = Fleet()
    beside.daily([0, 1, 20, 30])
    beside.index()
    whole = beside.purge(TWO).record.results[0]
    site.plan()
    first = next(work for work in site.take() if work.node == "n1")

    def gone() -> None:
        raise Retryable("the store does not answer")

    with pytest.raises(Retryable):
        site.work(first, lambda store: Meanwhile(store, "list", site.fleet.layout.announced_of("n1", "d20"), gone))
    (before,) = read_answers(site.fleet.place, "run1").by_node.values()
    assert (before.ended, before.result.error) == (False, "the store does not answer")
    assert 0 < before.result.objects < whole.objects
    result = site.work(first).result
    assert result
    assert (result.objects, result.bytes, result.done, result.error) == (whole.objects, whole.bytes, True, None)


def test_of_two_at_the_same_time_one_is_counted(site: Site) -> None:
    site.plan()
    first = site.take()[0]
    done: list[Worked] = []
    about = site.fleet.layout.purge_answer("run1", first.node)
    site.work(first, lambda store: Meanwhile(store, "create", "condemned", lambda: done.append(site.work(first))))
    answer = decode(NodeAnswer, site.fleet.store.read(about).body, about)
    assert done[0].result
    assert answer.result == done[0].result


@pytest.mark.parametrize("sleepers", [1, 3])
def test_what_is_put_down_after_the_end_is_not_left_behind(site: Site, sleepers: int) -> None:
    """Each node is done by two at the same time; the slower ones answer when the purge is over."""
    site.plan()
    works = site.take()

    def sleeping(left: int) -> None:
        if left == 0:
            for work in works:
                site.work(work)
        else:
            about = site.fleet.layout.condemned(works[left - 1].node)
            site.work(
                works[left - 1],
                lambda store: Meanwhile(store, "create", about, lambda: sleeping(left - 1)),
            )

    sleeping(sleepers)
    assert ended(site) == [("n1", True), ("n2", True), ("n3", True)]
    assert site.answers() == []


def test_a_message_after_the_end_does_nothing(site: Site) -> None:
    site.plan()
    works = site.take()
    for work in works:
        site.work(work)
    before = site.fleet.everything()
    spy: list[Spy] = []

    def spied(store: ObjectStore) -> ObjectStore:
        spy.append(Spy(store))
        return spy[0]

    assert site.work(works[0], spied).result is None
    assert spy[0].batches == []
    assert site.fleet.everything() == before


def test_a_worker_that_sleeps_over_the_end_of_its_purge_deletes_nothing(site: Site) -> None:
    """It has condemned before it fell asleep, or does so when it wakes: then its document counts for nothing."""
    for call in ("create", "list"):
        site = queued_site()
        fleet = site.fleet
        site.plan()
        sleeper = next(work for work in site.take() if work.node == "n3")
        about = fleet.layout.condemned("n3") if call == "create" else fleet.layout.shared_data("n3")

        def sleeps(fleet: Fleet = fleet) -> None:
            end(fleet.place, "run1", fleet.revision, NOW)

        spies: list[Spy] = []

        def through(store: ObjectStore, about: str = about, call: str = call, spies: list[Spy] = spies) -> ObjectStore:
            spies.append(Spy(store))
            return Meanwhile(spies[0], call, about, sleeps)

        site.work(sleeper, through)
        assert spies[0].batches == []
        assert fleet.backups("n3") == ["d0", "d1", "d20", "d30"]
        assert fleet.keys(fleet.layout.condemned("n3"))
        doomed = read_doomed(fleet.store, fleet.layout)
        assert (doomed.nodes, doomed.whole) == ({}, frozenset())


def test_two_that_each_keep_what_the_other_deletes_are_never_both_carried_out(site: Site) -> None:
    """The first died, it seemed, and was ended; what it would have kept was deleted since. Now its worker wakes."""
    fleet = site.fleet
    plan = asked_for(fleet.plan(Policy()), "d0")
    opening = Opening(name="asked", rules=RULES, revision=fleet.revision)
    begin(fleet.place, plan, opening)
    sleeper = PurgeWork(prefix="p", run="asked", node="n1")

    def meanwhile() -> None:
        fleet.time = NOW + SILENCE + 1
        site.plan(Policy(max_count=1))
        for work in site.take():
            site.work(work)

    site.work(sleeper, lambda store: Meanwhile(store, "create", "condemned", meanwhile))
    assert fleet.backups("n1") == ["d0"]
    assert not site.record("asked").is_done
    fleet.index()
    fleet.purge(Policy(), "later")
    assert fleet.backups("n1") == ["d0"], "what was condemned too late is nobody's order"


def test_a_braked_plan_is_sent_to_nobody(site: Site) -> None:
    sent = site.plan(most=0.1)
    assert "purge_max_share" in sent.braked
    assert site.take() == []
    assert site.record("run1").braked
    site.work(PurgeWork(prefix="p", run="run1", node="n1"))
    assert site.fleet.backups("n1") == ["d0", "d1", "d20", "d30"]


def test_a_message_without_a_record_deletes_nothing(site: Site) -> None:
    assert site.work(PurgeWork(prefix="p", run="forged", node="n1")).result is None
    assert site.fleet.backups("n1") == ["d0", "d1", "d20", "d30"]


def test_a_message_for_a_node_that_has_no_work_is_refused(site: Site) -> None:
    site.plan()
    with pytest.raises(Corrupt, match="no work for n9"):
        site.work(PurgeWork(prefix="p", run="run1", node="n9"))


def test_an_answer_that_cannot_be_read_is_none(site: Site) -> None:
    fleet = site.fleet
    site.plan()
    works = site.take()
    fleet.store.put(fleet.layout.purge_answer("run1", "n1"), b"rubbish")
    for work in works:
        site.work(work)
    assert ended(site) == [("n1", True), ("n2", True), ("n3", True)]


def test_one_that_died_while_it_ended_the_purge_is_no_harm(site: Site) -> None:
    site.plan()
    first, second, third = site.take()
    site.work(first)
    site.work(second)

    class DiesError(Exception):
        pass

    def dies() -> None:
        raise DiesError

    at = site.fleet.place
    late = replace(at, store=Meanwhile(at.store, "list", site.fleet.layout.all_condemned(), dies))
    worker = Worker(at, site.fleet.revision, late=late)
    with pytest.raises(DiesError):
        work_off(worker, third, indexer=site.fleet.store)
    assert not site.record().is_open
    assert site.record().finished is None
    assert site.work(third).ended
    assert ended(site) == [("n1", True), ("n2", True), ("n3", True)]
