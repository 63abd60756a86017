"""What jobs are called: ``restore-20261123134500-0a1b2c3d``. The time says when it was asked for, in UTC."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timezone

_JOB = re.compile(r"(restore|backup)-([0-9]{14})-([0-9a-f]{8})")


def job_id(kind: str, now: float, random: str) -> str:
    """What a job that is asked for now is called: names of a kind sort by time. ``random``: eight hex digits or more."""
    return f"{kind}-{datetime.fromtimestamp(now, timezone.utc):%Y%m%d%H%M%S}-{random[:8]}"


def is_job_id(text: str) -> bool:
    """Whether ``job_id`` could have made it."""
    return _JOB.fullmatch(text) is not None


def asked_at(job: str) -> str:
    """The time in a job's id, as it sorts; empty where it is no such id."""
    match = _JOB.fullmatch(job)
    return match[2] if match else ""


def in_order(names: Iterable[str]) -> list[str]:
    """Those that are ids of jobs, in the order in which they were asked for."""
    return sorted(filter(is_job_id, names), key=lambda name: (asked_at(name), name))


def asked_time(job: str) -> float:
    """The same in epoch seconds; 0 where the id holds no time."""
    try:
        return datetime.strptime(asked_at(job), "%Y%m%d%H%M%S").replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        return 0.0
