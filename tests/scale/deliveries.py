"""How the clouds call a function, in virtual time, with the numbers of the Terraform modules.

``Sqs``: batches, each of which is closed when it is full or its window is over; so many calls at once; what failed comes
again when its visibility timeout is over, and lies among the dead letters after so many receives.

``Push``: Pub/Sub pushes each message by itself. One that finds all instances busy waits for ten seconds, then it is answered
429; what failed comes again later and later. How Pub/Sub slows down by itself when a receiver fails is left out: here it
never does, which is worse for the receiver.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.scale.virtual import VirtualTime

Work = Callable[[dict[str, str]], set[str]]
"""Takes keys by the message's name; gives the names of those that failed."""
_WAITS = 10.0


@dataclass(slots=True)
class Message:
    """``tries``: how often it was handed out."""

    name: str
    key: str
    tries: int = 0


@dataclass
class Tally:
    """``deepest``: the most messages that waited at once; ``busy``: pushes that found no room."""

    deepest: int = 0
    calls: int = 0
    failed: int = 0
    busy: int = 0
    dead: list[str] = field(default_factory=list)
    done: int = 0


@dataclass
class Sqs:
    """``batch`` messages at most in a call, ``window`` seconds to wait for them, ``at_once`` calls."""

    time: VirtualTime
    work: Work
    at_once: int = 4
    batch: int = 100
    window: float = 1.0
    invisible: float = 1800.0
    receives: int = 5
    tally: Tally = field(default_factory=Tally)
    active: int = 0
    _waiting: deque[Message] = field(default_factory=deque)
    _closes: float | None = None

    def send(self, key: str) -> None:
        self._arrive(Message(key, key))

    def _arrive(self, message: Message) -> None:
        self._waiting.append(message)
        self.tally.deepest = max(self.tally.deepest, len(self._waiting))
        if self._closes is None:
            self._open()
        self._look()

    def _open(self) -> None:
        self._closes = self.time.time + self.window
        self.time.at(self._closes, self._look)

    def _look(self) -> None:
        """Hand out what may be."""
        while self._waiting and self.active < self.at_once:
            full = len(self._waiting) >= self.batch
            if not full and self._closes is not None and self.time.time < self._closes:
                return
            taken = [self._waiting.popleft() for _ in range(min(self.batch, len(self._waiting)))]
            self._closes = None
            if self._waiting:
                self._open()
            self.active += 1
            self.tally.calls += 1
            self.time.start(lambda taken=taken: self._call(taken))  # type: ignore[misc] # it is what it is now

    def _call(self, taken: list[Message]) -> None:
        received = self.time.time
        failed = self.work({message.name: message.key for message in taken})
        for message in taken:
            message.tries += 1
            if message.name not in failed:
                self.tally.done += 1
                continue
            self.tally.failed += 1
            if message.tries >= self.receives:
                self.tally.dead.append(message.key)
            else:
                self.time.at(received + self.invisible, lambda message=message: self._arrive(message))  # type: ignore[misc]
        self.active -= 1
        self._look()


@dataclass
class Push:
    """``instances`` of the function, each of which does ``each`` messages at once."""

    time: VirtualTime
    work: Work
    instances: int = 4
    each: int = 8
    attempts: int = 10
    first_pause: float = 10.0
    longest_pause: float = 600.0
    tally: Tally = field(default_factory=Tally)
    active: int = 0
    _waiting: deque[Message] = field(default_factory=deque)

    def share(self) -> float:
        """How much of a processor each call has: those of one instance have one together."""
        return min(1.0, self.instances / max(self.active, 1))

    def send(self, key: str) -> None:
        self._arrive(Message(key, key))

    def _arrive(self, message: Message) -> None:
        message.tries += 1
        self._waiting.append(message)
        self.tally.deepest = max(self.tally.deepest, len(self._waiting))
        self.time.at(self.time.time + _WAITS, lambda: self._turn_away(message))
        self._look()

    def _turn_away(self, message: Message) -> None:
        if message in self._waiting:
            self._waiting.remove(message)
            self.tally.busy += 1
            self._again(message)

    def _look(self) -> None:
        while self._waiting and self.active < self.instances * self.each:
            message = self._waiting.popleft()
            self.active += 1
            self.tally.calls += 1
            self.time.start(lambda message=message: self._call(message))  # type: ignore[misc] # it is what it is now

    def _call(self, message: Message) -> None:
        if self.work({message.name: message.key}):
            self.tally.failed += 1
            self._again(message)
        else:
            self.tally.done += 1
        self.active -= 1
        self._look()

    def _again(self, message: Message) -> None:
        if message.tries >= self.attempts:
            self.tally.dead.append(message.key)
            return
        pause = min(self.longest_pause, self.first_pause * 2 ** (message.tries - 1))
        self.time.at(self.time.time + pause, lambda: self._arrive(message))
