"""The whole of ``backup``, files and threads included, with a purge at each of its calls; and the other way round."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

from backupstore.core.purge_records import PurgeRules
from backupstore.operations.purge import Means, NodeOutcome, NodeWork, purge_node
from backupstore.ports import ObjectStore
from tests.killing import Pausing, Point, Trigger, killing
from tests.recorded import NAME, SMALL
from tests.shipper.backup.world import DAY, World, elsewhere, new_world

GRACE = 14 * DAY
REVISIONS = count()


def prepared(base: Path) -> World:
    """Of what Monday's backup holds, Tuesday's names only a part; the node still has all of it, and something new."""
    world = new_world(base, tables=SMALL)
    world.back_up("monday")
    world.back_up("sunday", "full")
    world.back_up("tuesday", tables=("shop.customers",))
    world.node.flush("shop.customers")
    world.state.known_files.unlink()
    return world


def purge(world: World, run: str, *doomed: str, store: ObjectStore | None = None) -> NodeOutcome:
    return purge_node(
        store or world.owner,
        world.layout,
        NodeWork(run, NAME, doomed),
        PurgeRules(grace=GRACE, orphan_grace=10 * DAY),
        Means(now=world.clock.now(), revision=lambda: str(next(REVISIONS))),
    )


def at_each_call(base: Path, work: Callable[[World, Trigger], object], act: Callable[[World], object]) -> int:
    """Do the work in fresh worlds; at one call after the other, something else happens. What must be true at the end is."""
    counting = Trigger()
    work(prepared(base / "counted"), counting)
    for number in range(1, len(counting.calls) + 1):
        world, happened = prepared(base / str(number)), list[object]()

        def once(world: World = world, happened: list[object] = happened) -> None:
            happened.append(act(world))

        work(world, Pausing(Point(number), once))
        assert happened, number
        check(world)
    return len(counting.calls)


def check(world: World) -> None:
    """The backups that stay are whole; another call of the same work ends it, and nothing of it is left for ever."""
    contents = world.node.contents()
    customers = {file: contents[file] for file in world.entries("tuesday")}
    assert 0 < len(customers) < len(contents)
    for finish in (lambda: None, lambda: purge(world, "run", "monday", "sunday"), lambda: sweep(world)):
        finish()
        world.check_backup("wednesday", world.node.contents())
        world.check_backup("tuesday", customers)
    assert not world.meta("monday")
    assert not world.meta("sunday")
    named = {entry.path for name in ("tuesday", "wednesday") for entry in world.entries(name).values()}
    folders = (world.layout.shared_data(NAME), world.layout.versioned_data(NAME))
    assert {key for folder in folders for key in world.listing(folder)} == named


def sweep(world: World) -> None:
    """After the grace, by another run."""
    world.clock.advance(GRACE + DAY)
    assert purge(world, "later").done


def test_a_purge_at_each_call_of_a_backup(tmp_path: Path) -> None:
    outcomes: list[NodeOutcome] = []

    def back_up(world: World, trigger: Trigger) -> None:
        elsewhere(world, store=killing(world.store, trigger, "store")).back_up("wednesday")

    def act(world: World) -> None:
        outcomes.append(purge(world, "run", "monday", "sunday"))

    assert at_each_call(tmp_path, back_up, act) > 30
    assert {outcome.done for outcome in outcomes} == {True, False}


def test_a_backup_at_each_call_of_a_purge(tmp_path: Path) -> None:
    def work(world: World, trigger: Trigger) -> None:
        purge(world, "run", "monday", "sunday", store=killing(world.owner, trigger, "store"))

    assert at_each_call(tmp_path, work, partial(World.back_up, name="wednesday")) > 30
