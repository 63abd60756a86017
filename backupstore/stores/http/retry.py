"""The one layer of retries. What is worth another try is decided where an answer is read; how often and when, here."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from backupstore.errors import BackupError
from backupstore.ports import Clock

T = TypeVar("T")

_LONGEST_AFTER = 60.0
_TELL_AFTER = 5.0  # seconds of trouble
_TELL_EVERY = 30.0
_log = logging.getLogger("medusa-shipper")


class Again(Exception):  # never leaves this package
    """One attempt failed and the next may not. ``error`` is what the caller is told when there is no next one."""

    def __init__(
        self, error: BackupError, *, after: float = 0.0, unsure: bool = False, at_once: bool = False, most: int = 0
    ) -> None:
        super().__init__(error.message)
        self.error = error
        self.after = after  # seconds; the store asked for it
        self.unsure = unsure  # the store may have done what it was asked for, and the answer was lost
        self.at_once = at_once  # the next attempt uses other means: there is nothing to wait for
        self.most = most  # tries, where more of them are no use; 0: no such limit


@dataclass(frozen=True, slots=True)
class Patience:
    """Gives up ``seconds`` after the first failure, but not before ``least`` tries, each of which may have been long."""

    seconds: float = 90.0
    least: int = 4
    first_pause: float = 0.1
    longest_pause: float = 10.0


PATIENT = Patience()
"""For a program that outlives a minute of trouble."""

SOON = Patience(seconds=3, least=2)
"""For somebody who waits for an answer, and not for an end."""


class Retrying:
    """Tries until it works, fails for good, or patience ends. Pauses double, each cut short by chance."""

    def __init__(self, clock: Clock, patience: Patience = PATIENT, chance: Callable[[], float] = random.random) -> None:
        self._clock = clock
        self._patience = patience
        self._chance = chance
        self._told = -_TELL_EVERY

    def run(self, attempt: Callable[[], T]) -> T:
        """The result of the first attempt that gives one."""
        failures, begun, started = 0, 0.0, self._clock.running()
        while True:
            try:
                return attempt()
            except Again as again:
                now = self._clock.running()
                begun = begun if failures else now
                failures += 1
                pause = self._pause(again, failures)
                if self._is_over(again, failures, now + pause - begun):
                    raise again.error from again.__cause__
                self._tell(again.error, now, now - started)
            self._clock.sleep(pause)

    def _tell(self, error: BackupError, now: float, waited: float) -> None:
        """Nobody shall sit before a program that says nothing for minutes. Many threads wait; one of them tells."""
        if waited > _TELL_AFTER and now - self._told > _TELL_EVERY:
            self._told = now
            _log.warning("%s; trying again, for some %.0f seconds in all", error.message, self._patience.seconds)

    def _pause(self, again: Again, failures: int) -> float:
        if again.at_once and failures == 1:
            return 0.0
        ceiling = min(self._patience.longest_pause, self._patience.first_pause * (1 << min(failures, 30)))
        return max(min(again.after, _LONGEST_AFTER), ceiling * (0.5 + self._chance() / 2))

    def _is_over(self, again: Again, failures: int, waited: float) -> bool:
        if again.most and failures >= again.most:
            return True
        return failures >= self._patience.least and waited > self._patience.seconds
