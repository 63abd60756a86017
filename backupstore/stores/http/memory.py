"""How many bytes of all transfers together may wait in memory, however many threads there are."""

from __future__ import annotations

import threading
from types import TracebackType

from typing_extensions import Self

SMALL = 256 << 10
"""Not worth counting."""


class Memory:
    """Bytes to hand out. More than all of it can be had at once only while nobody else has any."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._taken = 0
        self._changed = threading.Condition()

    def take(self, size: int) -> None:
        """Wait until so many bytes are free."""
        with self._changed:
            while not self._fits(size):
                self._changed.wait()
            self._taken += size

    def take_if_free(self, size: int) -> bool:
        """Take them if nobody has to wait for it."""
        with self._changed:
            if not self._fits(size):
                return False
            self._taken += size
            return True

    def give_back(self, size: int) -> None:
        """So many are free again."""
        with self._changed:
            self._taken -= size
            self._changed.notify_all()

    def _fits(self, size: int) -> bool:
        return not self._taken or self._taken + size <= self._size


class Share:
    """What one transfer has of it; all of that is free again when the transfer is over, however it ends."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._lock = threading.Lock()
        self._held = 0

    def take(self, size: int) -> None:
        """Wait until so many bytes are free."""
        self._memory.take(size)
        self._count(size)

    def take_if_free(self, size: int) -> bool:
        """Take them if nobody has to wait for it."""
        taken = self._memory.take_if_free(size)
        if taken:
            self._count(size)
        return taken

    def give_back(self, size: int) -> None:
        """So many are no longer needed."""
        self._count(-size)
        self._memory.give_back(size)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._memory.give_back(self._held)
        self._held = 0

    def _count(self, size: int) -> None:
        with self._lock:
            self._held += size
