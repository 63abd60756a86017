"""A store with an end: no call begins after it. For hosts that are stopped from outside when their time is over.

What was not done is then told as a failure in time, instead of being cut off in the middle and not told at all. How long
one call may last beyond the end is the inner store's business: its patience and its timeouts.
"""

from __future__ import annotations

from backupstore.errors import OutOfTime
from backupstore.ports import Clock, ObjectStore
from backupstore.stores.checked import CheckedStore


class DeadlineStore(CheckedStore):
    """``ports.ObjectStore`` around another one. ``end`` is a time of ``clock.running``; after it, all is OutOfTime."""

    def __init__(self, store: ObjectStore, clock: Clock, end: float) -> None:
        super().__init__(store, self._in_time)
        self._clock = clock
        self._end = end

    def _in_time(self, operation: str, key: str) -> None:
        if self._clock.running() >= self._end:
            raise OutOfTime(
                f"{operation} {key}: the time that this run was given is over",
                hint="What is left comes again with the next event or message. If it never fits, give the function more time,"
                " or let it take fewer messages at once.",
                operation=operation,
                key=key,
            )
