"""Measuring a cluster: one read, nothing written, and a bucket that cannot be read is told as a failure."""

from __future__ import annotations

import pytest

from backupstore.core import measures
from backupstore.core.documents import encode
from backupstore.core.job_documents import Job, Wait
from backupstore.core.job_ids import job_id
from backupstore.core.measures import NEVER, Sample
from backupstore.core.purge_records import NodeResult, PlannedWork, PurgeRecord
from backupstore.core.writers import Principal
from backupstore.errors import BackupError, Denied, Retryable
from backupstore.operations.report import measure, measure_jobs, measure_purges
from backupstore.ports import ObjectStore
from tests.interleaving import Around
from tests.operations.stories import Story


@pytest.fixture
def story() -> Story:
    story = Story()
    story.ship("n1", "a")
    story.ship("n2", "a")
    return story


class Noting(Around):
    """Keeps what was asked of the store."""

    def __init__(self, store: ObjectStore) -> None:
        super().__init__(store)
        self.calls: list[str] = []

    def before(self, call: str) -> None:
        self.calls.append(call)


class Failing(Around):
    """A store that answers every call with this."""

    def __init__(self, store: ObjectStore, error: BackupError) -> None:
        super().__init__(store)
        self.error = error

    def before(self, call: str) -> None:  # noqa: ARG002 - it does not matter which
        raise self.error


NOON = 1_800_014_400.0
SILENT = Retryable("The store does not answer.")


def by_name(samples: list[Sample]) -> dict[tuple[str, str], float]:
    return {(sample.measure.name, sample.node): sample.value for sample in samples}


def test_one_read_tells_everything(story: Story) -> None:
    story.reconcile(now=1000.0)
    reader = Noting(story.bucket.open(Principal.REPORT, story.layout))  # may not write anything
    found = by_name(measure(reader, story.layout, now=1060.0))
    assert reader.calls == ["read", "list", "entries", "entries"], "the head, and whether there were purges, or jobs"
    assert found["medusa-shipper.index-lag-seconds", ""] == 60
    assert found["medusa-shipper.complete-backups", ""] == 1
    assert found["medusa-cluster-backup.complete-backups-node-count", ""] == 2
    assert ("medusa-node-backup.seconds-since-backup", "n2") in found


@pytest.mark.parametrize("body", [None, b"rubbish"])
def test_a_catalog_that_is_not_there_or_no_catalog_is_a_failure(story: Story, body: bytes | None) -> None:
    if body:
        story.store.put(story.layout.head(), body)
    found = by_name(measure(story.store, story.layout, now=1.0))
    assert found == {
        ("medusa-cluster-backup.seconds-since-backup", ""): NEVER,
        ("medusa-shipper.report-error", ""): 1,
    }


def test_a_store_in_trouble_is_a_failure(story: Story) -> None:
    story.reconcile()
    samples = measure(Failing(story.store, SILENT), story.layout, now=1.0)
    assert [sample.value for sample in samples if sample.measure == measures.REPORT_ERROR] == [1]
    assert {sample.cluster for sample in samples} == {story.layout.prefix}


def purged(story: Story, run: str, created: float, *results: NodeResult, finished: bool = True) -> None:
    record = PurgeRecord(
        revision="r",
        run=run,
        created=created,
        work=(PlannedWork(node="n1"), PlannedWork(node="n2")),
        finished=created + 1 if finished else None,
        results=results,
    )
    story.store.put(story.layout.purge(run), encode(record))


def freed(node: str, size: int, *, done: bool = True) -> NodeResult:
    return NodeResult(node=node, objects=1, bytes=size, done=done)


def purges(story: Story) -> dict[str, float]:
    return {sample.measure.what: sample.value for sample in measure_purges(story.store, story.layout, now=1000.0)}


def test_the_last_purge(story: Story) -> None:
    assert purges(story) == {}, "not everybody purges"
    purged(story, "a", 100.0, freed("n1", 5), freed("n2", 7))
    told = {"purge-age-seconds": 900, "purge-freed-bytes": 12, "purge-pending-nodes": 0}
    assert purges(story) == {**told, "purge-braked": 0, "purge-blocked-nodes": 0}


def test_a_purge_that_is_braked_or_blocked_is_told(story: Story) -> None:
    failed = NodeResult(node="n2", done=False, error="the store does not answer")
    purged(story, "a", 100.0, freed("n1", 0, done=False), failed)
    assert (purges(story)["purge-braked"], purges(story)["purge-blocked-nodes"]) == (0, 1)
    braked = PurgeRecord(revision="r", run="b", created=200.0, braked=True, finished=200.0)
    story.store.put(story.layout.purge("b"), encode(braked))
    assert (purges(story)["purge-braked"], purges(story)["purge-blocked-nodes"]) == (1, 1)
    purged(story, "c", 300.0, finished=False)
    assert (purges(story)["purge-braked"], purges(story)["purge-blocked-nodes"]) == (0, 1), "nobody knows better yet"
    purged(story, "d", 400.0, freed("n1", 5), freed("n2", 7))
    assert (purges(story)["purge-braked"], purges(story)["purge-blocked-nodes"]) == (0, 0)


def test_no_more_records_of_purges_are_read_than_needed(story: Story) -> None:
    for number in range(3):
        purged(story, f"a{number}", 100.0 + number, freed("n1", 5), freed("n2", 7))
    purged(story, "b", 200.0, freed("n1", 5))
    reader = Noting(story.store)
    measure_purges(reader, story.layout, now=1000.0)
    assert reader.calls == ["list", "read", "read"], "to the last one that did all"
    for number in range(20):
        purged(story, f"c{number}", 300.0 + number, freed("n1", 5))
    reader = Noting(story.store)
    assert measure_purges(reader, story.layout, now=1000.0)[0].value == NEVER
    assert reader.calls.count("read") == 10


@pytest.mark.parametrize(
    ("results", "finished", "size", "pending"),
    [
        ((freed("n1", 5), NodeResult(node="n2", done=False, error="why")), True, 5, 1),
        ((freed("n1", 5),), True, 5, 1),
        ((), False, 0, 2),
    ],
    ids=["a node that could not be done", "a node without a result", "at work, or dead"],
)
def test_a_purge_that_did_not_do_all_does_not_count(
    story: Story, results: tuple[NodeResult, ...], *, finished: bool, size: int, pending: int
) -> None:
    purged(story, "b", 200.0, *results, finished=finished)
    told = {"purge-freed-bytes": size, "purge-pending-nodes": pending, "purge-braked": 0, "purge-blocked-nodes": 0}
    assert purges(story) == {"purge-age-seconds": NEVER, **told}
    purged(story, "a", 100.0, freed("n1", 5), freed("n2", 7))
    purged(story, "b", 200.0, *results, finished=finished)
    assert purges(story) == {"purge-age-seconds": 900, **told}


def test_records_that_cannot_be_read_are_no_purges(story: Story) -> None:
    purged(story, "a", 100.0, freed("n1", 5), freed("n2", 7))
    story.store.put(story.layout.purge("b"), b"rubbish")
    assert purges(story)["purge-age-seconds"] == 900
    silent = measure_purges(Failing(story.store, SILENT), story.layout, now=1000.0)
    assert [(sample.measure.what, sample.value) for sample in silent] == [("purge-age-seconds", NEVER)]


def test_a_node_that_may_not_see_purges_tells_nothing_of_them(story: Story) -> None:
    purged(story, "a", 100.0, freed("n1", 5), freed("n2", 7))
    assert measure_purges(Failing(story.store, Denied("no")), story.layout, now=1000.0) == []


def jobs_of(story: Story, now: float = NOON) -> dict[str, float]:
    return {sample.measure.what: sample.value for sample in measure_jobs(story.store, story.layout, now=now)}


def asked(story: Story, number: int, at: float = NOON, **facts: object) -> str:
    """A job; with ``facts``, one that a coordinator has seen."""
    name = job_id("restore", at, f"{number:08x}")
    story.store.put(story.layout.job_request(name), b"{}")
    if facts:
        told = {"revision": "r", "job": name, "kind": "restore", "backup": "a", "created": at, "since": at, **facts}
        story.store.put(story.layout.job(name), encode(Job.model_validate(told)))
    return name


def test_jobs_are_told_until_they_are_over(story: Story) -> None:
    assert jobs_of(story) == {"jobs-open": 0, "jobs-waiting": 0, "job-phase-seconds": 0}
    first = asked(story, 1, phase="placing", since=NOON - 60)
    asked(story, 2, phase="queued", since=NOON - 600, waiting=(Wait(why="its turn has not come"),))
    assert jobs_of(story) == {"jobs-open": 2, "jobs-waiting": 0, "job-phase-seconds": 60}
    asked(story, 1, phase="placing", since=NOON - 60, waiting=(Wait(node="n1", why="silent"),))
    assert jobs_of(story) == {"jobs-open": 2, "jobs-waiting": 1, "job-phase-seconds": 60}
    story.store.put(story.layout.job_over(first), b"")
    assert jobs_of(story) == {"jobs-open": 1, "jobs-waiting": 0, "job-phase-seconds": 0}


def test_a_job_that_nobody_coordinates_ages_and_one_that_cannot_be_read_waits(story: Story) -> None:
    asked(story, 1, at=NOON - 3600)
    assert jobs_of(story) == {"jobs-open": 1, "jobs-waiting": 0, "job-phase-seconds": 3600}
    story.store.put(story.layout.job(asked(story, 2)), b"{")
    assert jobs_of(story) == {"jobs-open": 2, "jobs-waiting": 1, "job-phase-seconds": 3600}
    story.store.put(story.layout.job_request("restore-99999999999999-00000003"), b"{}")
    assert jobs_of(story)["job-phase-seconds"] == NOON, "what holds no time is as old as can be"


def test_jobs_that_cannot_be_seen_wait_and_who_may_not_see_them_tells_nothing(story: Story) -> None:
    told = measure_jobs(Failing(story.store, SILENT), story.layout, now=NOON)
    assert [(sample.measure, sample.value) for sample in told] == [(measures.JOBS_WAITING, 1)]
    assert measure_jobs(Failing(story.store, Denied("no")), story.layout, now=NOON) == []
