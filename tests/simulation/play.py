"""Histories: who takes part, and what must hold when all is over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from backupstore.core.writers import Principal
from backupstore.operations.purge import NodeWork, purge_node
from backupstore.operations.truth import child_names
from tests.operations.histories import derived, differences, rebuilt, reconciled
from tests.simulation.bucket import Violation
from tests.simulation.others import PurgeNode, Queue, indexer, purger, restorer, stock
from tests.simulation.shippers import Host, shipper
from tests.simulation.world import DAY, GRACE, LAYOUT, NODE, ORPHANS, Machine, World

Actor = Callable[[], None]
_REBUILT = 0.1


@dataclass
class History:
    """What became of one."""

    seed: str
    steps: int
    happened: dict[str, int] = field(default_factory=dict)


def play(seed: str, *, purge: PurgeNode = purge_node, settle: bool = True) -> History:
    """Live one history to its end. Violation, with the seed, when an invariant does not hold.

    ``settle``: bring it to rest and look what is left.
    """
    with_stock = World(seed).random.random() < 0.25
    # Stock reads nothing of ours. What protects it is that it was at work within the grace: so time is not longer.
    world = World(seed, longest_jump=0.5 * DAY if with_stock else 30 * DAY)
    try:
        world.stepper.run(_actors(world, purge, with_stock=with_stock))
        if settle:
            _settle(world, purge, with_stock=with_stock)
    except Violation as error:
        message = f"{seed}: {error}"
        raise Violation(message) from error
    return History(seed, world.steps, world.happened)


def _actors(world: World, purge: PurgeNode, *, with_stock: bool) -> list[Actor]:
    random, queue = world.random, Queue()
    first = Host("a", Machine(world))
    shipper(world, first, rounds=random.randint(1, 3))
    actors: list[Actor] = [partial(shipper, world, first, rounds=random.randint(2, 4))]
    if random.random() < 0.4:
        actors.append(
            partial(_late, world, partial(shipper, world, Host("b", Machine(world)), rounds=random.randint(1, 3)))
        )
    purgers = random.choice((1, 2, 3))
    actors += (partial(purger, world, queue, purge, rounds=random.randint(2, 5)) for _ in range(purgers))
    if random.random() < 0.3:
        actors.append(partial(restorer, world, rounds=random.randint(1, 4)))
    if random.random() < 0.1:
        actors.append(partial(indexer, world, rounds=random.randint(1, 3)))
    if with_stock:
        stock(world, rounds=1)
        actors.append(partial(stock, world, rounds=random.randint(1, 4)))
    return actors


def _late(world: World, actor: Actor) -> None:
    world.wait(world.random.randint(1, 100))
    actor()


def _settle(world: World, purge: PurgeNode, *, with_stock: bool) -> None:
    """After everything: nothing stays for ever that nobody wants, and the catalog is what a rebuild gives."""
    store = world.bucket.open(Principal.PURGE, LAYOUT)
    for turn in range(3):
        world.true_time += GRACE + DAY
        names = tuple(child_names(store, LAYOUT.node(NODE)))
        last = [name for name in names if world.bucket.counts(NODE, name)][-1:]
        world.bucket.doomed.update(names)
        work = NodeWork(f"last{turn}", NODE, tuple(name for name in names if name not in last))
        outcome = purge(
            store,
            LAYOUT,
            work,
            now=world.true_time,
            grace=GRACE,
            orphan_grace=ORPHANS,
            stock_is_idle=with_stock,
            revision=lambda: f"last{world.number()}",
        )
        if not outcome.done:
            raise Violation(f"a purge of what nobody works on any more is not done: {outcome.notes}")
    _check_rest(world)


def _check_rest(world: World) -> None:
    store = world.bucket.open(None)
    # What a process that was given up sent of a full backup after that was deleted has no meta, and stays.
    names = child_names(store, LAYOUT.node(NODE))
    left = tuple(name for name in names if store.entries(LAYOUT.meta_folder(NODE, name)).objects)
    if len(left) > 1:
        raise Violation(f"{left} are left, and one should be")
    folders = (LAYOUT.shared_data(NODE), LAYOUT.versioned_data(NODE))
    shared = {stored.key for folder in folders for stored in store.list(folder)}
    named = {key for name in left for key in world.bucket.named_by(NODE, name)}
    if shared - named:
        raise Violation(f"{shared - named} are left, and nobody names them")
    if world.random.random() < _REBUILT:
        wrong = differences(derived(reconciled(world.bucket)), derived(rebuilt(world.bucket)))
        if wrong:
            raise Violation(f"{wrong} are not what a rebuild gives")
