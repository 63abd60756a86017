"""When a node backs up: the slots of a schedule, and which of them is due. Values in, values out.

A slot is a time of the schedule, and its time is the name of the backup; so all nodes that have the same schedule give a
cluster backup the same name, whenever each of them comes to it. A node begins ``offset`` seconds after the slot.

A slot that passed while nothing ran, or while an earlier backup took long, is made up for if it is the newest one. What
failed is tried again until the next slot is due.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from backupstore.core.documents import Own, Value
from backupstore.core.names import name_of_time
from shipper.timetable import Timetable

_FIRST_PAUSE = 60.0
_LONGEST_PAUSE = 1800.0
_AT_ONCE = 3
"""So often a backup that was cut off, by the end of the program or of the machine, is gone on with at once."""
_WRONG_CLOCK = 86_400.0
_SKIPPED = 1000

Stand = Literal["doing", "good", "corrupt", "failed", "given-up"]


class Turn(Value):
    """What became of a slot. ``tries``: how often its backup was begun; ``tried``: when the last one began, or failed."""

    slot: float
    stand: Stand
    tries: int = 0
    tried: float = 0.0
    why: str = ""
    hint: str = ""

    @property
    def backup(self) -> str:
        """The name of its backup."""
        return name_of_time(self.slot)

    @property
    def is_open(self) -> bool:
        """Whether it is to be gone on with."""
        return self.stand in {"doing", "failed"}


class Ended(Value):
    """The last backup of the schedule that came to an end. Sizes in bytes; ``seconds`` is how long the last try took."""

    backup: str
    at: float
    seconds: float = 0.0
    size: int = 0
    new_size: int = 0
    corrupt: int = 0


class Diary(Own):
    """``schedule.json`` in the state directory. ``since``: what was due before is nobody's; ``place``: in the ring, from 0.

    ``turn`` is the newest slot that was begun, ``ended`` the last backup that came to an end, good or corrupt.
    """

    since: float
    place: int = 0
    turn: Turn | None = None
    ended: Ended | None = None

    @property
    def latest(self) -> float:
        """The time up to which all slots were begun, skipped or are nobody's."""
        return self.turn.slot if self.turn else self.since


@dataclass(frozen=True, slots=True)
class Begin:
    """The backup of this slot is to be begun, or gone on with. ``skipped``: slots before it that nobody makes up for."""

    slot: float
    skipped: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is due before this time."""

    until: float


def decide(timetable: Timetable, diary: Diary, *, now: float, offset: float) -> Begin | Wait:
    """What to do now. All times are epoch seconds."""
    latest, turn = timetable.last(now - offset), diary.turn
    if latest is not None and latest > diary.latest:
        return Begin(latest, tuple(_between(timetable, diary.latest, latest)))
    upcoming = timetable.after(now - offset) + offset
    if turn is None or not turn.is_open:
        return Wait(upcoming)
    again = turn.tried + pause(turn)
    return Begin(turn.slot) if again <= now else Wait(min(again, upcoming))


def pause(turn: Turn) -> float:
    """Seconds until an open slot is tried again."""
    if turn.stand == "doing" and turn.tries <= _AT_ONCE:
        return 0.0
    return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(turn.tries - 1, 10))


def believable(diary: Diary, now: float) -> Diary:
    """The diary; a new one where it tells of a future so far that the clock must have been wrong then."""
    return diary if diary.latest <= now + _WRONG_CLOCK else diary.model_copy(update={"since": now, "turn": None})


def _between(timetable: Timetable, first: float, last: float) -> Iterator[float]:
    slot = timetable.after(first)
    for _ in range(_SKIPPED):
        if slot >= last:
            return
        yield slot
        slot = timetable.after(slot)
