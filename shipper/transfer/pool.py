"""Doing many things in parallel with a bounded number in flight. Everything else of the shipper runs in one thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

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
    source = iter(items)
    running: set[Future[R]] = set()
    failure: BaseException | None = None
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="transfer") as pool:
        try:
            while True:
                # One item waits behind each busy worker, so that none is ever idle.
                while not failure and len(running) < 2 * workers and (item := next(source, _END)) is not _END:
                    running.add(pool.submit(work, item))  # type: ignore[arg-type]  # _END was sorted out above
                if not running:
                    break
                finished, running = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
                if tick and not failure:
                    tick()
                for future in finished:
                    if error := future.exception():
                        failure = failure or error
                    else:
                        yield future.result()
                if failure:
                    running = {future for future in running if not future.cancel()}
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    if failure:
        raise failure


_END = object()
