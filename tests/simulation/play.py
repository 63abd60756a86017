"""Histories: who takes part, and what must hold when all is over.

Two kinds. In *deep* ones many processes work on the data of one node, and purges are told at random what goes. In *wide*
ones the nodes of a cluster, purges by retention and by an operator's word, indexers, verifiers and stock's commands meet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from random import Random

from backupstore.operations.truth import child_names
from tests.simulation import indexers, planners, purgers, restorers, stocks, verifiers
from tests.simulation.bucket import Violation
from tests.simulation.openings import RINGS, Opening, names, opening
from tests.simulation.shippers import Host, shipper
from tests.simulation.swift import swiftly
from tests.simulation.world import DAY, GRACE, LAYOUT, NODE, Machine, World

Actor = Callable[[], None]
STEPS = 200
"""A history has at least so many."""
_WIDE = 0.35
_SETTLED = 0.3
_OTHERS: tuple[tuple[float, Callable[..., None]], ...] = (
    (0.2, indexers.reconciler),
    (0.25, verifiers.verifier),
    (0.2, restorers.restorer),
    (0.25, stocks.lister),
    (0.4, stocks.deleter),
    (0.15, stocks.vandal),
)


@dataclass
class History:
    """What became of one."""

    seed: str
    steps: int
    happened: dict[str, int] = field(default_factory=dict)


def play(seed: str, *, settle: bool = True) -> History:
    """Live one history to its end. Violation, with the seed, when an invariant does not hold.

    ``settle``: bring it to rest and look what is left.
    """
    random = Random(f"kind {seed}")
    try:
        with swiftly():
            world = _wide(seed, random) if random.random() < _WIDE else _deep(seed, random, settle=settle)
            for each in world.bucket.counting():
                world.bucket.check(*each)
    except Violation as error:
        message = f"{seed}: {error}"
        raise Violation(message) from error
    return History(seed, world.steps, world.happened)


# ---------------------------------------------------------------- deep


def _deep(seed: str, random: Random, *, settle: bool) -> World:
    with_stock = random.random() < 0.25
    # Stock reads nothing of ours. What protects it is that it was at work within the grace: so time is not longer.
    world = World(seed, longest_jump=0.5 * DAY if with_stock else random.choice((6 * DAY, 30 * DAY)))
    world.tell("deep")
    begun = opening(world.random, RINGS[0])
    begun.begin(world)
    first = Host("a", Machine(world), disk=begun.disks[NODE].copy())
    queue = purgers.Queue(world.random.choice((0.0, 0.8, 0.8)))
    own = {letter: names(letter, 0) for letter in "acd"}
    while world.steps < STEPS:
        world.stepper.run(_deep_actors(world, first, queue, own, with_stock=with_stock))
    if settle and world.random.random() < _SETTLED:
        _settle(world)
    return world


def _deep_actors(
    world: World, first: Host, queue: purgers.Queue, own: dict[str, Iterator[str]], *, with_stock: bool
) -> list[Actor]:
    random = world.random
    actors: list[Actor] = [partial(shipper, world, first, islice(own["a"], random.randint(2, 4)))]
    if random.random() < 0.4:
        # The machine was replaced, and the processes of the old one still live.
        world.tell("another host took over")
        heir = Host("b", Machine(world), tail=random.choice("12"))
        actors.append(partial(_late, world, partial(shipper, world, heir, islice(own["c"], random.randint(1, 3)))))
    actors += (
        partial(purgers.purger, world, queue, rounds=random.randint(2, 5)) for _ in range(random.choice((1, 2, 3)))
    )
    if random.random() < 0.3:
        actors.append(partial(restorers.restorer, world, rounds=random.randint(1, 4)))
    if with_stock:
        stocks.writer(world, rounds=1)
        actors.append(partial(stocks.writer, world, rounds=random.randint(1, 4)))
    return actors


def _late(world: World, actor: Actor) -> None:
    world.wait(world.random.randint(1, 100))
    actor()


def _settle(world: World) -> None:
    """Nothing stays for ever that nobody wants."""
    bucket, store = world.bucket, world.bucket.open(None)
    bucket.foreign = False
    world.tell("settled")
    for turn in range(3):
        world.true_time += GRACE + DAY
        everything = tuple(child_names(store, LAYOUT.node(NODE)))
        last = [name for name in everything if bucket.counts(NODE, name)][-1:]
        undone = purgers.sweep(world, f"last{turn}", tuple(name for name in everything if name not in last))
        if undone:
            raise Violation(f"a purge of what nobody works on any more is not done: {undone}")
    # What a process that was given up sent of a full backup after that was deleted has no meta, and stays.
    left = tuple(
        name for name in child_names(store, LAYOUT.node(NODE)) if store.entries(LAYOUT.meta_folder(NODE, name)).objects
    )
    if len(left) > 1:
        raise Violation(f"{left} are left, and one should be")
    folders = (LAYOUT.shared_data(NODE), LAYOUT.versioned_data(NODE))
    shared = {stored.key for folder in folders for stored in store.list(folder)}
    named = {key for name in left for key in bucket.named_by(NODE, name)}
    if shared - named:
        raise Violation(f"{shared - named} are left, and nobody names them")


# ---------------------------------------------------------------- wide


def _wide(seed: str, random: Random) -> World:
    ring = random.choice(RINGS[1:])
    world = World(seed, ring=ring, longest_jump=random.choice((0.0, 2 * DAY, 30 * DAY)))
    world.tell("wide")
    begun = opening(world.random, ring)
    begun.begin(world)
    post = indexers.Post(world, world.random.choice((0.0, 0.0, 0.3)))
    queue = planners.Messages()
    used = begun.used
    while world.steps < STEPS:
        world.stepper.run(_wide_actors(world, begun, used, post, queue))
        used += 10
    planners.work_all_off(world, queue)
    indexers.deliver_all(world, post)
    indexers.check_catalog(world)
    return world


def _wide_actors(world: World, begun: Opening, used: int, post: indexers.Post, queue: planners.Messages) -> list[Actor]:
    """Purges always, the others now and then."""
    random = world.random
    few = random.random() < 0.5  # so that those who are there meet more often
    policies = random.sample(planners.POLICIES, random.choice((1, 1, 3)))
    actors: list[Actor] = [*_fleet(world, begun, used, 0.4 if few else 1.0)]
    actors += (
        partial(planners.planner, world, queue, policies, rounds=random.randint(1, 3))
        for _ in range(random.choice((1, 2, 2)))
    )
    actors += (
        partial(planners.worker, world, queue, rounds=random.randint(1, 4)) for _ in range(random.choice((0, 1, 2)))
    )
    actors += (
        partial(indexers.indexer, world, post, rounds=random.randint(2, 8)) for _ in range(random.choice((0, 1, 2)))
    )
    actors += (
        partial(actor, world, rounds=random.randint(1, 2))
        for chance, actor in _OTHERS
        if random.random() < (chance / 2 if few else chance)
    )
    return actors


def _fleet(world: World, begun: Opening, used: int, chance: float) -> Iterator[Actor]:
    """Each node makes its part of the next backups; sometimes one of them is alone, or believes so."""
    random = world.random
    if random.random() > chance:
        return
    rounds = tuple(islice(names("b", used), random.randint(0, 2)))
    for node in sorted(world.bucket.ring):
        host = Host("a", Machine(world), node, tuple(sorted(world.bucket.ring)), disk=begun.disks[node].copy())
        own = [name for name in rounds if random.random() < 0.8]
        if own:
            yield partial(shipper, world, host, own)
    if random.random() < 0.3:
        alone = Host("b", Machine(world), NODE, (NODE,), tail=random.choice("12"))
        lonely = tuple(islice(names("x", used), random.randint(1, 2)))
        world.bucket.alone |= dict.fromkeys(lonely, NODE)
        yield partial(_late, world, partial(shipper, world, alone, lonely))
