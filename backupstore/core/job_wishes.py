"""What operators want of a job that is under way: that it goes on where it waits, or that everything goes back.

Each wish is looked at once, and what came of it is written down beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from backupstore.core.job_documents import Job, ObeyedWish, Wish
from backupstore.core.shown import one_line

_MOST_SAID = 2000
"""Characters."""

Obey = Callable[[Job, Wish], tuple[Job, str]]


def new_wishes(job: Job, wishes: Iterable[Wish]) -> list[Wish]:
    """Those that were not looked at yet, in the order in which they were made."""
    known = {each.id for each in job.wishes}
    mine = {each.id: each for each in wishes if each.job == job.job and each.id not in known}
    return sorted(mine.values(), key=lambda each: (each.created, each.id))


def with_wishes(job: Job, wishes: Iterable[Wish], now: float, obey: Obey) -> Job:
    """The job after these wishes were looked at."""
    for wish in new_wishes(job, wishes):
        if job.is_over:
            return job
        job, came = obey(job, wish)
        told = ObeyedWish(id=wish.id, wish=wish.wish, by=wish.by, at=now, came=one_line(came, _MOST_SAID))
        job = job.model_copy(update={"wishes": (*job.wishes, told)})
    return job
