"""What is in a backup's way: names, neighbours, other processes, a node or a store that fails. Never a half truth."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backupstore.core.documents import Mode, encode
from backupstore.errors import Corrupt, NodeTrouble, Refused
from backupstore.ports import StoredObject
from shipper.restore.journal import Journal, Phase, save
from tests.killing import Point
from tests.recorded import NAME, SMALL, RecordedNode
from tests.shipper.backup.world import World, Wrapped, elsewhere

DURING = Point(20, "before", "store.upload")


# --- names ---


@pytest.mark.parametrize("name", ["", "data1", "my-differential", "a/b", "..", "-t", "all-nodes"])
def test_a_name_that_stock_would_trip_over_is_refused_before_anything_is_done(world: World, name: str) -> None:
    world.node.down = True
    with pytest.raises(Refused, match="cannot be the name"):
        world.back_up(name)


def test_a_finished_name_is_taken(world: World) -> None:
    world.back_up("monday")
    before = world.comparable()
    with pytest.raises(Refused, match="already finished"):
        world.back_up("monday")
    assert world.comparable() == before
    world.check_tidy()


def test_a_name_that_is_being_deleted_is_taken(world: World) -> None:
    world.condemn("run-1", backups=("monday",))
    with pytest.raises(Refused, match="being deleted"):
        world.back_up("monday")
    assert world.listing(world.layout.node(NAME)) == []


def test_a_backup_that_purge_takes_up_while_it_is_resumed_is_left_alone(memory_world: World) -> None:
    """Condemned between the first look and the attempt: the second look sees it."""
    world = memory_world
    world.die(DURING)

    class Purging(Wrapped):
        looks = 0

        def list(self, folder: str) -> Iterator[StoredObject]:
            if folder == world.layout.condemned(NAME):
                self.looks += 1
                if self.looks == 2:
                    world.condemn("run-1", backups=("monday",))
            return self.store.list(folder)

    with pytest.raises(Refused, match="being deleted"):
        elsewhere(world, store=Purging(world.store)).back_up("monday")
    assert "attempt-2.json" not in world.meta("monday")


@pytest.mark.parametrize("files", [("schema.cql",), ("schema.cql", "tokenmap.json", "differential")])
def test_a_name_of_stock_s_is_taken_finished_or_not(world: World, files: tuple[str, ...]) -> None:
    for file in files:
        world.owner.put(world.layout.meta(NAME, "monday", file), b"by stock")
    with pytest.raises(Refused, match="unfinished backup of stock"):
        world.back_up("monday")
    world.back_up("tuesday")
    assert "abandoned" not in world.meta("monday"), "stock may be at it"
    world.owner.put(world.layout.meta(NAME, "monday", "manifest.json"), b"[]")
    with pytest.raises(Refused, match="already finished"):
        world.back_up("monday")


def test_an_attempt_without_its_intent_is_not_gone_on_with(world: World) -> None:
    world.die(DURING)
    world.owner.delete([world.layout.meta(NAME, "monday", "schema.cql")])
    with pytest.raises(Refused, match=r"schema\.cql, which is written first"):
        world.back_up("monday")


def test_another_machine_with_our_name_is_refused(world: World, tmp_path: Path) -> None:
    world.die(DURING)
    other = RecordedNode.make(tmp_path / "other", tables=SMALL, address="10.0.0.2")
    world.node.clear_snapshot("medusa-shipper-monday")
    with pytest.raises(Refused, match="would ever be complete"):
        elsewhere(world, node=other).back_up("monday")


def test_an_attempt_of_another_host_is_not_gone_on_with(world: World) -> None:
    world.die(DURING)
    forged = world.attempt().model_copy(update={"host_id": "11111111-2222-3333-4444-555555555555"})
    world.owner.put(world.layout.attempt(NAME, "monday", 1), encode(forged))
    with pytest.raises(Refused, match="host id 11111111"):
        world.back_up("monday")


def test_names_that_begin_with_each_other_are_warned_of_and_refused_beside_stock(world: World) -> None:
    world.back_up("daily1")
    world.back_up("daily10")
    assert any("begin with each other" in warning for warning in world.listener.warnings)
    world.owner.put(world.layout.meta(NAME, "weekly1", "schema.cql"), b"by stock")
    with pytest.raises(Refused, match="written by stock Medusa"):
        world.back_up("weekly10")
    assert world.listing(world.layout.backup(NAME, "weekly10")) == []


# --- two at once ---


def test_a_second_backup_is_refused_and_told_who_is_first(world: World) -> None:
    code = (
        "import sys, time; from pathlib import Path; from shipper.state import StateDirectory\n"
        "with StateDirectory(Path(sys.argv[1])).locked('backup sunday'):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(world.state.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Refused, match=rf"busy: backup sunday, process {holder.pid} is running") as caught:
            world.back_up("monday")
        assert "Wait" in caught.value.hint
        holder.communicate()
    world.back_up("monday")
    assert (world.state.path / "lock").read_text() == "", "nobody is told of one that is gone"


def test_the_lock_of_a_killed_process_is_free(world: World) -> None:
    world.state.prepare()
    lock = world.state.path / "lock"
    lock.write_text("backup sunday, process 1\n")
    assert world.back_up("monday").is_good


def test_between_taking_the_lock_and_signing_it_somebody_is_named_all_the_same(world: World) -> None:
    world.state.prepare()
    handle = os.open(world.state.path / "lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(Refused, match="another medusa-shipper is running"):
            world.back_up("monday")
    finally:
        os.close(handle)


def _restoring(world: World, phase: Phase) -> None:
    world.state.prepare()
    journal = Journal(
        phase=phase, backup="sunday", node=NAME, bucket="bucket", host_id=None, places=(), was_up=True, boot_id=""
    )
    save(world.state, journal)


def test_while_a_restore_is_not_over_nothing_is_backed_up(world: World) -> None:
    _restoring(world, "placing")
    with pytest.raises(Refused, match="restore of this node to sunday is not over"):
        world.back_up("monday")
    world.state.journal.write_text("{")
    with pytest.raises(Corrupt, match="journal"):
        world.back_up("monday")
    assert world.listing() == []


def test_while_a_restore_only_fetches_backups_go_on(world: World) -> None:
    _restoring(world, "fetching")
    world.back_up("monday")
    world.check_backup("monday", world.node.contents())


# --- Cassandra ---


def test_with_cassandra_down_nothing_is_written(world: World) -> None:
    world.node.down = True
    with pytest.raises(NodeTrouble):
        world.back_up()
    assert world.listing() == []


@pytest.mark.parametrize("failing", ["identity", "ring", "schema", "snapshot", "snapshot halfway"])
def test_what_fails_before_the_intent_leaves_the_bucket_as_it_was(world: World, failing: str) -> None:
    world.node.fails = {failing}
    with pytest.raises(NodeTrouble) as caught:
        world.back_up()
    assert caught.value.hint
    assert world.listing() == []
    assert world.node.snapshot_tags("") == (), "what a failed snapshot left is cleared at once"
    world.node.fails = set()
    assert world.back_up().attempt == 1
    world.check_backup("monday", world.node.contents())


def test_a_failed_snapshot_that_cannot_be_cleared_either_is_cleared_by_the_next_run(world: World) -> None:
    world.node.fails = {"snapshot halfway", "clear_snapshot"}
    with pytest.raises(NodeTrouble, match="snapshot halfway"):
        world.back_up()
    assert world.node.snapshot_tags("") == ("medusa-shipper-monday",)
    world.node.fails = set()
    world.back_up("tuesday")
    world.check_tidy()


@pytest.mark.parametrize("lack", ["tables", "files"])
@pytest.mark.parametrize("mode", ["full", "differential"])
def test_an_empty_snapshot_is_an_error_and_never_an_empty_manifest(world: World, lack: str, mode: Mode) -> None:
    world.node.empty = lack
    with pytest.raises(NodeTrouble, match="is empty"):
        world.back_up("monday", mode)
    assert "manifest.json" not in world.meta("monday")
    world.node.empty = ""
    world.back_up("tuesday", mode)
    world.check_backup("tuesday", world.node.contents())
    world.check_tidy()


def test_a_schema_that_changes_during_the_snapshot_means_another_one(world: World) -> None:
    world.node.restless = 2
    world.back_up()
    assert world.meta("monday")["schema.cql"].decode() == world.node.schema().export
    world.node.restless = 100
    with pytest.raises(NodeTrouble, match="changed during each of 3"):
        world.back_up("tuesday")
    assert world.listing(world.layout.backup(NAME, "tuesday")) == []
    world.check_tidy()


def test_the_same_file_in_two_data_directories_is_an_error(world: World) -> None:
    path = next(each for each in world.node.live("*-Data.db") if "readings" in str(each))
    (other,) = set(world.node.folders("shop.readings")) - {path.parent}
    (other / path.name).write_bytes(b"a copy")
    with pytest.raises(NodeTrouble, match="same name for the same table"):
        world.back_up()
    assert "manifest.json" not in world.meta("monday")
