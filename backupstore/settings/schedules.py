"""Times of the day, week and month as cron writes them, in UTC: ``15 3 * * *`` is a quarter past three, every night.

Five fields: minute, hour, day of the month, month, day of the week; each ``*``, a number, a range, a list, a step, or the
first three letters of a month or day. Sunday is 0 and 7. Where both days are given, either will do, as with cron.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

_PART = re.compile(r"(?:(\*)|([0-9]{1,2}|[a-z]{3})(?:-([0-9]{1,2}|[a-z]{3}))?)(?:/([0-9]{1,2}))?")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_SUNDAY = 7
_NONE: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Schedule:
    """Which minutes, hours, days of the month, months (1 is January) and days of the week (0 is Sunday).

    ``either_day``: both kinds of days are given, and one of them is enough.
    """

    text: str
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    either_day: bool


def read_schedule(text: str) -> Schedule:
    """The schedule. ValueError says what is wrong."""
    fields = text.lower().split()
    if len(fields) != len(("minute", "hour", "day", "month", "weekday")):
        raise ValueError("has not five fields")
    minute, hour, day, month, weekday = fields
    schedule = Schedule(
        text=" ".join(fields),
        minutes=_numbers(minute, "minute", range(60)),
        hours=_numbers(hour, "hour", range(24)),
        days=_numbers(day, "day of the month", range(1, 32)),
        months=_numbers(month, "month", range(1, 13), dict(zip(_MONTHS, range(1, 13), strict=True))),
        weekdays=_weekdays(weekday),
        either_day=not day.startswith("*") and not weekday.startswith("*"),
    )
    if not schedule.either_day and min(schedule.days) > max(_LONGEST[month - 1] for month in schedule.months):
        raise ValueError("names a day that no such month has")
    return schedule


def _weekdays(text: str) -> tuple[int, ...]:
    found = _numbers(text, "day of the week", range(_SUNDAY + 1), {name: number for number, name in enumerate(_DAYS)})
    return tuple(sorted({number % _SUNDAY for number in found}))


def _numbers(text: str, what: str, allowed: range, names: Mapping[str, int] = _NONE) -> tuple[int, ...]:
    low, high = allowed[0], allowed[-1]
    found = set[int]()
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError(f"cannot be read: what stands for the {what}")
        every, first, last, step = match.groups()
        begin = low if every else _number(first, names)
        end = _number(last, names) if last else high if every or step else begin
        if last == _DAYS[0] and begin:
            end = _SUNDAY  # fri-sun
        if not low <= begin <= end <= high or step == "0":
            raise ValueError(f"has no {what} from {low} to {high}")
        found.update(range(begin, end + 1, int(step or 1)))
    return tuple(sorted(found))


def _number(text: str, names: Mapping[str, int]) -> int:
    return int(text) if text.isdigit() else names.get(text, -1)
