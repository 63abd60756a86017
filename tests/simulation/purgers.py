"""Purges of one node, by work items: any of them may come again, at any time, on any machine."""

from __future__ import annotations

from dataclasses import dataclass, field

from backupstore.core import layout as grammar
from backupstore.core.writers import Principal
from backupstore.errors import BackupError
from backupstore.operations import purge as real
from backupstore.operations.purge import Means, NodeWork
from backupstore.operations.truth import child_names
from tests.simulation.world import DAY, GRACE, LAYOUT, NODE, RULES, Crash, Machine, ProcessStore, World


@dataclass
class Queue:
    """Work items. ``forgets``: how many of those that are done do not come again."""

    forgets: float = 0.8
    works: list[NodeWork] = field(default_factory=list)


def purger(world: World, queue: Queue, *, rounds: int) -> None:
    """Plans now and then, and does what is in the queue, dying as it likes."""
    random = world.random
    for _ in range(rounds):
        world.wait(random.choice((0, 5, 30)))
        if not queue.works or random.random() < 0.6:
            queue.works.append(NodeWork(f"run{world.number()}", NODE, _plan(world)))
        worked(world, queue, random.choice(queue.works))


def worked(world: World, queue: Queue, work: NodeWork) -> None:
    """One call for this work; it stays in the queue unless all was done, and sometimes then."""
    random, clock = world.random, Machine(world)
    crashes = random.choice((0.0, 0.0, 0.02, 0.1))
    naps = 0.08 if world.sleepy else 0.0
    store = ProcessStore.open(world, Principal.PURGE, crashes=crashes, faults=random.choice((0.0, 0.01)), naps=naps)
    means = Means(now=clock.now(), revision=world.revision, running=clock.running)
    try:
        outcome = real.purge_node(store, LAYOUT, work, RULES, means)
    except Crash:
        world.tell("purge crashed")
    except BackupError as error:
        world.tell(f"purge: {type(error).__name__}")
    else:
        world.tell("purged" if outcome.objects else "purge done" if outcome.done else "purge waits")
        if outcome.done and random.random() < queue.forgets and work in queue.works:
            queue.works.remove(work)


def _plan(world: World) -> tuple[str, ...]:
    """Some of what may go: all but the newest finished one, and nothing that a restore holds."""
    store = world.bucket.open(None, LAYOUT)
    finished, over = [], []
    for name in child_names(store, LAYOUT.node(NODE)):
        files = {
            stored.key.rpartition("/")[2]: stored.modified for stored in store.list(LAYOUT.meta_folder(NODE, name))
        }
        if world.bucket.counts(NODE, name):
            finished.append((files[grammar.MANIFEST], name))
        elif grammar.ABANDONED in files or world.true_time - max(files.values(), default=0.0) > GRACE + DAY:
            over.append(name)
    may_go = [name for _, name in sorted(finished)[:-1]] + over
    doomed = tuple(name for name in may_go if world.random.random() < 0.7)
    world.bucket.decisions.allowed.update(doomed)
    return doomed


def sweep(world: World, run: str, names: tuple[str, ...]) -> str:
    """Purge these while nobody is at work. What is not done; empty when all is."""
    world.bucket.decisions.allowed.update(names)
    rules = RULES.model_copy(update={"stock_is_idle": True})
    store = world.bucket.open(Principal.PURGE, LAYOUT)
    means = Means(now=world.true_time, revision=world.revision)
    outcome = real.purge_node(store, LAYOUT, NodeWork(run, NODE, names), rules, means)
    return "" if outcome.done else str(outcome.notes)
