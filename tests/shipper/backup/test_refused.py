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
from backupstore.errors import BackupError, Denied, NodeTrouble, NoSpace, NotFound, Refused, Retryable
from backupstore.ports import Source, StoredObject
from tests.killing import Point
from tests.recorded import NAME, SMALL, RecordedNode
from tests.shipper.backup.world import World, Wrapped, elsewhere, new_world

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
    world.back_up("monday")


def test_between_taking_the_lock_and_signing_it_somebody_is_named_all_the_same(world: World) -> None:
    world.state.prepare()
    handle = os.open(world.state.path / "lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(Refused, match="another medusa-shipper is running"):
            world.back_up("monday")
    finally:
        os.close(handle)


def test_while_a_restore_is_not_over_nothing_is_backed_up(world: World) -> None:
    world.state.prepare()
    world.state.journal.write_text("{}")
    with pytest.raises(Refused, match="restore of this node is not over"):
        world.back_up("monday")
    assert world.listing() == []


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


# --- the store ---


class Failing(Wrapped):
    """From its n-th call on, every call of a kind fails."""

    def __init__(self, world: World, verb: str, number: int, error: BackupError) -> None:
        super().__init__(world.store)
        self._verb, self._left, self._error = verb, number, error

    def _ask(self, verb: str) -> None:
        if verb == self._verb:
            self._left -= 1
            if self._left <= 0:
                raise self._error

    def create(self, key: str, body: bytes) -> StoredObject:
        self._ask("create")
        return self.store.create(key, body)

    def upload(self, key: str, source: Source) -> StoredObject:
        self._ask("upload")
        return self.store.upload(key, source)

    def list(self, folder: str) -> Iterator[StoredObject]:
        self._ask("list")
        return self.store.list(folder)


ERRORS = [Denied("no", hint="ask"), NoSpace("full", hint="free"), Retryable("timeout"), NotFound("no bucket")]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    ("verb", "number"),
    [
        *(("create", n) for n in (1, 2, 3, 7, 9)),
        *(("upload", n) for n in (1, 40, 84)),
        *(("list", n) for n in (1, 3, 5)),
    ],
)
def test_a_store_that_fails_is_an_error_and_the_same_command_goes_on(
    memory_world: World, verb: str, number: int, error: BackupError
) -> None:
    world = memory_world
    with pytest.raises(type(error)):
        elsewhere(world, store=Failing(world, verb, number, error)).back_up()
    assert "finished" not in world.announced("monday")
    contents = world.node.contents()
    world.back_up()
    world.check_backup("monday", contents)
    world.check_tidy()


def test_a_store_that_ignores_conditions_is_noticed_and_told_each_time(memory_world: World) -> None:
    world = memory_world

    class Careless(Wrapped):
        def create(self, key: str, body: bytes) -> StoredObject:
            return world.owner.put(key, body)

    careless = elsewhere(world, store=Careless(world.store))
    for name in ("monday", "tuesday"):
        careless.listener.warnings.clear()
        careless.back_up(name)
        assert any("ignores conditional writes" in warning for warning in careless.listener.warnings)
        world.check_backup(name, world.node.contents())
    world.listener.warnings.clear()
    world.back_up("wednesday")
    assert world.listener.warnings == []


def test_conditions_are_asked_for_once_for_each_bucket(memory_world: World) -> None:
    world = memory_world
    creates: list[str] = []

    class Counting(Wrapped):
        def create(self, key: str, body: bytes) -> StoredObject:
            creates.append(key)
            return self.store.create(key, body)

    counting = elsewhere(world, store=Counting(world.store))
    for name, expected in (("monday", 2), ("tuesday", 1)):
        counting.back_up(name)
        assert creates.count(world.layout.announced(NAME, name, "started")) == expected
    elsewhere(counting, name_of_bucket="another").back_up("wednesday")
    assert creates.count(world.layout.announced(NAME, "wednesday", "started")) == 2


def test_another_shipper_that_is_faster_wins(memory_world: World) -> None:
    world = memory_world

    class Racing(Wrapped):
        """The other machine writes just before us, each time."""

        def create(self, key: str, body: bytes) -> StoredObject:
            if key.endswith(("schema.cql", "attempt-1.json")) and not world.has(key):
                world.owner.put(key, body.replace(b"boot-1", b"boot-9").replace(b"CREATE", self.theirs))
            return self.store.create(key, body)

        theirs = b"CREATE"

    racing = Racing(world.store)
    with pytest.raises(Refused, match="just begun attempt 1"):
        elsewhere(world, store=racing).back_up("monday")
    racing.theirs = b"DIFFERENT"
    with pytest.raises(Refused, match="has just begun tuesday"):
        elsewhere(world, store=racing).back_up("tuesday")


def test_a_world_of_one_disk_without_prefix_works_as_well(tmp_path: Path) -> None:
    world = new_world(tmp_path, prefix="", disks=1, tables=SMALL)
    world.back_up()
    world.check_backup("monday", world.node.contents())
