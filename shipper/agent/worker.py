"""The one thing that the agent does at a time, in a thread of its own: the agent goes on to answer who asks how it is.

The process never waits for that thread beyond a limit. Whatever is done there may be killed at any moment, and is gone on
with when the agent starts again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress

from backupstore.errors import BackupError
from shipper.in_threads import Ended

_log = logging.getLogger("medusa-shipper")

KeepOn = Callable[[], None]


class Worker:
    """``what`` it is at work on; empty when it is free."""

    def __init__(self, wake: threading.Event | None = None) -> None:
        self.what = ""
        self._thread: threading.Thread | None = None
        self._left = threading.Event()
        self._wake = wake or threading.Event()

    @property
    def is_free(self) -> bool:
        """Whether something may begin."""
        return self._thread is None or not self._thread.is_alive()

    def begin(self, what: str, work: Callable[[KeepOn], None]) -> None:
        """Do it. ``work`` gets a function that raises Ended when it is to be left. Only when it is free."""
        if not self.is_free:
            raise RuntimeError(f"{self.what} is not over")
        self.what, self._left = what, threading.Event()
        self._thread = threading.Thread(target=self._run, args=(work, self._left), name=what, daemon=True)
        self._thread.start()

    def leave(self) -> None:
        """Have it ended at its next step."""
        self._left.set()

    def wait(self, seconds: float) -> bool:
        """Wait until it is free, so long at most; whether it is."""
        if self._thread is not None:
            self._thread.join(seconds)
        return self.is_free

    def _run(self, work: Callable[[KeepOn], None], left: threading.Event) -> None:
        def keep_on() -> None:
            if left.is_set():
                raise Ended

        try:
            with suppress(Ended):
                work(keep_on)
        except BackupError as error:  # what could not be remembered, for the rest is told where it comes from
            _log.error("%s: %s", self.what, error.message, extra={"error": error})
        finally:
            self.what = ""
            self._wake.set()
