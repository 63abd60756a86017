"""What ``serve`` does at set times: one task in a thread of its own, so that the catalog never waits for it.

It is begun by the loop that has made sure that the bucket is there, never twice at once, and one cluster after the other.
A time that has passed meanwhile, or while nothing ran, is made up for once. When a task was last done is what the bucket
tells, where the bucket does, so that a restart neither leaves a time out nor does it again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from backupstore.errors import BackupError
from backupstore.ports import Clock, ObjectStore
from shipper.in_threads import Ended
from shipper.timetable import Timetable

_log = logging.getLogger("medusa-shipper")
_TRY_AGAIN = 300.0
_AT_THE_END = 5.0


class Task(Protocol):
    """Something to be done for a cluster. Both raise what the store raises, and Ended when ``keep_on`` does."""

    @property
    def name(self) -> str:
        """For the log."""
        ...

    def last(self, prefix: str) -> float | None:
        """When it was last begun at its time and came to an end, as far as the bucket tells; None where it does not."""
        ...

    def run(self, prefix: str, store: ObjectStore) -> None:
        """Do it. ``store`` is the bucket as this process may write to it."""
        ...


@dataclass(slots=True)
class Scheduled:
    """One task and its times."""

    task: Task
    timetable: Timetable
    clock: Clock
    ending: threading.Event
    _since: float = field(init=False)
    _done: dict[str, float] = field(default_factory=dict, init=False)
    _due: dict[str, float] = field(default_factory=dict, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """What was due before anybody asked for it is not made up for."""
        self._since = self.clock.now()

    def look(self, clusters: Iterable[str], store: ObjectStore) -> None:
        """Begin what is due in these clusters, unless it is being done."""
        if self._thread is not None and self._thread.is_alive():
            return
        now = self.clock.now()
        due = [prefix for prefix in clusters if self._due.get(prefix, now) <= now]
        if due:
            self._thread = threading.Thread(target=self._run, args=(due, store), name=self.task.name, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End at the next call, whatever is being done; not waited for beyond a few seconds."""
        self.ending.set()
        if self._thread is not None:
            self._thread.join(_AT_THE_END)

    def _run(self, clusters: Iterable[str], store: ObjectStore) -> None:
        with suppress(Ended):
            for prefix in clusters:
                self._due[prefix] = self.clock.now() + _TRY_AGAIN  # unless it comes to another end
                try:
                    self._due[prefix] = self._do(prefix, store)
                except BackupError as error:
                    _log.error(
                        "%s failed, and is tried again in %.0f minutes: %s",
                        self.task.name,
                        _TRY_AGAIN / 60,
                        error.message,
                        extra={"error": error},
                    )

    def _do(self, prefix: str, store: ObjectStore) -> float:
        """Do it if it is due; when it is again."""
        now = self.clock.now()
        told = self.task.last(prefix)
        last = min(now, max(told if told is not None else self._since, self._done.get(prefix, 0.0)))
        due = self.timetable.after(last)
        if due > now:
            return due
        self.task.run(prefix, store)
        self._done[prefix] = now
        return self.timetable.after(now)
