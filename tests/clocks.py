"""A clock that stands still until a test moves it."""

from __future__ import annotations

import threading


class SettableClock:
    """``ports.Clock``. ``step``: so many seconds pass whenever somebody asks for how long the machine has been running."""

    def __init__(self, now: float = 1_800_000_000.0, *, step: float = 0.0) -> None:
        self.step = step
        self._now = now
        self._running = 1000.0
        self._boots = 1

    def now(self) -> float:
        """UTC, epoch seconds."""
        return self._now

    def running(self) -> float:
        """Seconds since boot."""
        self.advance(self.step)
        return self._running

    def boot_id(self) -> str:
        """Another one after each reboot."""
        return f"boot-{self._boots}"

    def sleep(self, seconds: float) -> None:
        """Time passes at once."""
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Time passes, suspended or not."""
        self._now += seconds
        self._running += seconds

    def reboot(self, seconds: float = 60.0) -> None:
        """The machine starts anew: its running time begins at zero, and this boot has another name."""
        self._now += seconds
        self._running = 1.0
        self._boots += 1


class SharedClock(SettableClock):
    """The same for several threads: no second that one of them sleeps gets lost."""

    def __init__(self, now: float = 1_800_000_000.0, *, step: float = 0.0) -> None:
        super().__init__(now, step=step)
        self._lock = threading.Lock()

    def advance(self, seconds: float) -> None:
        """Time passes, suspended or not."""
        with self._lock:
            super().advance(seconds)
