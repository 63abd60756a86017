"""What has to be verified now: the head, the time and what is under way already → backups and levels.

Whoever asks, the answer follows from the bucket: when something was last verified stands in the head. So any number of
processes may ask, and any of them may have been started just now.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from backupstore.core.documents import Head, Level, Line
from backupstore.core.verification import Subset, rotating

UnderWay = AbstractSet[tuple[Level, str]]
"""What somebody is at: level and backup."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """``interval`` in seconds, more than 0; ``share`` of the data that is read in that time, from 0 to 1."""

    interval: float
    share: float


@dataclass(frozen=True, slots=True)
class Due:
    """Backups that are to be looked at on a level. ``subset``: the part of their data that is read; None for all."""

    level: Level
    backups: tuple[str, ...]
    subset: Subset | None = None


def due(head: Head, rhythm: Rhythm, *, now: float, under_way: UnderWay) -> tuple[Due, ...]:
    """Listing for what has become complete, structure for all again after ``interval``, content for the last complete.

    The intervals for reading follow each other without a gap, and each has its part of the data. In each something is
    read once, of whatever backup is the last one then, so that none is left out however irregularly somebody asks.
    """
    finished = [line for line in head.backups if line.finished is not None]
    found = (
        Due("listing", _not(under_way, "listing", [line for line in finished if not line.levels])),
        Due("structure", _not(under_way, "structure", [line for line in finished if _is_old(line, rhythm, now)])),
        _to_read(finished, rhythm, now, under_way),
    )
    return tuple(each for each in found if each.backups)


def _not(under_way: UnderWay, level: Level, lines: list[Line]) -> tuple[str, ...]:
    return tuple(line.name for line in lines if (level, line.name) not in under_way)


def _is_old(line: Line, rhythm: Rhythm, now: float) -> bool:
    """Every level looks at what those below it look at."""
    return bool(line.levels) and now - max(each.at for each in line.levels) >= rhythm.interval


def _to_read(finished: list[Line], rhythm: Rhythm, now: float, under_way: UnderWay) -> Due:
    nothing = Due("content", ())
    complete = [line for line in finished if line.state == "complete"]
    if not rhythm.share or not complete or any(level == "content" for level, _ in under_way):
        return nothing
    last = max(complete, key=lambda line: (line.finished or 0.0, line.name))
    subset = rotating(rhythm.share, now=now, every=rhythm.interval)
    part = None if subset is None else str(subset)
    for line in finished:
        for each in line.levels:
            of_now = each.level == "content" and each.at // rhythm.interval == now // rhythm.interval
            if of_now and (each.subset == part or (line is last and each.subset is None)):
                return nothing
    return Due("content", (last.name,), subset)
