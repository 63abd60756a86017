"""What is being done just now: for the log, for whoever asks the agent, and to be told into the bucket now and then."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass

from backupstore.core.sizes import human_size
from backupstore.ports import Clock

_log = logging.getLogger("medusa-shipper")
_EVERY = 5.0
_SLOWER = 500
"""What lasts so many times longer than ``_EVERY`` is told of at longer intervals: of a whole day a thousand times or two."""
_MOST_WARNINGS = 10


@dataclass(frozen=True, slots=True)
class Now:
    """``done`` of ``of`` bytes; both 0 where that says nothing."""

    step: str = ""
    done: int = 0
    of: int = 0


class News:
    """``shipper.progress.Progress`` without a terminal. ``tell`` gets the news at each step, and now and then between."""

    def __init__(self, clock: Clock, name: str, tell: Callable[[Now], None] = lambda _: None) -> None:
        self.now = Now()
        self.warnings: list[str] = []
        self._clock = clock
        self._name = name
        self._tell = tell
        self._began = clock.running()
        self._told = -math.inf

    def step(self, text: str) -> None:
        """A new step."""
        _log.info("%s: %s", self._name, text)
        self._at(Now(text), soon=True)

    def warn(self, text: str) -> None:
        """Something that the operator should know; the first ones stand in what is told at the end."""
        _log.warning("%s: %s", self._name, text)
        if len(self.warnings) < _MOST_WARNINGS:
            self.warnings.append(text)

    def begin(self, what: str, *, files: int, size: int) -> None:
        """A transfer begins."""
        _log.info("%s: %s: %s files, %s in all", self._name, what, f"{files:,}", human_size(size))
        self._at(Now(what, 0, size), soon=True)

    def advance(self, *, files: int, size: int) -> None:  # noqa: ARG002 -- bytes tell enough
        """So many more bytes are done."""
        self._at(Now(self.now.step, min(self.now.of, self.now.done + size), self.now.of), soon=False)

    def end(self) -> None:
        """The transfer is over."""

    def _at(self, now: Now, *, soon: bool) -> None:
        self.now = now
        running = self._clock.running()
        if soon or running - self._told >= max(_EVERY, (running - self._began) / _SLOWER):
            self._told = running
            self._tell(now)
