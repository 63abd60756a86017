"""A bucket as a cloud has it, in virtual time: each request takes its time, each byte costs a processor some, and it is counted.

``Cloud.writes_apart``: Google lets one object be written once a second, and answers 429 to what comes sooner; our own
client's pauses (``stores.http.retry``) follow. Only writes that were accepted count towards it. Latencies are drawn from a
lognormal distribution: half of the requests take the median or less, one of a hundred four times as much or more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from math import ceil
from random import Random
from typing import TypeVar

from backupstore.core.layout import Layout
from backupstore.core.writers import Principal
from backupstore.errors import Conflict, Retryable
from backupstore.ports import Document, Folder, Sink, Source, StoredObject
from backupstore.stores.http.retry import SOON, Again, Retrying
from backupstore.stores.memory import MemoryBucket
from tests.scale.virtual import VirtualTime

T = TypeVar("T")
_SPREAD = 0.6
_PAGE = 1000
_MIB = 1 << 20
READ, WRITE, LIST = 0.020, 0.040, 0.050
"""Seconds, the medians."""
PER_MIB, PER_THOUSAND = 0.060, 0.010
"""Seconds of one whole processor for a MiB of documents read or written, and for a thousand keys listed."""


@dataclass(frozen=True, slots=True)
class Cloud:
    """``processor``: how much of one a call has to itself; ``writes_apart``: seconds between two writes of one object."""

    name: str
    processor: float
    writes_apart: float = 0.0


@dataclass
class Seen:
    """What the bucket saw. ``written``: when each document of the catalog was."""

    requests: Counter[str] = field(default_factory=Counter)
    conflicts: int = 0
    refused: int = 0
    written: dict[str, list[float]] = field(default_factory=dict)


class TimedStore:
    """``ports.ObjectStore`` for indexers, as they may use it. Lists see one moment, and take the time of their pages."""

    def __init__(self, bucket: MemoryBucket, layout: Layout, time: VirtualTime, cloud: Cloud, seed: str) -> None:
        self.seen = Seen()
        self.share: Callable[[], float] = lambda: cloud.processor
        self._store = bucket.open(Principal.INDEXER, layout)
        self._catalog = layout.catalog()
        self._time, self._cloud = time, cloud
        self._random = Random(seed)
        self._last: dict[str, float] = {}
        self._retrying = Retrying(time, SOON, self._random.random)

    def read(self, key: str, *, limit: int = 64 << 20) -> Document:
        document = self._ask("GET", READ, lambda: self._store.read(key, limit=limit))
        self._work(len(document.body) / _MIB * PER_MIB)
        return document

    def read_if_changed(self, key: str, version: str, *, limit: int = 64 << 20) -> Document | None:
        return self._ask("GET", READ, lambda: self._store.read_if_changed(key, version, limit=limit))

    def fetch(self, key: str, sink: Sink) -> StoredObject:
        stored = self._ask("GET", READ, lambda: self._store.fetch(key, sink))
        self._work(stored.size / _MIB * PER_MIB)
        return stored

    def head(self, key: str) -> StoredObject:
        return self._ask("GET", READ, lambda: self._store.head(key))

    def create(self, key: str, body: bytes) -> StoredObject:
        return self._write(key, body, lambda: self._store.create(key, body))

    def replace(self, key: str, body: bytes, version: str) -> StoredObject:
        return self._write(key, body, lambda: self._store.replace(key, body, version))

    def put(self, key: str, body: bytes) -> StoredObject:
        return self._write(key, body, lambda: self._store.put(key, body))

    def upload(self, key: str, source: Source) -> StoredObject:
        raise AssertionError(key, source)

    def list(self, folder: str) -> Iterator[StoredObject]:
        found = self._ask("LIST", LIST, lambda: list(self._store.list(folder)))
        for _ in range(ceil(len(found) / _PAGE) - 1):
            self._ask("LIST", LIST, lambda: None)
        self._work(len(found) / 1000 * PER_THOUSAND)
        return iter(found)

    def entries(self, folder: str) -> Folder:
        found = self._ask("LIST", LIST, lambda: self._store.entries(folder))
        self._work((len(found.folders) + len(found.objects)) / 1000 * PER_THOUSAND)
        return found

    def delete(self, keys: Iterable[str]) -> None:
        gone = list(keys)
        self._ask("DELETE", WRITE, lambda: self._store.delete(gone))

    def _write(self, key: str, body: bytes, write: Callable[[], StoredObject]) -> StoredObject:
        self._work(len(body) / _MIB * PER_MIB)

        def attempt() -> StoredObject:
            if self._time.time - self._last.get(key, 0.0) < self._cloud.writes_apart:
                self.seen.refused += 1
                raise Again(Retryable(f"{key}: the store answered 429", operation="replace", key=key))
            try:
                stored = write()
            except Conflict:
                self.seen.conflicts += 1
                raise
            self._last[key] = self._time.time
            if key.startswith(self._catalog):
                self.seen.written.setdefault(key, []).append(self._time.running())
            return stored

        return self._retrying.run(lambda: self._ask("PUT", WRITE, attempt))

    def _ask(self, kind: str, median: float, call: Callable[[], T]) -> T:
        """A request: half of its time it is on its way, and half of it the answer is."""
        self.seen.requests[kind] += 1
        seconds = median * self._random.lognormvariate(0.0, _SPREAD)
        self._time.sleep(seconds / 2)
        try:
            return call()
        finally:
            self._time.sleep(seconds / 2)

    def _work(self, seconds: float) -> None:
        if seconds:
            self._time.sleep(seconds / self.share())
