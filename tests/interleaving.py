"""Concurrency without chance: several actors share a bucket, and a seed decides who makes the next call.

``Stepper`` runs each actor in a thread of its own, but only one at a time; every call of an ``Interleaved`` store is a
point where another actor may go on. ``idle`` runs at some of these points as well: the world outside, which needs no
thread. One seed gives one history, so that a failing one can be looked at again.

``Unreliable`` adds what networks do: calls that fail before or after they had their effect. ``Hashed`` is a bucket whose
versions are nothing but a hash of the content, as ETags are.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from random import Random

from backupstore.errors import Conflict, NotFound, Retryable
from backupstore.ports import Document, Folder, ObjectStore, Sink, Source, StoredObject


class _Ended(BaseException):
    """Another actor failed: this one has nothing to do any more."""


@dataclass(eq=False)
class _Actor:
    act: Callable[[], None]
    turn: threading.Lock = field(default_factory=threading.Lock)
    wakes: int = 0


class Stepper:
    """Decides at each step who goes on.

    Each history has its own temper: in some the actors alternate call by call, in others one of them does a great deal
    before another one's turn comes. In half of them one actor falls asleep between two calls, and wakes when all others
    have ended: the worst that a stale writer can do is what it does last.
    """

    def __init__(self, seed: str, *, idle: Callable[[], None] | None = None) -> None:
        self.random = Random(seed)
        self._idle = idle
        self._restlessness = self.random.choice((0.03, 0.1, 0.3, 1.0))
        self._until_sleep = self.random.choice((0, self.random.randrange(1, 400)))
        self._asleep: _Actor | None = None
        self._idleness, self._acts = self.random.choice(((0.3, 1), (0.1, 4), (0.05, 12)))
        self._live: list[_Actor] = []
        self._current: _Actor | None = None
        self._steps = 0
        self._over = threading.Lock()
        self._failure: BaseException | None = None

    def run(self, actors: Sequence[Callable[[], None]]) -> None:
        """Run the actors to their end. The first error of any of them ends all, and is raised here."""
        self._live = [_Actor(act) for act in actors]
        self._over.acquire()
        with _on_one_processor():
            threads = [threading.Thread(target=self._play, args=(actor,), daemon=True) for actor in self._live]
            for actor, thread in zip(tuple(self._live), threads, strict=True):
                actor.turn.acquire()
                thread.start()
            self._pass_on()
            self._over.acquire()
            for thread in threads:
                thread.join()
        self._over.release()
        if self._failure:
            raise self._failure

    def step(self) -> None:
        """Called by the running actor: perhaps another one goes on first."""
        if self._failure:
            raise _Ended
        chance = self.random.random
        self._steps += 1
        if self._idle and chance() < self._idleness:
            for _ in range(self.random.randint(1, self._acts)):
                self._idle()
        here = self._current
        self._until_sleep -= 1
        if here is None or len(self._live) == 1:
            return
        if self._until_sleep == 0:
            self._asleep = here
        elif chance() > self._restlessness:
            return
        self._hand_on(here)

    def pause(self, steps: int) -> None:
        """Called by the running actor: the others go on first, for so many steps of theirs."""
        self.step()
        here = self._current
        if here is not None and len(self._live) > 1:
            here.wakes = self._steps + steps
            self._hand_on(here)

    def _hand_on(self, here: _Actor) -> None:
        there = self._next()
        if there is not here:
            self._current = there
            there.turn.release()
            here.turn.acquire()
            if self._failure:
                raise _Ended

    def _next(self) -> _Actor:
        live = [actor for actor in self._live if actor is not self._asleep] or self._live
        awake = [actor for actor in live if actor.wakes <= self._steps]
        if not awake:
            return min(live, key=lambda actor: actor.wakes)
        return awake[int(self.random.random() * len(awake))]

    def _play(self, actor: _Actor) -> None:
        actor.turn.acquire()
        try:
            if not self._failure:
                actor.act()
        except _Ended:
            pass
        except BaseException as error:  # noqa: BLE001 # handed to whoever called run
            self._failure = self._failure or error
        self._live.remove(actor)
        self._pass_on()

    def _pass_on(self) -> None:
        if self._live:
            self._current = self._next()
            self._current.turn.release()
        else:
            self._current = None
            self._over.release()


@contextmanager
def _on_one_processor() -> Iterator[None]:
    """Only one actor runs at a time: handing on takes a tenth of the time when no other processor has to wake up for it."""
    if sys.platform != "linux":
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {ctypes.CDLL(None).sched_getcpu()})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


class Around:
    """A store around another one; ``before`` and ``after`` are told each call's name."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def before(self, call: str) -> None:
        """Just before the call."""

    def after(self, call: str) -> None:
        """Just after the call had its effect."""

    def read(self, key: str, *, limit: int = 64 << 20) -> Document:
        self.before("read")
        return self._store.read(key, limit=limit)

    def read_if_changed(self, key: str, version: str, *, limit: int = 64 << 20) -> Document | None:
        self.before("read")
        return self._store.read_if_changed(key, version, limit=limit)

    def fetch(self, key: str, sink: Sink) -> StoredObject:
        self.before("fetch")
        return self._store.fetch(key, sink)

    def head(self, key: str) -> StoredObject:
        self.before("head")
        return self._store.head(key)

    def create(self, key: str, body: bytes) -> StoredObject:
        self.before("create")
        answer = self._store.create(key, body)
        self.after("create")
        return answer

    def replace(self, key: str, body: bytes, version: str) -> StoredObject:
        self.before("replace")
        answer = self._store.replace(key, body, version)
        self.after("replace")
        return answer

    def put(self, key: str, body: bytes) -> StoredObject:
        self.before("put")
        answer = self._store.put(key, body)
        self.after("put")
        return answer

    def upload(self, key: str, source: Source) -> StoredObject:
        self.before("upload")
        answer = self._store.upload(key, source)
        self.after("upload")
        return answer

    def list(self, folder: str) -> Iterator[StoredObject]:
        self.before("list")
        return iter(tuple(self._store.list(folder)))

    def entries(self, folder: str) -> Folder:
        self.before("entries")
        return self._store.entries(folder)

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.before("delete")
            self._store.delete([key])
            self.after("delete")


class Interleaved(Around):
    """Every call is a step."""

    def __init__(self, store: ObjectStore, stepper: Stepper) -> None:
        super().__init__(store)
        self._stepper = stepper

    def before(self, call: str) -> None:  # noqa: ARG002 # whatever it is
        self._stepper.step()


class Unreliable(Around):
    """Calls fail now and then, before or after they had their effect."""

    def __init__(self, store: ObjectStore, random: Random, chance: float) -> None:
        super().__init__(store)
        self._random = random
        self._chance = chance

    def before(self, call: str) -> None:
        if self._random.random() < self._chance:
            raise Retryable(f"{call}: no connection")

    def after(self, call: str) -> None:
        if self._random.random() < self._chance:
            raise Retryable(f"{call}: the answer was lost")


class Hashed(Around):
    """Equal content has an equal version. Atomic because nothing else runs between two steps: put it inside of these."""

    def read(self, key: str, *, limit: int = 64 << 20) -> Document:
        document = self._store.read(key, limit=limit)
        return replace(document, version=_hash(document.body))

    def read_if_changed(self, key: str, version: str, *, limit: int = 64 << 20) -> Document | None:
        document = self.read(key, limit=limit)
        return None if document.version == version else document

    def replace(self, key: str, body: bytes, version: str) -> StoredObject:
        try:
            held = self._store.read(key)
        except NotFound as gone:
            raise Conflict(f"replace {key}: it is gone") from gone
        if _hash(held.body) != version:
            raise Conflict(f"replace {key}: it is at another version")
        return self._store.replace(key, body, held.version)


def _hash(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()
