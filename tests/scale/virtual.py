"""Virtual time for real code: actors that sleep, one of whom runs at a time, and a clock that jumps to whatever comes next.

An actor is a thread, since the operations that it runs are ordinary blocking code; but it only ever runs between two of
its sleeps, while everything else stands still. So a run follows from its seed alone, however slow the machine is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from heapq import heappop, heappush
from itertools import count
from typing import Any

BEGINNING = 1_800_000_000.0


class _Actor:
    def __init__(self, act: Callable[[], None]) -> None:
        self.act = act
        self.turn = threading.Lock()
        self.turn.acquire()


class VirtualTime:
    """Also a ``ports.Clock``. ``at`` and ``start`` may be called by whoever runs; ``sleep`` by actors only."""

    def __init__(self) -> None:
        self.time = BEGINNING
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._back = threading.Lock()
        self._back.acquire()
        self._running: _Actor | None = None
        self._failure: BaseException | None = None

    def now(self) -> float:
        """UTC, epoch seconds."""
        return self.time

    def running(self) -> float:
        """Seconds since boot."""
        return self.time - BEGINNING

    def boot_id(self) -> str:
        """Nothing ever boots anew."""
        return "boot"

    def at(self, when: float, do: Callable[[], None]) -> None:
        """Call something at that time, or now where that is over."""
        heappush(self._due, (max(when, self.time), next(self._numbers), do))

    def start(self, act: Callable[[], None]) -> None:
        """Another actor, as soon as the present one sleeps."""
        actor = _Actor(act)
        threading.Thread(target=self._play, args=(actor,), daemon=True).start()
        self.at(self.time, lambda: self._let(actor))

    def sleep(self, seconds: float) -> None:
        """The running actor's."""
        actor = self._running
        assert actor is not None
        self.at(self.time + seconds, lambda: self._let(actor))
        self._give_back(actor)

    def each(self, workers: int) -> Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]:
        """What ``map`` of a pool of so many threads is."""

        def mapped(act: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
            return iter(self._together(workers, act, list(items)))

        return mapped

    def run(self, *, until: float) -> None:
        """Go on until nothing is left to happen, or that time has come. What an actor raises is raised here."""
        while self._due and self._due[0][0] <= until:
            self.time, _, do = heappop(self._due)
            do()
            if self._failure:
                raise self._failure

    def _together(self, workers: int, act: Callable[[Any], Any], items: list[Any]) -> list[Any]:
        results: list[Any] = [None] * len(items)
        errors: list[BaseException] = []
        waiting = iter(range(len(items)))
        parent, left = self._running, min(workers, len(items))
        assert parent is not None
        if not items:
            return results

        def work() -> None:
            nonlocal left
            for number in waiting:
                try:
                    results[number] = act(items[number])
                except BaseException as error:  # noqa: BLE001 # raised where the results are asked for
                    errors.append(error)
            left -= 1
            if not left:
                self.at(self.time, lambda: self._let(parent))

        for _ in range(left):
            self.start(work)
        self._give_back(parent)
        for error in errors:
            raise error
        return results

    def _let(self, actor: _Actor) -> None:
        self._running = actor
        actor.turn.release()
        self._back.acquire()

    def _give_back(self, actor: _Actor) -> None:
        self._back.release()
        actor.turn.acquire()

    def _play(self, actor: _Actor) -> None:
        actor.turn.acquire()
        try:
            actor.act()
        except BaseException as error:  # noqa: BLE001 # handed to whoever called run
            self._failure = self._failure or error
        self._back.release()
