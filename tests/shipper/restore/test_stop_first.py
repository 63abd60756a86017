"""Restoring where there is no space for old and new data: the old one goes first, and there is no way back."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from backupstore.errors import BackupError, Corrupt, NodeTrouble, NoSpace, Refused, Retryable
from backupstore.ports import ObjectStore
from shipper import snapshot
from tests.killing import Pausing, Point, Trigger, killed, killing
from tests.recorded import NAME
from tests.shipper.restore.dying import dying
from tests.shipper.restore.part import BACK, FORWARD, obey, obey_all
from tests.shipper.restore.world import World, copy_of

_numbers = count(1)
_LARGE = 64 << 20
ONE_WAY = {"emptying", "refilling", "placing", "starting", "checked"}


def restore(world: World) -> None:
    world.restore(stop_first=True)


def test_the_old_data_is_gone_before_the_new_one_comes(world: World) -> None:
    left: list[Path] = []
    trigger = Pausing(
        Point(2, "before", "store.fetch", "data"),
        act=lambda: left.extend(path for each in world.directories.data for path in each.rglob("*.db")),
    )
    restore(world.deadly(trigger))
    assert not left
    calls = [call for call in trigger.calls if call == "store.fetch" or "service.st" in call]
    assert calls.index("service.stop") < len(calls) - 21
    assert world.stands() == "new"
    assert not world.node.down


def test_the_operators_own_snapshots_stay(world: World) -> None:
    for folder in world.node.folders("shop.customers"):
        (folder / "snapshots" / "mine").mkdir(parents=True)
        (folder / "snapshots" / "mine" / "nb-1-big-Data.db").write_bytes(b"mine")
        (folder / "snapshots" / f"{snapshot.OURS}old").mkdir()
        (folder / "snapshots" / f"{snapshot.OURS}old" / "nb-1-big-Data.db").write_bytes(b"ours")
    restore(world)
    assert world.stands() == "new"
    kept = [path for each in world.directories.data for path in each.rglob("nb-1-big-Data.db")]
    assert {path.read_bytes() for path in kept} == {b"mine"}
    assert len(kept) == 2


def data_key(world: World, kind: str = "Data.db") -> str:
    return next(each.key for each in world.owner.list("") if each.key.endswith(kind) and "/data/" in each.key)


@pytest.mark.parametrize("how", ["missing", "shorter", "other bytes"])
def test_a_backup_that_is_not_whole_is_not_worth_deleting_anything_for(world: World, how: str) -> None:
    key = data_key(world)
    body = world.owner.read(key).body
    world.owner.delete([key])
    if how != "missing":
        world.owner.put(key, body[:-1] if how == "shorter" else body[:-1] + bytes([body[-1] ^ 1]))
    with pytest.raises(Corrupt, match="nothing was deleted"):
        restore(world)
    assert world.stands() == "old"
    assert not world.node.down


def failing_at(world: World, number: int) -> World:
    """Its store does not answer any more from so many downloads on."""

    def fail() -> None:
        raise Retryable("The store does not answer.", hint="Wait.", operation="fetch")

    store: ObjectStore = killing(world.store, Pausing(Point(number, "before", "store.fetch"), act=fail), "store")
    return replace(world, store=store, workers=1)


def test_what_fails_after_the_deletion_is_done_again(world: World) -> None:
    with pytest.raises(BackupError, match="does not answer") as caught:
        restore(failing_at(world, 9))
    assert "no way back" in caught.value.hint
    assert "The old data is deleted" in caught.value.hint
    assert world.node.down
    with pytest.raises(Refused, match="nothing to go back to") as refused:
        world.undo()
    assert "restore-node --backup-name monday" in refused.value.hint
    restore(world)
    assert world.stands() == "new"


def test_a_node_that_does_not_start_is_left_as_it_is(world: World) -> None:
    (world.base / "broken").touch()
    with pytest.raises(NodeTrouble, match="does not start") as caught:
        restore(world)
    assert "no way back" in caught.value.hint
    (world.base / "broken").unlink()
    world.restore()  # the journal knows how it was begun
    assert world.stands() == "new"


def test_a_node_that_does_not_stop_keeps_its_data(world: World) -> None:
    world.service.stubborn = True
    with pytest.raises(NodeTrouble, match="did not stop") as caught:
        restore(world)
    assert caught.value.hint.startswith("The old data is back in place.")
    assert world.stands() == "old"
    assert not world.node.down


def test_killed_anywhere_it_goes_on_and_goes_back_only_before_the_deletion(backed_up: World, folder: Path) -> None:
    def fresh() -> World:
        return replace(copy_of(backed_up, folder / f"node-{next(_numbers)}"), workers=1)

    trigger, first, seen = Trigger(), fresh(), set()
    with dying(trigger, first.base):
        restore(first.deadly(trigger))
    stopped = trigger.calls.index("service.stop")
    for number in (*range(1, stopped, 9), *range(stopped, len(trigger.calls) + 1)):
        each, deadly = fresh(), Trigger(Point(number))
        with dying(deadly, each.base):
            assert killed(lambda each=each, deadly=deadly: restore(each.deadly(deadly)))  # type: ignore[misc]
        journal = each.journal()
        phase = journal.phase if journal else "none"
        seen.add(phase)
        if number % 2 and phase in {"fetching", "prepared", "stopping"}:
            each.undo()
            assert each.stands() == "old", number
        else:
            if phase in ONE_WAY:
                with pytest.raises(Refused, match="nothing to go back to"):
                    each.undo()
            restore(each)
            assert each.stands() == "new", number
        assert not each.node.down
    assert seen >= {"fetching", "prepared", "stopping", *ONE_WAY, "committed"}


def test_killed_and_rebooted_while_it_is_fetched_everything_is_read_again(world: World) -> None:
    world = replace(world, workers=1)
    deadly = Trigger(Point(15, "after", "store.fetch"))
    assert killed(lambda: restore(world.deadly(deadly)))
    spoilt = next(iter(world.base.rglob("incoming/*/*/*-Data.db")))
    spoilt.write_bytes(bytes(spoilt.stat().st_size))
    world.clock.reboot()
    restore(world)
    assert world.stands() == "new"


def test_in_a_job_nothing_goes_back_either(world: World) -> None:
    obey_all(world, ("prepare", "put_back"), stop_first=True)
    assert world.stands() == "old"
    obey(world, "prepare", job="restore-2", stop_first=True)
    obey(world, "stop", job="restore-2")
    with pytest.raises(Refused, match="nothing to go back to") as caught:
        obey(world, "put_back", job="restore-2")
    assert "restore-resume restore-2" in caught.value.hint
    for verb in FORWARD[1:]:
        obey(world, verb, job="restore-2")
    assert world.stands() == "new"


def test_in_a_job_it_goes_back_until_cassandra_is_down(world: World) -> None:
    world.service.stubborn = True
    obey(world, "prepare", stop_first=True)
    with pytest.raises(NodeTrouble):
        obey(world, "stop")
    world.service.stubborn = False
    obey_all(world, BACK)
    assert world.stands() == "old"


def without_space(world: World) -> World:
    """A backup of a table that no disk holds."""
    key = world.layout.meta(NAME, "monday", "manifest.json")
    body = world.owner.read(key).body
    size = next(each.size for each in world.owner.list("") if each.key == data_key(world))
    huge = re.sub(rb'("size": ?)%d,' % size, rb"\g<1>%d," % (1 << 50), body)
    assert huge != body
    world.owner.put(key, huge)
    return world


def test_what_does_not_even_fit_alone(world: World) -> None:
    with pytest.raises(NoSpace, match="even without the old data") as caught:
        restore(without_space(world))
    assert "--stop-first" not in caught.value.hint
    assert world.stands() == "old"
    assert not world.node.down


def missing(world: World, *, stop_first: bool) -> int:
    with pytest.raises(NoSpace) as caught:
        world.restore(stop_first=stop_first)
    assert ("--stop-first" in caught.value.hint) == (not stop_first)
    return int(caught.value.message.partition(" ")[0].replace(",", ""))


@pytest.mark.parametrize("is_in_snapshot", [False, True])
def test_what_the_old_data_frees_is_counted(backed_up: World, folder: Path, *, is_in_snapshot: bool) -> None:
    world = without_space(copy_of(backed_up, folder / f"node-{next(_numbers)}"))
    table = world.node.folders("shop.customers")[0]
    large = table / "nb-99-big-Data.db"
    with large.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, _LARGE)
    if is_in_snapshot:
        (table / "snapshots" / "mine").mkdir(parents=True)
        (table / "snapshots" / "mine" / large.name).hardlink_to(large)
    freed = missing(world, stop_first=False) - missing(world, stop_first=True)
    assert (freed > _LARGE // 2) == (not is_in_snapshot)
