"""Being told that there may be a command: whoever waits for that, in a thread of its own, has the agent look at once.

What a message says is not read, so it need not be believed: the worst that it can do is a look too many, and of those there is
at most one a second. One that is lost costs nothing but the time until the next regular look. The process never waits for the
thread.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from backupstore.errors import BackupError
from backupstore.ports import Bell

_log = logging.getLogger("medusa-shipper")
_REST = 1.0
_AFTER_TROUBLE = 30.0


@dataclass(slots=True)
class Ringing:
    """``ring`` is called when something came. ``rest`` and ``after_trouble``: seconds until the bell is asked again.

    ``open_bell``: after trouble it is opened anew, which asks anew for credentials, and for what is installed and set.
    """

    open_bell: Callable[[], Bell]
    ring: Callable[[], None]
    rest: float = _REST
    after_trouble: float = _AFTER_TROUBLE
    _over: threading.Event = field(default_factory=threading.Event, init=False)
    _trouble: str = field(default="", init=False)
    _bell: Bell | None = field(default=None, init=False)

    def listen(self) -> None:
        """Until ``stop``. Bells are closed by the thread that waits for them, and by no other."""
        while not self._over.is_set():
            self._over.wait(self.rest if self._once() else self.after_trouble)
        self._let_go()

    def stop(self) -> None:
        """Ring no more."""
        self._over.set()

    def _once(self) -> bool:
        """Wait for messages; whether that went well."""
        try:
            self._hear()
        except BackupError as error:
            self._failed(error.message, extra={"error": error})
        except Exception as error:  # noqa: BLE001  libraries of clouds raise what they like, and nobody would miss this thread
            self._failed(f"{type(error).__name__}: {error}", exc_info=error)
        else:
            if self._trouble:
                _log.info("command_queue answers again")
            self._trouble = ""
            return True
        self._let_go()
        return False

    def _hear(self) -> None:
        self._bell = bell = self._bell or self.open_bell()
        receipts = bell.wait()
        if receipts and not self._over.is_set():
            self.ring()
            bell.acknowledge(receipts)

    def _failed(self, why: str, **details: Any) -> None:  # noqa: ANN401 -- as the log takes them
        if why != self._trouble and not self._over.is_set():
            text = "nobody tells of commands, so they are looked for every command_interval only: %s"
            _log.warning(text, why, **details)
        self._trouble = why

    def _let_go(self) -> None:
        bell, self._bell = self._bell, None
        if bell is not None:
            with suppress(Exception):  # nothing hangs on how its connections end
                bell.close()


@contextmanager
def rung_by(open_bell: Callable[[], Bell], ring: Callable[[], None]) -> Iterator[None]:
    """Have it ring meanwhile."""
    ringing = Ringing(open_bell, ring)
    threading.Thread(target=ringing.listen, name="command_queue", daemon=True).start()
    try:
        yield
    finally:
        ringing.stop()
