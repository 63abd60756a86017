"""What jobs leave behind, and what becomes of it: what is long over is deleted.

Who coordinates deletes what was asked, answered and put on record. That the job is over stays marked: so nobody can begin it
anew who may write records, or sleeps meanwhile. The mark goes with a purge, once nothing is left that could be begun.
"""

from __future__ import annotations

from collections.abc import Iterator

from backupstore.core.documents import decode
from backupstore.core.job_documents import JobTurn
from backupstore.core.job_ids import in_order
from backupstore.core.layout import Layout
from backupstore.errors import Corrupt, NotFound
from backupstore.operations.job_store import read_job
from backupstore.operations.truth import child_names
from backupstore.ports import ObjectStore

_DAY = 86_400.0
KEPT = 90 * _DAY
"""Seconds for which is kept, at least, what is on record about purges and jobs that are over."""


def tidy_jobs(store: ObjectStore, layout: Layout, now: float) -> tuple[str, ...]:
    """Delete the documents of jobs that have been over for so long; their names, oldest first.

    Never those of the newest restore, the newest backup, and the last job whose turn it was; nor those of a job that gave
    nodes up. May be killed at any point: the request, by which a job is found here, goes last. Corrupt when it cannot be
    told whose turn it is.
    """
    asked = in_order(child_names(store, layout.all_job_requests()))
    old = _old_marks(store, layout, now)
    spared = {*{name.partition("-")[0]: name for name in asked}.values(), _turn(store, layout)}
    gone = tuple(name for name in asked if name in old and name not in spared and not _left_behind(store, layout, name))
    nodes = tuple(child_names(store, layout.all_job_states())) if gone else ()
    for job in gone:
        for node in nodes:
            store.delete([stored.key for stored in store.list(layout.job_states(job, node))])
        store.delete([layout.job(job)])
        store.delete([*(stored.key for stored in store.list(layout.job_wishes(job))), layout.job_request(job)])
    return gone


def _left_behind(store: ObjectStore, layout: Layout, job: str) -> bool:
    """Whether nodes were given up: what has to be done there before they are started stands nowhere else.

    A record that cannot be read may say so.
    """
    try:
        stored = read_job(store, layout, job)
    except Corrupt:
        return True
    return stored is not None and bool(stored.job.given_up)


def forgotten_marks(store: ObjectStore, layout: Layout, now: float) -> Iterator[str]:
    """The keys of old marks of jobs of which nothing else is left."""
    old = _old_marks(store, layout, now)
    if old:
        yield from (
            layout.job_over(name)
            for name in sorted(old - {*child_names(store, layout.all_job_requests()), _turn(store, layout)})
        )


def _old_marks(store: ObjectStore, layout: Layout, now: float) -> set[str]:
    over = layout.jobs_over()
    return {stored.key[len(over) :] for stored in store.list(over) if stored.modified < now - KEPT}


def _turn(store: ObjectStore, layout: Layout) -> str:
    """The job that is being coordinated, or was last; empty where there never was one."""
    key = layout.job_turn()
    try:
        return decode(JobTurn, store.read(key).body, key).job
    except NotFound:
        return ""
