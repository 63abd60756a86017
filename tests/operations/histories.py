"""Random histories: a ``World``, two indexers interleaved with it and each other, and events in every disorder."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Any, Protocol

from backupstore.core.catalog import content
from backupstore.core.documents import ClusterBackup, Head, decode
from backupstore.core.events import ObjectEvent, Subject, subjects
from backupstore.core.key_parsing import parse_in
from backupstore.core.keys import RowKey
from backupstore.core.layout import Layout
from backupstore.core.writers import Principal
from backupstore.errors import Retryable
from backupstore.operations import index as indexing
from backupstore.operations.reconcile import reconcile
from backupstore.ports import ObjectStore
from backupstore.stores.memory import MemoryBucket
from tests.interleaving import Hashed, Interleaved, Stepper, Unreliable
from tests.operations.lives import World

LAYOUT = Layout("pfx")
LATER = 1e9  # everything that says "gone" is old by then


class Index(Protocol):
    """``operations.index.index``, or a broken one."""

    def __call__(
        self, store: ObjectStore, subjects: Iterable[Subject], *, now: float, revision: Callable[[], str]
    ) -> indexing.IndexReport: ...


@dataclass(frozen=True)
class Weather:
    """How events are delivered, how reliable the store is, and whether reconciles and rebuilds run meanwhile."""

    lost: float = 0.0
    again: float = 0.2
    faults: float = 0.01
    acts: int = 56
    markers: bool = False
    reconciles: bool = False


class Courier:
    """Takes events out of the pool in any order, some of them twice, some never."""

    def __init__(self, world: World, random: Random, weather: Weather) -> None:
        self._world = world
        self._random = random
        self._weather = weather
        self._again: set[ObjectEvent] = set()

    def take(self) -> list[ObjectEvent]:
        """The next batch."""
        pool, random = self._world.pool, self._random
        batch = []
        for _ in range(random.randint(1, 12)):
            if not pool:
                break
            at = random.randrange(len(pool))
            pool[at], pool[-1] = pool[-1], pool[at]
            event = pool.pop()
            if random.random() < self._weather.lost:
                continue
            batch.append(event)
            if event not in self._again and random.random() < self._weather.again:
                self._again.add(event)
                pool.append(event)
        return batch

    def give_back(self, batch: list[ObjectEvent]) -> None:
        """It was not handled."""
        self._world.pool += batch


def play(seed: str, weather: Weather, *, index: Index = indexing.index) -> MemoryBucket:
    """Live one history to its end: all acts done, all events handled or lost."""
    random = Random(seed)
    world = World(random, LAYOUT, acts=weather.acts, markers=weather.markers)
    stepper = Stepper(seed, idle=world.act)
    courier = Courier(world, random, weather)
    revisions = count()

    def indexer() -> None:
        inner = Unreliable(Hashed(world.bucket.open(Principal.INDEXER, LAYOUT)), random, weather.faults)
        store = Interleaved(inner, stepper)
        while world.pool or not world.over:
            batch = courier.take()
            if not batch:
                world.act()
                continue
            failed = index(store, subjects(batch), now=1.0, revision=lambda: str(next(revisions))).failed
            assert all(isinstance(why, Retryable) for why in failed.values()), failed
            courier.give_back([event for event in batch if subjects([event]) & failed.keys()])

    def reconciler() -> None:
        store = Interleaved(Hashed(world.bucket.open(Principal.INDEXER, LAYOUT)), stepper)
        while not world.over:
            everything = random.random() < 0.5
            trust = (0.0, 2 * LATER)[next(revisions) % 2]  # believes everything, or nothing
            reconcile(
                store, LAYOUT, now=LATER, revision=lambda: str(next(revisions)), everything=everything, trust=trust
            )

    stepper.run([indexer, indexer, *([reconciler] if weather.reconciles else [])])
    return world.bucket


def reconciled(bucket: MemoryBucket) -> MemoryBucket:
    """The same bucket after one reconcile."""
    revisions = count()
    store = bucket.open(Principal.INDEXER, LAYOUT)
    report = reconcile(store, LAYOUT, now=2.0, revision=lambda: f"r{next(revisions)}")
    assert not report.unreadable
    return bucket


def rebuilt(bucket: MemoryBucket) -> MemoryBucket:
    """A copy without anything derived, rebuilt from nothing."""
    time = [0.0]
    copy = MemoryBucket(clock=lambda: time[0])
    store = copy.open(None)
    for held in tuple(bucket.open(None).list("")):
        if not held.key.startswith((LAYOUT.catalog(), LAYOUT.all_rows(), LAYOUT.all_latest())):
            time[0] = held.modified
            store.put(held.key, bucket.open(None).read(held.key).body)
    revisions = count()
    indexer = copy.open(Principal.INDEXER, LAYOUT)
    reconcile(indexer, LAYOUT, now=3.0, revision=lambda: f"b{next(revisions)}", everything=True)
    return copy


def derived(bucket: MemoryBucket) -> dict[str, Any]:
    """What is derived, by key, without what two writers need not agree on.

    Rows of stock's backups are stock's own: all that counts is that there are none without a backup.
    """
    store = bucket.open(None)
    found: dict[str, Any] = {}
    stocks = set()
    for held in store.list(LAYOUT.catalog_backups()):
        document = decode(ClusterBackup, store.read(held.key).body, held.key)
        stocks |= {(document.name, node) for node, fact in document.nodes.items() if fact.writer == "stock"}
        if document.nodes:
            found[held.key] = content(document)
    for held in store.list(LAYOUT.all_rows()):
        row = parse_in(LAYOUT, held.key)
        if not isinstance(row, RowKey) or (row.backup, row.node) not in stocks:
            found[held.key] = store.read(held.key).body
    for held in store.list(LAYOUT.all_latest()):
        found[held.key] = store.read(held.key).body
    head = content(_head(bucket))
    return found | {LAYOUT.head(): head} if head.backups else found


def _head(bucket: MemoryBucket) -> Head:
    return decode(Head, bucket.open(None).read(LAYOUT.head()).body, LAYOUT.head())


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """The keys in which they differ."""
    return [key for key in sorted(one.keys() | other.keys()) if one.get(key) != other.get(key)]


@functools.cache
def seeds(first: int, number: int) -> tuple[str, ...]:
    """Names of histories."""
    return tuple(f"history {first + position}" for position in range(number))
