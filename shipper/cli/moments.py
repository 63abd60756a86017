"""Times and durations as people type them: ``2026-12-31``, ``2026-12-31T23:59``, ``30d``."""

from __future__ import annotations

import re
from datetime import datetime, timezone

import typer

_DURATION = re.compile(r"([0-9]{1,5})([hdw])")
_SECONDS = {"h": 3600.0, "d": 86_400.0, "w": 7 * 86_400.0}


def parse_duration(text: str) -> float:
    """Seconds."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or not int(match[1]):
        raise typer.BadParameter("give hours, days or weeks: 12h, 30d, 8w")
    return int(match[1]) * _SECONDS[match[2]]


def parse_moment(text: str) -> float:
    """UTC epoch seconds. A date is its first moment; without an offset, the time is in UTC."""
    try:
        found = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError:
        raise typer.BadParameter("give a date, or date and time, in UTC: 2026-12-31, 2026-12-31T18:00") from None
    return (found if found.tzinfo else found.replace(tzinfo=timezone.utc)).timestamp()
