"""Killed at every single call of a backup, before it and after it: the same command then ends as if nothing had been.

Each call of the store, of the node (and between two tables of a snapshot), of the state directory and of the clock is a
point; the clock is asked around every file, and each time the memory of known files is committed. Afterwards the bucket
is the one of an undisturbed run, but for what may differ: attempts, and what announcements say.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest

from backupstore.core.documents import Mode
from backupstore.core.layout import Layout
from backupstore.core.writers import Principal
from backupstore.errors import Refused
from backupstore.stores.memory import MemoryBucket
from shipper.backup import Limits
from shipper.state import StateDirectory
from tests.clocks import SettableClock
from tests.killing import Point, Trigger, killed
from tests.recorded import NAME, SMALL, RecordedNode
from tests.shipper.backup.world import World, new_world


def _flushed(world: World) -> None:
    world.back_up("sunday")
    world.node.flush("shop.customers")


def _restarted(world: World) -> None:
    world.back_up("sunday")
    world.node.restart_generations()


EARLIER: dict[str, Callable[[World], None]] = {
    "nothing": lambda _: None,
    "a differential backup": _flushed,
    "other content under the same names": _restarted,
}


@dataclass
class Scene:
    """What was before; each ``world`` is a fresh copy of it, beside the one node, which backups do not change."""

    before: World
    bucket: MemoryBucket
    base: Path
    mode: Mode
    keep: bool
    copies: int = 0

    def world(self, *, workers: int = 1) -> World:
        self.copies += 1
        clock, layout = SettableClock(self.before.clock.now(), step=2.0), Layout("prod")
        bucket = MemoryBucket(clock.now)
        bucket._held, bucket._keys = dict(self.bucket._held), list(self.bucket._keys)
        state = self.base / f"state-{self.copies}"
        shutil.copytree(self.before.state.path, state)
        node = self.before.node
        views = (bucket.open(Principal.SHIPPER, layout, NAME), bucket.open(None))
        return World(node, *views, layout, clock, StateDirectory(state), limits=Limits(workers=workers))

    def run(self, world: World, trigger: Trigger | None = None) -> None:
        """The command under test, perhaps a deadly one."""
        node = self.before.node
        node.between = trigger.around("node.between", lambda: None) if trigger else lambda: None
        try:
            (world.deadly(trigger) if trigger else world).back_up("monday", self.mode, keep=self.keep)
        finally:
            node.between = lambda: None

    def finish(self, world: World, *, over: bool) -> None:
        """The same command again. Where everything was over, it may also say so."""
        try:
            self.run(world)
        except Refused as refused:
            if not over or "already finished" not in refused.message:
                raise

    def check(self, world: World, undisturbed: dict[str, bytes]) -> None:
        kept = ("medusa-shipper_kept-monday",) if self.keep else ()
        assert world.comparable() == undisturbed
        world.check_backup("monday", world.node.contents())
        world.check_tidy(*kept)
        for tag in kept:
            world.node.clear_snapshot(tag)


@pytest.fixture
def base() -> Iterator[Path]:
    """In memory where that is possible: thousands of runs wait for the disk only."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


SCENES = [
    "differential after nothing",
    "differential after a differential backup",
    "differential after other content under the same names",
    "full after other content under the same names",
    "differential, kept after a differential backup",
]


@pytest.fixture(params=SCENES)
def scene(request: pytest.FixtureRequest, base: Path) -> Scene:
    how, _, earlier = request.param.partition(" after ")
    mode: Mode = "full" if how == "full" else "differential"
    before = new_world(base, tables=SMALL)
    before.state.prepare()
    EARLIER[earlier](before)
    bucket = before.store._bucket  # type: ignore[attr-defined] # it is a memory store
    return Scene(before, bucket, base, mode, keep="kept" in how)


def test_killed_at_any_call_the_same_command_finishes(scene: Scene) -> None:
    calm, counter = scene.world(), Trigger()
    scene.run(calm, counter)
    undisturbed = calm.comparable()
    scene.check(calm, undisturbed)
    last_word = len(counter.calls) - counter.calls[::-1].index("state.write")
    assert {"store.upload", "node.snapshot", "node.between", "state.write", "clock.running"} <= set(counter.calls)

    for number in range(1, len(counter.calls) + 1):
        for point in (Point(number, "before"), Point(number, "after")):
            world = scene.world()
            assert killed(lambda w=world, p=point: scene.run(w, Trigger(p))), point  # type: ignore[misc]
            scene.finish(world, over=number > last_word or point == Point(last_word, "after"))
            scene.check(world, undisturbed)
            shutil.rmtree(world.state.path)


def test_killed_at_any_call_another_name_gives_it_up(scene: Scene) -> None:
    counter = Trigger()
    calm = scene.world()
    scene.run(calm, counter)
    for tag in calm.node.snapshot_tags(""):
        calm.node.clear_snapshot(tag)

    for number in range(1, len(counter.calls) + 1, 2):
        world = scene.world()
        assert killed(lambda w=world, n=number: scene.run(w, Trigger(Point(n))))  # type: ignore[misc]
        world.back_up("tuesday", scene.mode)

        files = set(world.meta("monday"))
        finished = "manifest.json" in files
        assert ("abandoned" in files) == bool(files and not finished), number
        assert ("finished" in world.announced("monday")) == finished, number
        world.check_backup("tuesday", world.node.contents())
        kept = [tag for tag in world.node.snapshot_tags("") if scene.keep and finished and "kept-monday" in tag]
        world.check_tidy(*kept)
        for tag in kept:
            world.node.clear_snapshot(tag)
        shutil.rmtree(world.state.path)


@pytest.mark.parametrize("seed", range(12))
def test_killed_again_and_again_it_finishes_in_the_end(scene: Scene, seed: int) -> None:
    """Also with several transfers at once, of which each may be the one that meets its end."""
    random, calm, counter = Random(seed), scene.world(), Trigger()
    scene.run(calm, counter)
    undisturbed, calls = calm.comparable(), len(counter.calls)
    scene.check(calm, undisturbed)

    world, over = scene.world(workers=random.choice((1, 4))), False
    for _ in range(random.randint(2, 6)):
        trigger = Trigger(Point(random.randint(1, calls), random.choice(("before", "after"))))
        with suppress(Refused):  # it was over already
            killed(lambda t=trigger: scene.run(world, t))  # type: ignore[misc]
        over = "finished" in world.announced("monday")
    scene.finish(world, over=over)
    scene.check(world, undisturbed)


def test_the_recorded_node_itself_is_not_changed_by_backups(scene: Scene) -> None:
    node: RecordedNode = scene.before.node
    before = node.contents()
    scene.run(scene.world())
    assert node.contents() == before
