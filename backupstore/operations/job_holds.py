"""Holds of jobs: while a backup is being restored it is not deleted.

They end by themselves, and a job that lasts puts a new one down in time: a coordinator may not delete holds, so that whoever
steals its credential cannot either.
"""

from __future__ import annotations

from backupstore.core.documents import Hold, encode
from backupstore.core.job_documents import Job, Request
from backupstore.core.layout import Layout
from backupstore.errors import Conflict
from backupstore.operations.condemned import all_condemned
from backupstore.operations.documents import read_own
from backupstore.ports import ObjectStore

DAY = 86_400.0
HOLD = 7 * DAY
"""Seconds that one hold lasts."""
LEFT = 6 * DAY
"""With less than this left, another one is put down."""


def held(store: ObjectStore, layout: Layout, job: Job, now: float) -> Job:
    """The job, once there is a hold that lasts. Not for what holds nothing: backups, and jobs that are over."""
    if job.kind != "restore" or job.is_over or job.held_until - now >= LEFT:
        return job
    name = f"{job.job}-{job.holds + 1}"
    hold = Hold(backup=job.backup, id=name, by="coordinator", why=f"job {job.job}", created=now, expires=now + HOLD)
    key = layout.hold(job.backup, name)
    try:
        store.create(key, encode(hold))
    except Conflict:
        # A call that died before it could write the job, or another one at the same time.
        hold = read_own(store, Hold, key) or hold
    return job.model_copy(update={"holds": job.holds + 1, "held_until": hold.expires or now})


def condemned_sources(store: ObjectStore, layout: Layout, request: Request) -> tuple[str, ...]:
    """The nodes whose part of the backup may be gone already. To be asked after the hold was written."""
    wanted = {source for each in request.assignments for source in each.sources}
    found = {node for node, _, document in all_condemned(store, layout) if request.backup in document.backups}
    return tuple(sorted(found & wanted))
