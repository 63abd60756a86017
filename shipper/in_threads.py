"""A bucket and threads to work on it that end at their next call as soon as whoever began the work leaves it.

The process does not wait for them, as it does for those of an executor: one that hangs in a call, as with a store that
gives no answer, goes with it. Whatever is done here can be killed at any moment.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from backupstore.errors import BackupError
from backupstore.operations.each import Each
from backupstore.ports import ObjectStore
from backupstore.stores.checked import CheckedStore

A = TypeVar("A")
B = TypeVar("B")

_AT_THE_END = 2.0


class Ended(Exception):
    """The process ends, or has no use for what is being done: no error, and nobody catches it on the way."""


@dataclass(frozen=True, slots=True)
class Hands:
    """``store`` gives calls to no thread any more when the work was left; ``each`` does many things at once."""

    store: ObjectStore
    each: Each


def never_ends() -> None:
    """The ``keep_on`` of work that only its own end ends."""


@contextmanager
def hands(store: ObjectStore, workers: int, keep_on: Callable[[], None] = never_ends) -> Iterator[Hands]:
    """So many threads. ``keep_on`` is asked before each call of any of them, and raises ``Ended`` to end the work."""
    left = threading.Event()

    def check(_call: str, _key: str) -> None:
        keep_on()
        if left.is_set():
            raise Ended

    crew = _Crew(workers)
    try:
        yield Hands(CheckedStore(store, check), crew.each)
    finally:
        left.set()
        crew.leave()


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came of one thing, once ``known``; neither when its thread has met a defect, which it told on stderr."""

    known: threading.Event = field(default_factory=threading.Event)
    value: list[Any] = field(default_factory=list)
    trouble: list[BackupError | Ended] = field(default_factory=list)


_Task = tuple[Callable[[Any], Any], Any, _Answer]


class _Crew:
    """Threads that take one task after the other."""

    def __init__(self, workers: int) -> None:
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(workers)]
        for thread in self._threads:
            thread.start()

    def each(self, what: Callable[[A], B], these: Iterable[A], /) -> Iterator[B]:
        """The answers in the order of the questions; the first trouble is raised in its place."""
        answers = []
        for one in these:
            answers.append(_Answer())
            self._tasks.put((what, one, answers[-1]))
        return self._told(answers)

    def leave(self) -> None:
        """Nothing more is begun; what is being done is waited for a moment."""
        with suppress(Empty):
            while True:
                self._tasks.get_nowait()
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join(_AT_THE_END / len(self._threads))

    @staticmethod
    def _told(answers: Iterable[_Answer]) -> Iterator[Any]:
        for answer in answers:
            answer.known.wait()
            if answer.trouble:
                raise answer.trouble[0]
            if not answer.value:
                raise RuntimeError("a thread met a defect: it stands above")
            yield answer.value[0]

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            what, one, answer = task
            try:
                answer.value.append(what(one))
            except (BackupError, Ended) as error:
                answer.trouble.append(error)
            finally:
                answer.known.set()
