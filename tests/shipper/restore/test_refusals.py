"""What a restore refuses, with the reason and the way out, before the node is touched."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from backupstore.core.writers import Principal
from backupstore.errors import NotFound, Refused
from backupstore.stores.memory import MemoryBucket
from shipper.backup import Limits, back_up
from shipper.begin import Request as BackupRequest
from shipper.progress import Silent
from shipper.snapshot import Filters
from tests.recorded import NAME, host_id
from tests.shipper.restore.world import World, ring_of_three


def test_there_is_no_such_backup(world: World) -> None:
    with pytest.raises(NotFound, match="no backup friday"):
        world.restore("friday")


def test_a_backup_that_is_not_finished(world: World) -> None:
    world.owner.delete([world.layout.meta(NAME, "monday", "manifest.json")])
    with pytest.raises(Refused, match="not finished"):
        world.restore()
    assert world.stands() == "old"


def test_a_backup_that_was_given_up(world: World) -> None:
    world.owner.put(world.layout.meta(NAME, "monday", "abandoned"), b"{}")
    with pytest.raises(Refused, match="given up"):
        world.restore()


def test_a_backup_of_some_tables_only(world: World) -> None:
    request = BackupRequest("part", filters=Filters(keyspaces=("shop",)))
    back_up(world.site, request, Limits(workers=2), Silent())
    with pytest.raises(Refused, match="only some tables"):
        world.restore("part")


def test_a_backup_with_corrupt_components(world: World) -> None:
    world.node.corrupt("shop.customers", "Data.db")
    world.expect("rotten")
    world.back_up("rotten")
    world.node.compact("shop.customers")
    world.expect("old")
    with pytest.raises(Refused, match="1 components were corrupt") as caught:
        world.restore("rotten")
    assert "--accept-corrupt" in caught.value.hint
    assert world.stands() == "old"
    world.restore("rotten", accept_corrupt=True)
    assert world.stands() == "rotten"


def test_a_bucket_that_cannot_be_written_to(world: World) -> None:
    bucket = MemoryBucket()
    for stored in world.owner.list(""):
        bucket.open(None).put(stored.key, world.owner.read(stored.key).body)
    world = replace(world, store=bucket.open(Principal.VERIFY, world.layout))
    with pytest.raises(Refused, match="cannot be protected") as caught:
        world.restore()
    assert "--without-hold" in caught.value.hint
    assert world.stands() == "old"
    world.restore(without_hold=True)
    assert world.stands() == "new"
    assert "cannot be protected" in world.listener.told


def test_a_backup_that_is_being_deleted(world: World) -> None:
    document = {"format": 1, "revision": "r", "run": "r1", "node": NAME, "created": 1.0, "backups": ["monday"]}
    world.owner.put(world.layout.condemned(NAME) + "r1.json", json.dumps({**document, "keys": []}).encode())
    with pytest.raises(Refused, match="being deleted"):
        world.restore()
    world.restore(without_hold=True)
    assert world.stands() == "new"


def test_commands_that_are_not_on_this_machine(world: World) -> None:
    world.service.missing = ("sudo",)
    with pytest.raises(Refused, match="sudo is not on this machine"):
        world.restore()
    assert world.stands() == "old"


# --- which node is it ---
def test_the_backup_of_another_node(world: World) -> None:
    key = world.layout.attempt(NAME, "monday", 1)
    document = json.loads(world.owner.read(key).body)
    world.owner.put(key, json.dumps({**document, "host_id": host_id("10.0.0.2")}).encode())
    with pytest.raises(Refused, match="made by the node with host id"):
        world.restore(in_place=True)
    assert world.stands() == "old"


def test_a_wiped_node_that_has_lost_its_memory_must_be_told_who_it_is(world: World) -> None:
    wipe(world)
    (world.base / "state").rename(world.base / "lost")
    with pytest.raises(Refused, match="Nothing here tells") as caught:
        world.restore()
    assert "--in-place" in caught.value.hint
    world.restore(in_place=True)
    assert world.stands() == "new"


def test_a_wiped_node_that_remembers_must_be_told_all_the_same(world: World) -> None:
    wipe(world)
    with pytest.raises(Refused, match="Nothing here tells"):
        world.restore()


def test_a_node_with_data_that_remembers_who_it_is_need_not_be_up(world: World) -> None:
    world.service.stop()
    world.restore()
    assert world.stands() == "new"


def test_nobody_may_become_a_node_that_is_up_elsewhere(world: World) -> None:
    ring = ring_of_three(world)
    wipe(world)
    world.peers.seen, world.peers.up = ring, frozenset({NAME})
    with pytest.raises(Refused, match=f"is up at {NAME}") as caught:
        world.restore(in_place=True, ignore_ring_changes=True)
    assert "Stop that one" in caught.value.hint
    world.peers.up = frozenset()
    world.restore(in_place=True, ignore_ring_changes=True)
    assert world.stands() == "new"


def wipe(world: World) -> None:
    """Its disks are new, and it has never run."""
    world.service.stop()
    for directory in (*world.directories.data, *world.directories.others):
        shutil.rmtree(directory)
        directory.mkdir()
    world.expect("old")


# --- the ring ---
def test_a_ring_that_has_moved_on(world: World) -> None:
    world.peers.seen = ring_of_three(world)
    with pytest.raises(Refused, match=r"TABLE shop\.newer was created") as caught:
        world.restore()
    assert "--ignore-ring-changes" in caught.value.hint
    assert world.stands() == "old"


def test_a_ring_that_nobody_can_ask(world: World) -> None:
    world.restore()
    assert "None of the ring's 3 nodes answered" in world.listener.told


def test_an_old_backup_warns_of_deleted_rows(world: World) -> None:
    key = world.layout.meta(NAME, "monday", "describe.cql")
    world.owner.put(key, b"CREATE TABLE shop.customers (k int) WITH gc_grace_seconds = 60;\n")
    world.clock.advance(86400)
    world.restore()
    assert "1.0 days old, more than gc_grace_seconds of shop.customers" in world.listener.told
