"""How histories begin: backups that real shippers made one after the other, and a catalog; made once, copied for each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import count
from random import Random

from backupstore.core.writers import Principal
from backupstore.operations.reconcile import reconcile
from tests.simulation.shippers import Disk, Host, shipper
from tests.simulation.world import DAY, LAYOUT, NODE, Machine, World

RINGS = ((NODE,), (NODE, "n10"), (NODE, "n10", "n2"))
VARIANTS = 8


@dataclass(frozen=True)
class Opening:
    """``disks``: of each node; ``used``: so many names are taken."""

    world: World
    disks: dict[str, Disk]
    used: int

    def begin(self, world: World) -> None:
        """Be the beginning of that history."""
        world.bucket.adopt(self.world.bucket)
        world.bucket.events = list(self.world.bucket.events)
        world.true_time = self.world.true_time


def names(letter: str, used: int) -> Iterator[str]:
    """b1, b10, b11, b100 …: many of them are the beginning of others."""
    return (f"{letter}{number:b}" for number in count(used + 1))


def opening(random: Random, ring: tuple[str, ...]) -> Opening:
    """One of some."""
    return _opening(random.randrange(VARIANTS), ring)


@cache
def _opening(variant: int, ring: tuple[str, ...]) -> Opening:
    world = World(f"opening {variant} of {len(ring)}", ring=ring, longest_jump=0.0)
    world.calm = True
    hosts = [Host("a", Machine(world), node, ring) for node in ring]
    most = 3 if len(ring) == 1 else 4
    used = world.random.randint(2, most)
    store = world.bucket.open(Principal.INDEXER, LAYOUT)
    known = used - variant % 2  # in half of them, nobody has been told of the last one yet
    for number, name in zip(range(1, used + 1), names("b", 0), strict=False):
        for host in hosts:
            shipper(world, host, [name])
        world.true_time += world.random.uniform(0.3, 2.0) * DAY
        if number <= known:
            reconcile(store, LAYOUT, now=world.true_time, revision=world.revision)
            world.bucket.events.clear()
    return Opening(world, {host.node: host.disk for host in hosts}, used)


def prepare() -> None:
    """Make all of them, before any rule is broken."""
    for ring in RINGS:
        for variant in range(VARIANTS):
            _opening(variant, ring)
