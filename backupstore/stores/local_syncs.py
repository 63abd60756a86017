"""An fsync of a directory, shared by the threads that wait for one at the same time.

Whoever named a file needs a sync that begins after that. While one runs, others queue up, and a single further one is
enough for all of them: eight writers into one directory need a few syncs instead of eight.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable


class FolderSyncs:
    """Directories by any name that tells them apart. ``sync`` is fsync of a handle."""

    def __init__(self, sync: Callable[[int], None]) -> None:
        self._sync = sync
        self._lock = threading.Lock()
        self._gates: dict[Hashable, _Gate] = {}

    def sync(self, name: Hashable, handle: int) -> None:
        """Return when a sync of the directory has ended that began after the call. OSError of one's own sync."""
        with self._lock:
            gate = self._gates.setdefault(name, _Gate(threading.Condition(self._lock)))
            gate.users += 1
            wanted = gate.begun + 1
            try:
                while gate.ended < wanted:
                    if gate.is_busy:
                        gate.changed.wait()
                    else:
                        self._lead(gate, handle)
            finally:
                gate.users -= 1
                if not gate.users:
                    del self._gates[name]

    def _lead(self, gate: _Gate, handle: int) -> None:
        """Sync for all who came before this moment. Called, and left, with the lock held."""
        gate.begun += 1
        mine, gate.is_busy, is_done = gate.begun, True, False
        self._lock.release()
        try:
            self._sync(handle)
            is_done = True
        finally:
            self._lock.acquire()
            gate.is_busy = False
            gate.ended = mine if is_done else gate.ended
            gate.changed.notify_all()  # after an error whoever waited tries with a handle of its own, and sees it


class _Gate:
    """``begun`` and ``ended`` number the syncs of one directory."""

    def __init__(self, changed: threading.Condition) -> None:
        self.changed = changed
        self.begun = 0
        self.ended = 0
        self.users = 0
        self.is_busy = False
