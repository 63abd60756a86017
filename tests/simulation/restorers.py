"""Restores: each holds a backup, looks whether it is condemned, and reads it; then lets go."""

from __future__ import annotations

from backupstore.core import layout as grammar
from backupstore.errors import BackupError, NotFound, Refused
from shipper.progress import Silent
from shipper.restore.look import hold
from tests.simulation.bucket import Violation
from tests.simulation.shippers import Host, site_of
from tests.simulation.world import DAY, LAYOUT, NODE, Machine, World

_HELD = 6.5 * DAY
"""A hold of seven days, as clocks that are wrong by some hours see it."""


def restorer(world: World, *, rounds: int, node: str = NODE) -> None:
    """On a machine of its own."""
    random, host = world.random, Host("r", Machine(world), node)
    site = site_of(world, host)
    operator = world.bucket.open(None)
    for _ in range(rounds):
        world.wait(random.choice((0, 5, 30)))
        names = [name for each, name in world.bucket.counting() if each == node]
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
            _restore(world, host, name, until)
        world.bucket.held.pop((node, name), None)
        operator.delete([LAYOUT.hold(name, hold_id)])


def _restore(world: World, host: Host, name: str, until: float) -> None:
    """Every object must be there, for as long as the hold holds."""
    bucket = world.bucket
    if not bucket.counts(host.node, name):
        return  # it was gone before it was held
    bucket.held[host.node, name] = until
    store = site_of(world, host).store
    keys = [LAYOUT.meta(host.node, name, grammar.MANIFEST), *sorted(bucket.named_by(host.node, name))]
    for key in keys:
        world.wait(world.random.choice((0, 3, 20)))
        try:
            store.read(key)
        except NotFound as error:
            if world.true_time < until and key not in bucket.rotten and name not in bucket.lost:
                message = f"{key} of {name} is gone under a restore"
                raise Violation(message) from error
