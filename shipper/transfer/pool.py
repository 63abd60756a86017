"""Doing many things in parallel with a bounded number in flight. Everything else of the shipper runs in one thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import TypeVar

from shipper.transfer.heap import share_heap

T = TypeVar("T")
R = TypeVar("R")


class Meter:
    """Bytes moved, counted by the workers and taken by the main thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    def add(self, count: int) -> None:
        """So many more."""
        with self._lock:
            self._count += count

    def take(self) -> int:
        """How many since the last call."""
        with self._lock:
            count, self._count = self._count, 0
        return count


def in_parallel(
    items: Iterable[T], work: Callable[[T], R], *, workers: int, tick: Callable[[], None] | None = None
) -> Iterator[R]:
    """Yield the results as they come. Items are taken as workers become free; the first error ends it.

    After an error no further item is begun. Those in flight are waited for, and what became of them is yielded before
    the error is raised: nothing is still writing by then, and nothing that was done is forgotten. ``tick`` is called
    about twice a second and with every result.
    """
    share_heap()
    source = iter(items)
    done: SimpleQueue[Future[R]] = SimpleQueue()  # to wait for many futures at once would cost more than a small file
    in_flight = 0
    failure: BaseException | None = None
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="transfer") as pool:
        try:
            while True:
                # One item waits behind each busy worker, so that none is ever idle.
                while not failure and in_flight < 2 * workers and (item := next(source, _END)) is not _END:
                    pool.submit(work, item).add_done_callback(done.put)  # type: ignore[arg-type]  # _END was sorted out
                    in_flight += 1
                if not in_flight:
                    break
                future = _next(done)
                if tick and not failure:
                    tick()
                if future is None:
                    continue
                in_flight -= 1
                if future.cancelled():
                    continue
                if error := future.exception():
                    failure = failure or error
                    pool.shutdown(wait=False, cancel_futures=True)
                else:
                    yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    if failure:
        raise failure


def _next(done: SimpleQueue[Future[R]]) -> Future[R] | None:
    try:
        return done.get(timeout=_TICK)
    except Empty:
        return None


_END = object()
_TICK = 0.5
