"""A restore killed at every single change of the disk and every call: afterwards it is all old or all new, never a mix.

Each point is tried twice: the same command again must finish it, ``--undo`` must take it back. Undoing itself is killed
at every point, too, and a failing start that puts everything back.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import get_args

import pytest

from backupstore.errors import NodeTrouble, Refused
from backupstore.stores.local import LocalStore
from shipper.restore.journal import BACKWARDS, Phase
from tests.killing import Point, Trigger, killed
from tests.shipper.restore.dying import dying
from tests.shipper.restore.world import World, copy_of, make_world

_numbers = count(1)


@pytest.fixture(scope="module")
def template(folder: Path) -> World:
    return make_world(folder / "template")


def points(world: World, work: Callable[[World], object]) -> list[Point]:
    """Run to the end; every point at which it could have been killed."""
    trigger = Trigger()
    with dying(trigger, world.base):
        work(world.deadly(trigger))
    assert len(trigger.calls) > 50
    found = [Point(number) for number in range(1, len(trigger.calls) + 1)]
    # What is called and not written is killed when it has been done, too.
    return [
        *found,
        *(Point(point.number, "after") for point, kind in zip(found, trigger.calls, strict=True) if "disk" not in kind),
    ]


def fresh(template: World, folder: Path) -> World:
    # One worker: the n-th call is the same one in every run.
    return replace(copy_of(template, folder / f"node-{next(_numbers)}"), workers=1)


def die(world: World, at: Point, work: Callable[[World], object]) -> bool:
    trigger = Trigger(at)
    with dying(trigger, world.base):
        return killed(lambda: work(world.deadly(trigger)))


def restore(world: World) -> None:
    world.restore()


def undo(world: World) -> None:
    world.undo()


def take_back(world: World) -> str:
    """Undo, and where there is nothing to undo, or it is too late, say how it stands."""
    try:
        world.undo()
    except Refused:
        journal = world.journal()
        if journal is not None:
            assert journal.phase == "committed"
            world.restore()
    return world.stands()


def test_killed_anywhere_the_same_command_finishes_it(template: World, folder: Path) -> None:
    for point in points(fresh(template, folder), restore):
        world = fresh(template, folder)
        assert die(world, point, restore), point
        world.restore()
        assert world.stands() == "new", point
        assert not world.node.down, point


def test_killed_anywhere_undo_takes_it_back(template: World, folder: Path) -> None:
    seen = set()
    for point in points(fresh(template, folder), restore):
        world = fresh(template, folder)
        assert die(world, point, restore), point
        journal = world.journal()
        seen.add(journal.phase if journal else "none")
        expected = "new" if journal and journal.phase == "committed" else None
        stands = take_back(world)
        assert stands == (expected or stands), point
        assert not world.node.down, point
    assert seen == {"none", *get_args(Phase)} - {"emptying", "refilling", *BACKWARDS}


def failing(world: World) -> None:
    """A restore whose node does not start: it puts everything back by itself."""
    (world.base / "broken").touch()
    try:
        world.restore()
    except NodeTrouble:
        return
    pytest.fail("it started")


def test_undoing_is_killed_anywhere_and_undone_again(template: World, folder: Path) -> None:
    """From the phase in which most has to be taken back."""

    def begun() -> World:
        world = fresh(template, folder)
        assert die(world, Point(1, "after", "service.start"), restore)
        return world

    for point in points(begun(), undo):
        world = begun()
        assert die(world, point, undo), point
        if world.journal() is not None:
            world.undo()
        assert world.stands() == "old", point
        assert not world.node.down, point


def test_a_failing_restore_is_killed_anywhere_on_its_way_back(template: World, folder: Path) -> None:
    for point in points(fresh(template, folder), failing):
        world = fresh(template, folder)
        assert die(world, point, failing), point
        (world.base / "broken").unlink(missing_ok=True)
        assert take_back(world) == "old", point
        assert not world.node.down, point


def test_killed_while_undoing_the_same_command_asks_for_the_undo_to_be_finished(template: World, folder: Path) -> None:
    world = fresh(template, folder)
    assert die(world, Point(1, "after", "service.start"), restore)
    assert die(world, Point(1, "before", "disk.rename.", "/data1/"), undo)
    with pytest.raises(Refused, match="being undone"):
        world.restore()
    world.undo()
    assert world.stands() == "old"


def test_killed_after_a_reboot_everything_is_read_again_before_it_is_trusted(template: World, folder: Path) -> None:
    world = fresh(template, folder)
    assert die(world, Point(15, "after", "store.fetch"), restore)
    (spoilt,) = list(world.base.rglob("incoming/system/local-*/*-Data.db"))
    spoilt.write_bytes(bytes(spoilt.stat().st_size))  # as a file system may give it back that lost power
    world.clock.reboot()
    world.restore()
    assert world.stands() == "new"


CHILD = """
import os, sys
from pathlib import Path
from backupstore.stores.local import LocalStore
from backupstore.stores.memory import MemoryBucket
from dataclasses import replace
from tests.killing import Point, Trigger, suicide
from tests.shipper.restore.dying import dying
from tests.shipper.restore.world import open_world
base, bucket, point, verb = sys.argv[1:]
world = replace(open_world(Path(base), MemoryBucket(), LocalStore(Path(bucket))), workers=1)
trigger = Trigger(Point.parse(point), act=suicide)
with dying(trigger, world.base):
    getattr(world.deadly(trigger), verb)()
"""


@pytest.mark.parametrize(
    "point",
    [
        Point(1, "after", "store.create"),
        Point(9, "after", "store.fetch"),
        Point(1, "before", "service.stop"),
        Point(1, "after", "service.stop"),
        *(Point(number, "before", "disk.rename.") for number in (22, 25, 28, 31, 34)),
        Point(1, "after", "service.start"),
        Point(3, "before", "disk.rmdir"),
    ],
    ids=str,
)
@pytest.mark.parametrize("way", ["again", "undo"])
def test_killed_for_real_another_process_goes_on(template: World, folder: Path, point: Point, way: str) -> None:
    bucket = folder / f"bucket-{next(_numbers)}"
    bucket.mkdir()
    store = LocalStore(bucket)
    for stored in template.owner.list(""):
        store.create(stored.key, template.owner.read(stored.key).body)
    world = replace(fresh(template, folder), store=store)
    command = [sys.executable, "-c", CHILD, str(world.base), str(bucket), str(point), "restore"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    if way == "undo":
        take_back(world)
    else:
        world.restore()
        assert world.stands() == "new"
