"""Bytes on their way: a source as drivers read it, and what came of it; and who is writing which key in this process."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from backupstore.ports import Source
from backupstore.stores.answers import wrong_size
from backupstore.stores.bandwidth import Bandwidth, Lane

PIECE = 256 << 10


class Sent:
    """One pass over a source, for a driver that iterates over it.

    The last piece is given when the source has shown that it ends there, so that what has another size, or breaks, never
    becomes a whole object. ``failure`` is what the source raised: drivers wrap it in errors of their own.
    """

    def __init__(self, operation: str, key: str, source: Source, bandwidth: Bandwidth | None) -> None:
        self._operation = operation
        self._key = key
        self._size = source.size
        self._bandwidth = bandwidth
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._pieces = self._given(source)
        self.failure: Exception | None = None

    @property
    def md5(self) -> str:
        """Of what was given, in hex."""
        return self._md5.hexdigest()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        with ExitStack() as stack:
            stack.push(self._note)
            return next(self._pieces)

    def _note(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        if isinstance(error, Exception) and not isinstance(error, StopIteration):
            self.failure = error
        return False

    def _given(self, source: Source) -> Iterator[bytes]:
        held, total = b"", 0
        for chunk in source.chunks():
            total += len(chunk)
            if total > self._size:
                break
            if held:
                yield from self._counted(held)
            held = chunk
        if total != self._size:
            raise wrong_size(self._operation, self._key, self._size)
        yield from self._counted(held)

    def _counted(self, chunk: bytes) -> Iterator[bytes]:
        self._md5.update(chunk)
        return cut(chunk, self._bandwidth.up if self._bandwidth else None, most_of(self._bandwidth))


def most_of(bandwidth: Bandwidth | None) -> int:
    """Bytes that go on at once."""
    return min(PIECE, bandwidth.piece) if bandwidth else PIECE


def cut(chunk: bytes, lane: Lane | None, most: int) -> Iterator[bytes]:
    """The same in smaller pieces, each when the cap lets it pass: drivers hand on megabytes at once."""
    for start in range(0, len(chunk), most):
        piece = chunk[start : start + most]
        if lane:
            lane.take(len(piece))
        yield piece


class Keys:
    """Which keys are being written by this process: of those who want to write one, one after the other looks and writes."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._locks: dict[str, tuple[threading.Lock, int]] = {}

    @contextmanager
    def held(self, key: str) -> Iterator[None]:
        """Nobody else in this process writes it meanwhile."""
        with self._mutex:
            lock, waiting = self._locks.get(key, (threading.Lock(), 0))
            self._locks[key] = lock, waiting + 1
        try:
            with lock:
                yield
        finally:
            with self._mutex:
                lock, waiting = self._locks.pop(key)
                if waiting > 1:
                    self._locks[key] = lock, waiting - 1
