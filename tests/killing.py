"""Being killed at a chosen call: wrappers that end the program before or after the n-th call of a kind.

    trigger = Trigger()                          # never fires, counts what is called
    site = Site(killing(store, trigger, "store"), ..., killing(node, trigger, "node"), ...)
    back_up(site, ...); trigger.calls            # ["node.identity", "store.list", ...]

    killed(lambda: ..., at=Point(12, "before"))  # again, and this time it dies there

``killing`` wraps any object: a store, a node, a service, a clock; ``Trigger.around`` wraps a single function, such as
``os.rename``. In the same process the end is ``Killed``, which nothing may catch; once it is raised every further call
of anything wrapped raises it too, for a dead program calls nothing. What still runs then (``finally``) is more than a
dead program does, so a handful of real SIGKILLs stand beside: ``suicide`` as the ``act``.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

T = TypeVar("T")
When = Literal["before", "after"]


class Killed(BaseException):
    """The program is dead."""


def suicide() -> None:
    """Die for real, at once."""
    os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Point:
    """``number`` counts from 1: all calls, or those of one kind (``store.upload``; ``store.`` is every call of it).

    ``about``: only calls whose first argument, such as a key or a path, has this in it.
    """

    number: int
    when: When = "before"
    kind: str = ""
    about: str = ""

    def covers(self, kind: str, argument: object) -> bool:
        """Whether a call counts."""
        is_kind = kind.startswith(self.kind) if self.kind.endswith(".") else self.kind in {"", kind}
        return is_kind and self.about in str(argument)

    def __str__(self) -> str:
        """As a command line has it: ``3:after:store.upload:Data.db``."""
        return f"{self.number}:{self.when}:{self.kind}:{self.about}"

    @classmethod
    def parse(cls, text: str) -> Point:
        """The other way round."""
        number, when, kind, about = text.split(":", 3)
        return cls(int(number), "after" if when == "after" else "before", kind, about)


class Trigger:
    """Counts calls, and fires at a point."""

    def __init__(self, at: Point | None = None, act: Callable[[], None] | None = None) -> None:
        self.calls: list[str] = []
        self.log: list[tuple[str, object]] = []
        """Each call with its first argument."""
        self.dead = False
        self._at = at
        self._act = act
        self._matching = 0
        self._lock = threading.Lock()

    def counts(self) -> Counter[str]:
        """How often each kind was called."""
        return Counter(self.calls)

    def around(self, kind: str, function: Callable[..., T]) -> Callable[..., T]:
        """The function, deadly."""

        def call(*arguments: Any, **named: Any) -> T:  # noqa: ANN401 # whatever the function takes
            due = self._begin(kind, arguments[0] if arguments else None)
            if due == "before":
                self._fire()
            try:
                answer = function(*arguments, **named)
            except Exception:
                if due == "after":
                    self._fire()  # the call failed, and nobody lives to hear of it
                raise
            if isinstance(answer, Iterator):
                return cast("T", self._drained(answer, last=due == "after"))
            if due == "after":
                self._fire()
            self._check()
            return answer

        return call

    def _begin(self, kind: str, argument: object) -> When | None:
        with self._lock:
            self._check()
            self.calls.append(kind)
            self.log.append((kind, argument))
            if self._at is None or not self._at.covers(kind, argument):
                return None
            self._matching += 1
            return self._at.when if self._matching == self._at.number else None

    def _drained(self, answer: Iterator[Any], *, last: bool) -> Iterator[Any]:
        for each in answer:
            self._check()
            yield each
        if last:
            self._fire()

    def _check(self) -> None:
        if self.dead:
            raise Killed

    def _fire(self) -> None:
        self.dead = True
        if self._act:
            self._act()
        raise Killed


class Pausing(Trigger):
    """Nobody dies at the point: something happens (``act``), and the program goes on."""

    def _fire(self) -> None:
        if self._act:
            self._act()


class _Killing:
    """Whatever is called on it is called on the object, unless the program dies first."""

    def __init__(self, wrapped: object, trigger: Trigger, name: str) -> None:
        self._wrapped, self._trigger, self._name = wrapped, trigger, name

    def __getattr__(self, attribute: str) -> Any:  # noqa: ANN401 # whatever the object has
        value = getattr(self._wrapped, attribute)
        return self._trigger.around(f"{self._name}.{attribute}", value) if callable(value) else value


def killing(wrapped: T, trigger: Trigger, name: str) -> T:
    """The object, deadly: each of its methods is a kind of call, ``name.method``."""
    return cast("T", _Killing(wrapped, trigger, name))


def killed(work: Callable[[], object]) -> bool:
    """Run; whether it was killed on the way. Anything else that is raised passes through."""
    try:
        work()
    except Killed:
        return True
    return False
