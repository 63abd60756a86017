"""Where hints wait between the threads that take webhooks and the loop that looks.

Kept in memory only: what is lost with the process is found by its next start, which compares everything. Each place to
look is kept once, so that a sender that repeats itself, or a gateway that tells of every data file, fills nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from backupstore.core.events import ObjectEvent, clusters_with_news, subjects
from shipper.watching import EventsLost, Watcher

CAPACITY = 20_000


class Inbox:
    """Bounded, and safe to use from several threads."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._waiting: dict[ObjectEvent, None] = {}
        self._overflowed = False
        self._changed = threading.Condition()

    def put(self, events: Iterable[ObjectEvent]) -> bool:
        """Keep those that say where to look. False when there is no room for all of them."""
        useful = dict.fromkeys(event for event in events if subjects([event]) or clusters_with_news([event]))
        with self._changed:
            fits = len(self._waiting.keys() | useful.keys()) <= self._capacity
            if fits:
                self._waiting |= useful
            else:
                self._overflowed = True
            self._changed.notify()
            return fits

    def take(self, seconds: float) -> tuple[list[ObjectEvent], bool]:
        """All that waits, and whether something was turned away since the last time; waits so long for the first."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._overflowed, max(0.0, seconds))
            events, overflowed = list(self._waiting), self._overflowed
            self._waiting, self._overflowed = {}, False
            return events, overflowed


class InboxWatcher:
    """``watching.Watcher`` of what comes into the inbox, and of what another one sees ``beside`` it."""

    def __init__(self, inbox: Inbox, beside: Watcher | None = None) -> None:
        self._inbox = inbox
        self._beside = beside

    def follow(self, prefixes: Iterable[str]) -> None:
        """Also watch these clusters; webhooks tell of all of them anyway."""
        if self._beside:
            self._beside.follow(prefixes)

    def wait(self, seconds: float) -> list[ObjectEvent]:
        """Events since the last call; what another watcher sees has to wait until the time is over, or a hint comes."""
        events, overflowed = self._inbox.take(seconds)
        if overflowed:
            raise EventsLost
        return events + (self._beside.wait(0) if self._beside else [])

    def close(self) -> None:
        """Stop the other one."""
        if self._beside:
            self._beside.close()
