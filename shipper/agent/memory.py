"""What the agent remembers on its node, in small files that several threads read and change.

``schedule.json`` (``slots.Diary``) and ``agent.json`` (``obedience.Seen``) are exchanged as a whole: after a crash there
is the old one or the new one. Each change is on the disk before anything is done because of it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from backupstore.core.documents import Own, decode
from backupstore.errors import Corrupt
from shipper.state import StateDirectory, disk_error

_log = logging.getLogger("medusa-shipper")
D = TypeVar("D", bound=Own)


class Memory(Generic[D]):
    """One document of the state directory."""

    def __init__(self, state: StateDirectory, name: str, value: D) -> None:
        self._state = state
        self._name = name
        self._value = value
        self._lock = threading.RLock()

    @property
    def value(self) -> D:
        """As it is now."""
        return self._value

    def change(self, change: Callable[[D], D]) -> D:
        """Write what becomes of it, durably, and return that. NoSpace, Denied: then it is as it was."""
        with self._lock:
            value = change(self._value)
            if value != self._value:
                self._state.write(self._name, value.model_dump(mode="json"))
                self._value = value
            return value


def recall(state: StateDirectory, name: str, *, nothing: D, unreadable: D) -> Memory[D]:
    """What the file holds, or ``nothing`` when it is not there. ``unreadable`` takes the place of what makes no sense.

    Denied when the file may not be read.
    """
    path = state.path / f"{name}.json"
    try:
        body = path.read_bytes()
    except FileNotFoundError:
        return _fresh(state, name, nothing)
    except OSError as error:
        raise disk_error(error, path, "agent") from error
    try:
        return Memory(state, name, decode(type(nothing), body, str(path)))
    except Corrupt as error:
        _log.error("%s; it is begun anew", error.message)
        return _fresh(state, name, unreadable)


def _fresh(state: StateDirectory, name: str, value: D) -> Memory[D]:
    state.write(name, value.model_dump(mode="json"))
    return Memory(state, name, value)
