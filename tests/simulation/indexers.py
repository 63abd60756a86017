"""Indexers: told by events that come late, twice, in any order or never; reconciles; and who reads the catalog."""

from __future__ import annotations

from dataclasses import dataclass, field

from backupstore.core.events import ObjectEvent, subjects
from backupstore.core.writers import Principal
from backupstore.errors import BackupError
from backupstore.operations import index as real
from backupstore.operations.reading import read_head
from backupstore.operations.reconcile import TRUST, reconcile
from tests.operations.histories import derived, differences
from tests.simulation.bucket import Violation
from tests.simulation.world import LAYOUT, Crash, Machine, ProcessStore, World


@dataclass
class Post:
    """Events on their way. ``loses``: how many of them never arrive; ``lost``: whether any did not."""

    world: World
    loses: float
    lost: bool = False
    waiting: list[ObjectEvent] = field(default_factory=list)

    def take(self, most: int) -> list[ObjectEvent]:
        """Some of them, in any order; some come again later."""
        random = self.world.random
        self.collect()
        batch = []
        for _ in range(min(most, len(self.waiting))):
            event = self.waiting.pop(random.randrange(len(self.waiting)))
            if random.random() < self.loses:
                self.lost = True
                continue
            batch.append(event)
            if random.random() < 0.1:
                self.waiting.append(event)
                self.world.tell("an event came twice")
        return batch

    def collect(self) -> None:
        """What happened since."""
        events = self.world.bucket.events
        self.waiting += [event for event in events if subjects([event])]
        events.clear()


def indexer(world: World, post: Post, *, rounds: int) -> None:
    """Takes some events now and then; what it could not do, or died over, comes again."""
    random, clock = world.random, Machine(world)
    for _ in range(rounds):
        world.wait(random.choice((0, 10, 40)))
        batch = post.take(random.choice((1, 4, 12)))
        if not batch:
            continue
        store = ProcessStore.open(
            world,
            Principal.INDEXER,
            crashes=random.choice((0.0, 0.0, 0.01)),
            faults=random.choice((0.0, 0.005)),
            naps=random.choice((0.0, 0.05)),
        )
        try:
            report = real.index(store, subjects(batch), now=clock.now(), revision=world.revision)
        except Crash:
            world.tell("indexer crashed")
            post.waiting += batch
        else:
            world.tell("indexed")
            post.waiting += [event for event in batch if subjects([event]) & report.failed.keys()]


def deliver_all(world: World, post: Post) -> None:
    """Everything that is still on its way, while nobody else is at work; or one reconcile, where something was lost."""
    store, clock = world.bucket.open(Principal.INDEXER, LAYOUT), Machine(world)
    post.collect()
    if post.lost:
        world.tell("events were lost")
        reconcile(store, LAYOUT, now=clock.now(), revision=world.revision)
        return
    report = real.index(store, subjects(post.waiting), now=clock.now(), revision=world.revision)
    if report.failed:
        raise AssertionError(report.failed)


def check_catalog(world: World) -> None:
    """Violation unless everything derived is what a rebuild from nothing gives, on a copy."""
    copy = world.bucket.without((LAYOUT.catalog(), LAYOUT.all_rows(), LAYOUT.all_latest()))
    store = copy.open(Principal.INDEXER, LAYOUT)
    reconcile(store, LAYOUT, now=world.true_time, revision=world.revision, everything=True)
    wrong = differences(derived(world.bucket), derived(copy))
    if wrong:
        raise Violation(f"{wrong} are not what a rebuild gives")


def reconciler(world: World, *, rounds: int) -> None:
    """Compares everything with the bucket; whoever reads the catalog has no right to write at all."""
    store = ProcessStore.open(world, Principal.INDEXER, faults=0.005)
    reader = ProcessStore.open(world, Principal.REPORT)
    clock = Machine(world)
    for _ in range(rounds):
        world.wait(world.random.choice((0, 50, 200)))
        try:
            rebuild, trust = world.random.random() < 0.3, world.random.choice((0.0, TRUST))
            reconcile(store, LAYOUT, now=clock.now(), revision=world.revision, everything=rebuild, trust=trust)
            read_head(reader, LAYOUT)
        except BackupError as error:
            world.tell(f"index: {type(error).__name__}")
        else:
            world.tell("reconciled")
