"""When something is due by a schedule: the calendar is APScheduler's, and no scheduler of its runs here.

Its schedulers run jobs in pools of threads that a process waits for before it ends, and remember the last run only in
memory or in a database. ``serve`` ends at once, and what it remembers lies in the bucket.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger

from backupstore.settings.schedules import Schedule

# By name, for the first day of the week is another one there than with cron.
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_UTC = timezone.utc
_MINUTE = 60.0
_LONGEST = 16 * 366 * 86_400.0  # the 29th of February may stay away for eight years


class Timetable:
    """The times of one schedule."""

    def __init__(self, schedule: Schedule) -> None:
        every = _trigger(schedule, schedule.days, schedule.weekdays)
        if schedule.either_day:
            every = OrTrigger(
                [_trigger(schedule, schedule.days, range(7)), _trigger(schedule, range(1, 32), schedule.weekdays)]
            )
        self._trigger: BaseTrigger = every

    def after(self, at: float) -> float:
        """The first time after this one, both in epoch seconds; infinity when there is none."""
        # A trigger gives the first time that is not before; what is asked for is later than ``at``.
        found = self._trigger.get_next_fire_time(None, datetime.fromtimestamp(int(at) + 1, _UTC))
        return found.timestamp() if found else float("inf")

    def last(self, at: float) -> float | None:
        """The last time that is not later than this one, both in epoch seconds; None when there is none in many years."""
        span = _MINUTE
        while (found := self.after(at - span)) > at:
            span *= 2
            if span > _LONGEST:
                return None
        later = at
        while later - found > _MINUTE / 2:  # no two times are closer than a minute
            middle = (found + later) / 2
            if (between := self.after(middle)) <= at:
                found = between
            else:
                later = middle
        return found


def _trigger(schedule: Schedule, days: Iterable[int], weekdays: Iterable[int]) -> CronTrigger:
    return CronTrigger(
        minute=_listed(schedule.minutes),
        hour=_listed(schedule.hours),
        day=_listed(days),
        month=_listed(schedule.months),
        day_of_week=",".join(_WEEKDAYS[number] for number in weekdays),
        timezone=_UTC,
    )


def _listed(numbers: Iterable[int]) -> str:
    return ",".join(map(str, numbers))
