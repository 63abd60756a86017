"""Everybody but the shippers: purges, restores, indexers, and stock."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field

from backupstore.core import layout as grammar
from backupstore.core.keys import DataKey, RowKey
from backupstore.core.writers import Principal
from backupstore.errors import BackupError, NotFound, Refused
from backupstore.operations.purge import NodeOutcome, NodeWork
from backupstore.operations.reading import read_head
from backupstore.operations.reconcile import reconcile
from backupstore.operations.truth import child_names
from backupstore.stores.memory import MemoryStore
from shipper.progress import Silent
from shipper.restore.look import hold
from shipper.site import Site
from tests.operations.lives import VERSION, tokenmap
from tests.simulation.bucket import Violation
from tests.simulation.shippers import Disk, Node, State
from tests.simulation.world import DAY, GRACE, LAYOUT, NODE, ORPHANS, Crash, Machine, ProcessStore, World

_HELD = 6.5 * DAY
"""A hold of seven days, as clocks that are wrong by some hours see it."""
PurgeNode = Callable[..., NodeOutcome]
_STOCK_TABLE = "t-" + "0" * 32


@dataclass
class Queue:
    """Work items of purges: any of them may come again, at any time, on any machine."""

    works: list[NodeWork] = field(default_factory=list)


def purger(world: World, queue: Queue, purge: PurgeNode, *, rounds: int, stock_is_idle: bool = False) -> None:
    """Plans now and then, and does what is in the queue, dying as it likes."""
    random, clock = world.random, Machine(world)
    for _ in range(rounds):
        world.wait(random.choice((0, 5, 30)))
        if not queue.works or random.random() < 0.6:
            queue.works.append(NodeWork(f"run{world.number()}", NODE, _plan(world)))
        work = random.choice(queue.works)
        crashes = random.choice((0.0, 0.0, 0.02, 0.1))
        naps = 0.08 if world.sleepy else 0.0
        store = ProcessStore.open(world, Principal.PURGE, crashes=crashes, faults=random.choice((0.0, 0.01)), naps=naps)
        try:
            outcome = purge(
                store,
                LAYOUT,
                work,
                now=clock.now(),
                grace=GRACE,
                orphan_grace=ORPHANS,
                stock_is_idle=stock_is_idle,
                revision=lambda: str(world.number()),
                running=clock.running,
            )
        except Crash:
            world.tell("purge crashed")
        except BackupError as error:
            world.tell(f"purge: {type(error).__name__}")
        else:
            world.tell("purged" if outcome.objects else "purge done" if outcome.done else "purge waits")
            if outcome.done and random.random() < 0.8 and work in queue.works:
                queue.works.remove(work)


def _plan(world: World) -> tuple[str, ...]:
    """Some of what may go: all but the newest finished one, and nothing that a restore holds."""
    store = MemoryStore(world.bucket, None, LAYOUT, NODE)
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
    world.bucket.doomed.update(doomed)
    return doomed


def restorer(world: World, *, rounds: int) -> None:
    """Holds a backup, looks whether it is condemned, and reads it; then lets go."""
    random, clock = world.random, Machine(world)
    store = ProcessStore.open(world, Principal.SHIPPER)
    owner = world.bucket.open(None)
    disk = Disk()
    site = Site(store, LAYOUT, Node(disk), NODE, State(disk), clock, "bucket")  # type: ignore[arg-type] # our own state
    for _ in range(rounds):
        world.wait(random.choice((0, 5, 30)))
        names = [name for name in child_names(store, LAYOUT.node(NODE)) if world.bucket.counts(NODE, name)]
        if not names:
            continue
        name, hold_id = random.choice(names), f"hold{world.number()}"
        until = world.true_time + _HELD
        try:
            hold(site, name, hold_id, without=False, progress=Silent())
        except Refused:
            world.tell("restore refused")
        except BackupError as error:
            world.tell(f"restore: {type(error).__name__}")
        else:
            world.tell("restore held")
            _restore(world, store, name, until)
        world.bucket.held.pop(name, None)
        owner.delete([LAYOUT.hold(name, hold_id)])


def _restore(world: World, store: ProcessStore, name: str, until: float) -> None:
    """Every object must be there, for as long as the hold holds."""
    if not world.bucket.counts(NODE, name):
        return  # it was gone before it was held
    world.bucket.held[name] = until
    keys = [LAYOUT.meta(NODE, name, grammar.MANIFEST), *sorted(world.bucket.named_by(NODE, name))]
    for key in keys:
        world.wait(world.random.choice((0, 3, 20)))
        try:
            store.read(key)
        except NotFound as error:
            if world.true_time < until:
                message = f"{key} of {name} is gone under a restore"
                raise Violation(message) from error


def indexer(world: World, *, rounds: int) -> None:
    """Reconciles; whoever reads the catalog has no right to write at all."""
    store = ProcessStore.open(world, Principal.INDEXER, faults=0.005)
    reader = ProcessStore.open(world, Principal.REPORT)
    clock = Machine(world)
    for _ in range(rounds):
        try:
            reconcile(store, LAYOUT, now=clock.now(), revision=lambda: str(world.number()))
            read_head(reader, LAYOUT)
        except BackupError as error:
            world.tell(f"index: {type(error).__name__}")
        else:
            world.tell("reconciled")


def stock(world: World, *, rounds: int) -> None:
    """As stock backs a node up: it lists the data, sends what it does not find by name and size, and reads nothing else."""
    random = world.random
    store = ProcessStore.open(world, None, crashes=0.01)
    for _ in range(rounds):
        name = f"s{world.number():03}"
        try:
            _stock_backup(world, store, name)
        except Crash:
            world.tell("stock crashed")
        except BackupError as error:
            world.tell(f"stock: {type(error).__name__}")
        else:
            world.tell("stock backed up")
        world.wait(random.choice((0, 5, 30)))


def _stock_backup(world: World, store: ProcessStore, name: str) -> None:
    files = {f"nb-{number}-big-Data.db": f"nb-{number}-big-Data.db 1".encode() for number in range(5, 9)}
    store.put(LAYOUT.meta(NODE, name, grammar.SCHEMA), b"schema")
    store.put(LAYOUT.meta(NODE, name, grammar.TOKENMAP), tokenmap({NODE: "dc1"}))
    store.put(LAYOUT.meta(NODE, name, grammar.SERVER_VERSION), VERSION)
    store.put(LAYOUT.meta(NODE, name, grammar.DIFFERENTIAL), b"differential")
    listed = {stored.key: stored.size for stored in store.list(LAYOUT.shared_data(NODE))}
    objects = []
    for file, body in files.items():
        world.wait(world.random.choice((0, 3, 20)))
        if world.random.random() < 0.7:
            key = LAYOUT.data(DataKey(NODE, "ks", _STOCK_TABLE, file))
            if listed.get(key) != len(body):
                store.put(key, body)
            md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
            objects.append({"path": key, "MD5": md5, "size": len(body)})
    manifest = json.dumps([{"keyspace": "ks", "columnfamily": _STOCK_TABLE, "objects": objects}]).encode()
    store.put(LAYOUT.meta(NODE, name, grammar.MANIFEST), manifest)
    store.put(LAYOUT.row(RowKey(name, "tokenmap", NODE)), tokenmap({NODE: "dc1"}))
