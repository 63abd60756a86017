"""Keep rules: so many hourly, daily, weekly, monthly and yearly backups, each the newest of its period (UTC).

As restic and borg count them: a rule looks from the newest backup to the oldest, takes the first of each period, and
stops after so many periods *that have a backup*; a backup may be taken by several rules at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Literal

Period = Literal["hourly", "daily", "weekly", "monthly", "yearly"]
PERIODS: tuple[Period, ...] = ("hourly", "daily", "weekly", "monthly", "yearly")
"""From the shortest to the longest."""
_FORMS: Mapping[Period, str] = {
    "hourly": "%Y-%m-%d %H",
    "daily": "%Y-%m-%d",
    "weekly": "%G-W%V",
    "monthly": "%Y-%m",
    "yearly": "%Y",
}


def moment(at: float) -> datetime | None:
    """UTC epoch seconds as a date; None for what no calendar has."""
    try:
        return datetime.fromtimestamp(at, tz=timezone.utc)
    except (OverflowError, ValueError, OSError):
        return None


def period_of(at: float, period: Period) -> str:
    """Names the hour, day, ISO week, month or year that a time lies in."""
    found = moment(at)
    return found.strftime(_FORMS[period]) if found else "beyond all calendars"


def kept_by(period: Period, most: int, newest_first: Iterable[tuple[str, float]]) -> dict[str, str]:
    """The names that one rule keeps, newest first, each with the period it stands for."""
    kept: dict[str, str] = {}
    told = set()
    for name, at in newest_first:
        if len(kept) >= most:
            break
        which = period_of(at, period)
        if which not in told:
            told.add(which)
            kept[name] = which
    return kept
