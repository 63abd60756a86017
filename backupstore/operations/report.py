"""Report: what monitoring is told of a cluster, from reads of the catalog, the last purge and open jobs. Nothing here writes.

For hosts that report about a cluster again and again, and must not read a whole bucket for it: a catalog that is behind
is told as it is, and how far it is behind is one of the numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from backupstore.core.job_documents import Job
from backupstore.core.layout import Layout
from backupstore.core.measures import JOBS_WAITING, NEVER, PURGE_AGE, Sample
from backupstore.core.purge_records import PurgeRecord
from backupstore.core.reporting import (
    report_of,
    samples_of,
    samples_of_failure,
    samples_of_jobs,
    samples_of_purges,
)
from backupstore.errors import BackupError, Corrupt, Denied, NotFound
from backupstore.operations.job_store import open_jobs, read_job
from backupstore.operations.purge_history import newest_purges
from backupstore.operations.reading import read_head
from backupstore.ports import ObjectStore

_PURGES = 10
_JOBS = 20


def _nobody(error: BackupError) -> None:
    """Wants to know."""


def measure(
    store: ObjectStore, layout: Layout, *, now: float, tell: Callable[[BackupError], None] = _nobody
) -> list[Sample]:
    """The numbers of one cluster, all of its nodes among them. What cannot be read is told as a failure; ``tell``: why."""
    try:
        head = read_head(store, layout)
        if head is None:
            raise _absent(layout)
    except BackupError as error:
        tell(error)
        return samples_of_failure(layout.prefix)
    report = report_of(head, now=now, checked=head.checked)
    return [*samples_of(report, layout.prefix), *measure_work(store, layout, now=now)]


def _absent(layout: Layout) -> NotFound:
    return NotFound(
        f"there is no list of backups: {layout.head()}",
        hint="Nothing has been indexed yet: run serve, the indexer function, or build-index.",
        operation="report",
        key=layout.head(),
    )


def measure_work(store: ObjectStore, layout: Layout, *, now: float) -> list[Sample]:
    """The numbers of purges and of jobs."""
    return [*measure_purges(store, layout, now=now), *measure_jobs(store, layout, now=now)]


def measure_purges(store: ObjectStore, layout: Layout, *, now: float) -> list[Sample]:
    """The numbers of the last purges: one listing, and one read where the last one did all of its work.

    What cannot be read is told as if none ever had. Who is not allowed to see them, as a node is not, tells nothing.
    """
    try:
        return samples_of_purges(_last_purges(store, layout), layout.prefix, now=now)
    except Denied:
        return []
    except BackupError:
        return [Sample(PURGE_AGE, NEVER, layout.prefix)]


def _last_purges(store: ObjectStore, layout: Layout) -> list[PurgeRecord]:
    """The last ones, newest first, to the one that did all of its work; not more than a few."""
    found: list[PurgeRecord] = []
    for record in islice(newest_purges(store, layout), _PURGES):
        found.append(record)
        if record.is_done:
            break
    return found


def measure_jobs(store: ObjectStore, layout: Layout, *, now: float) -> list[Sample]:
    """The numbers of the jobs that are not over: two listings, and a read for each of them, not more than a few.

    What cannot be read is told as a job that waits. Who is not allowed to see them, as a node is not, tells nothing.
    """
    jobs, unreadable = dict[str, Job | None](), 0
    try:
        for name in open_jobs(store, layout)[:_JOBS]:
            try:
                found = read_job(store, layout, name)
            except Corrupt:
                unreadable += 1
            else:
                jobs[name] = found.job if found else None
    except Denied:
        return []
    except BackupError:
        return [Sample(JOBS_WAITING, 1, layout.prefix)]
    return samples_of_jobs(jobs, layout.prefix, unreadable=unreadable, now=now)
