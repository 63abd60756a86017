"""What purges leave behind: old records, answers of purges that are over, documents of nodes that nobody visits."""

from __future__ import annotations

import pytest

from backupstore.core.documents import Condemned, encode
from backupstore.core.purge_records import NodeAnswer, NodeResult, PlannedWork, PurgeRecord
from backupstore.errors import Retryable
from backupstore.operations.plan import Place
from backupstore.operations.purging import carry_out
from tests.operations.fleet import DAY, NOW, Fleet
from tests.operations.purging import Meanwhile
from tests.operations.queued import TWO, Site, queued_site
from tests.shipper.cli.handmade import Made


@pytest.fixture
def site() -> Site:
    return queued_site()


def old_record(fleet: Fleet, run: str, days: float, *, done: bool = True, finished: bool = True) -> None:
    record = PurgeRecord(
        revision="x",
        run=run,
        created=NOW - days * DAY,
        work=(PlannedWork(node="n1"),),
        finished=NOW - days * DAY if finished else None,
        results=(NodeResult(node="n1", done=done),),
    )
    fleet.time = NOW - days * DAY
    fleet.store.create(fleet.layout.purge(run), encode(record))
    fleet.time = NOW


def runs(fleet: Fleet) -> list[str]:
    return [key.rpartition("/")[2].removesuffix(".json") for key in fleet.keys(fleet.layout.purges())]


def test_records_that_are_old_and_needed_by_nobody_are_deleted(site: Site) -> None:
    old_record(site.fleet, "a-old", 200)
    old_record(site.fleet, "b-old", 91)
    old_record(site.fleet, "c-young", 89)
    site.fleet.purge(TWO)
    assert runs(site.fleet) == ["c-young", "run1"]


def test_the_last_that_did_all_is_kept_however_old_it_is(site: Site) -> None:
    old_record(site.fleet, "a-older", 300)
    old_record(site.fleet, "b-old", 200)
    old_record(site.fleet, "c-not-done", 95, done=False)
    site.fleet.ship("d0b", 0, nodes=("n2",), made=Made(ring=dict.fromkeys(site.fleet.nodes, "dc1"), end="begun"))
    site.fleet.purge(TWO)
    assert runs(site.fleet) == ["b-old", "run1"]


def test_a_record_that_a_condemned_document_speaks_of_is_kept(site: Site) -> None:
    old_record(site.fleet, "a-old", 200)
    site.fleet.condemn("n1", "d30", run="a-old")
    site.fleet.purge(TWO)
    assert runs(site.fleet) == ["a-old", "run1"]


def test_condemned_documents_of_nodes_that_nobody_visits_are_dropped(site: Site) -> None:
    fleet = site.fleet
    for days, name in ((15, "old"), (13, "young")):
        fleet.time = NOW - days * DAY
        document = Condemned(revision="x", run=name, node="gone", created=fleet.time, keys=("k",))
        fleet.store.create(fleet.layout.condemned_document("gone", f"{name}-x"), encode(document))
    fleet.time = NOW
    fleet.purge(TWO)
    assert fleet.keys(fleet.layout.condemned("gone")) == [fleet.layout.condemned_document("gone", "young-x")]


def test_answers_for_a_purge_that_is_over_are_deleted(site: Site) -> None:
    fleet = site.fleet
    old_record(fleet, "over", 1)
    for run in ("over", "nobodys"):
        answer = NodeAnswer(revision="x", run=run, ended=True, result=NodeResult(node="n1", done=True))
        fleet.store.create(fleet.layout.purge_answer(run, "n1"), encode(answer))
    fleet.purge(TWO)
    assert site.answers() == []


def test_that_they_cannot_be_deleted_is_told_and_no_failure(site: Site) -> None:
    fleet = site.fleet
    old_record(fleet, "odd", 100)
    fleet.store.put(
        fleet.layout.purge("run0"), encode(PurgeRecord(revision="x", run="run0", created=1.0, finished=1.0))
    )
    fleet.store.put(fleet.layout.purge_answer("broken", "n1"), b"x")
    plan = fleet.plan(TWO)

    def breaks() -> None:
        raise Retryable("the store does not answer")

    at = fleet.place
    troubled = Place(Meanwhile(at.store, "entries", fleet.layout.all_purge_answers(), breaks), at.layout, at.now)
    outcome = carry_out(troubled, plan, fleet.run("run1"), indexer=fleet.store)
    assert outcome.untidied is not None
    assert outcome.record.is_done
