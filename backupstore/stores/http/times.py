"""The time in a header, and what an answer tells of the store's clock."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from functools import lru_cache

from backupstore.errors import Corrupt
from backupstore.ports import Clock
from backupstore.stores.http.client import Answer

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_HTTP_DATE = re.compile(r"\w{3}, (\d\d) (\w{3}) ([1-9]\d{3}) (\d\d):(\d\d):(\d\d) GMT", re.ASCII)


@lru_cache(maxsize=1024)
def http_time(text: str) -> float:
    """``Sun, 01 Mar 2026 12:00:00 GMT`` as epoch seconds; 0 when it is no time."""
    match = _HTTP_DATE.fullmatch(text)
    if match is None or match[2] not in _MONTHS:
        return 0.0
    day, month, year, *time = match.groups()
    return float(calendar.timegm((int(year), _MONTHS.index(month) + 1, int(day), *map(int, time))))


def skew(clock: Clock, send: Callable[[], Answer]) -> float:
    """The store's clock minus this one, in seconds: the Date of an answer, and the middle of the time that it took."""
    before = clock.now()
    answer = send()
    after = clock.now()
    said = http_time(answer.headers.get("date", ""))
    if not said:
        raise Corrupt("The store's answers carry no date.", hint="Compare the clocks of both machines by hand.")
    return said + 0.5 - (before + after) / 2
