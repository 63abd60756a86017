"""A cap on the bytes of a process, each way, shared by all its threads."""

from __future__ import annotations

import threading

from backupstore.ports import Clock

_MOST = 1 << 20
_LEAST = 16 << 10
_SLICES = 20  # a second's bytes go in so many pieces at least


class Lane:
    """One direction. Each piece gets its place in time; nothing is saved up while nobody sends, so there is no burst."""

    def __init__(self, rate: int, clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        self._lock = threading.Lock()
        self._free = 0.0

    def take(self, size: int) -> None:
        """Wait until so many bytes may pass."""
        with self._lock:
            now = self._clock.running()
            start = max(now, self._free)
            self._free = start + size / self._rate
        if start > now:
            self._clock.sleep(start - now)


class Bandwidth:
    """At most ``rate`` bytes a second up, and as many down. ``piece``: the most that should pass at once."""

    def __init__(self, rate: int, clock: Clock) -> None:
        self.up = Lane(rate, clock)
        self.down = Lane(rate, clock)
        self.piece = min(_MOST, max(_LEAST, rate // _SLICES))
