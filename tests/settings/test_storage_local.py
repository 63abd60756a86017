"""Options of ``[storage]`` and ``[shipper]`` that hold for every store, shown on a local bucket."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from backupstore.core.layout import Layout
from backupstore.ports import Source, StoredObject
from backupstore.stores.bandwidth import Bandwidth
from backupstore.stores.local import LocalStore
from backupstore.stores.local_capped import CappedLocalStore
from backupstore.wiring import layout_of, open_store
from shipper.cli.backing_up import Flags, limits_of
from shipper.transfer.source import Digests, FileSource
from shipper.wiring import naming_of
from tests.clocks import SettableClock
from tests.conformance.samples import MIB, fetched_sha256, whole
from tests.settings.node import cassandra_yaml, wiring
from tests.settings.shown import settings, shows
from tests.shipper.backup.world import Wrapped, new_world
from tests.shipper.cli.program import Program

DAY = 86400.0


@shows("storage.storage_provider", "storage.base_path", "storage.bucket_name")
def test_the_bucket_is_a_directory_below_the_base_path(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    given = settings(tmp_path, storage={"base_path": tmp_path / "base", "bucket_name": "here"})
    open_store(given).create("a/b", b"body")
    assert (tmp_path / "base/here/a/b").read_bytes() == b"body"


@shows("storage.prefix")
def test_a_cluster_has_the_keys_below_its_prefix(tmp_path: Path) -> None:
    assert layout_of(settings(tmp_path, storage={"prefix": "east"})) == Layout("east")
    program = Program(tmp_path, storage=("prefix = east",))
    program.bucket.mkdir()
    program.maker("east").ship("ours")
    program.maker("west").ship("theirs")
    listed = program.run("list-backups", "--show-all", "--output", "json").out
    assert "ours" in listed
    assert "theirs" not in listed


@shows("storage.fqdn")
def test_the_node_is_called_so(tmp_path: Path) -> None:
    assert naming_of(settings(tmp_path, storage={"fqdn": "somebody"})).own() == "somebody"


@shows("storage.transfer_max_bandwidth")
@pytest.mark.parametrize("way", ["up", "down"])
def test_the_cap_holds_for_local_buckets(tmp_path: Path, way: str) -> None:
    clock = SettableClock()
    store = CappedLocalStore(tmp_path / "bucket", Bandwidth(MIB, clock))
    source = whole(4 * MIB)
    begun = clock.running()
    store.upload("a", source)
    if way == "down":
        assert clock.running() - begun < 4.2
        begun = clock.running()
        assert fetched_sha256(store, "a") == source.sha256
    passed = clock.running() - begun
    assert 3.9 < passed <= 4.0, "only the last piece goes without being waited for"


@shows("storage.transfer_max_bandwidth")
def test_the_cap_is_that_of_the_file(tmp_path: Path) -> None:
    assert isinstance(open_store(settings(tmp_path, storage={"transfer_max_bandwidth": "5MB/s"})), CappedLocalStore)
    free = open_store(settings(tmp_path, storage={"transfer_max_bandwidth": ""}))
    assert isinstance(free, LocalStore)
    assert not isinstance(free, CappedLocalStore)


class Crowd:
    """Lets nobody through before ``most`` have come, and then counts whether there are ever more."""

    def __init__(self, most: int) -> None:
        self.peak = self._inside = self._come = 0
        self._most = most
        self._gate = threading.Barrier(most)
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            self._come += 1
            self._inside += 1
            self.peak = max(self.peak, self._inside)
            waits = self._come <= self._most
        if waits:
            self._gate.wait(20)  # broken, and the backup fails, when they do not come at once

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1


@shows("storage.concurrent_transfers")
def test_so_many_files_are_on_their_way_at_once(tmp_path: Path) -> None:
    crowd = Crowd(3)

    class Crowded(Wrapped):
        def upload(self, key: str, source: Source) -> StoredObject:
            if not key.endswith(".db"):
                return super().upload(key, source)
            with crowd:
                return super().upload(key, source)

    world = new_world(tmp_path)
    limits = limits_of(settings(tmp_path, storage={"concurrent_transfers": "3"}), Flags())
    assert replace(world, store=Crowded(world.store), limits=limits).back_up().is_good
    assert crowd.peak == 3


@shows("checks.enable_md5_checks")
@pytest.mark.parametrize(("by", "found"), [("nothing", 0), ("file", 1), ("option", 1)])
def test_what_seems_unchanged_is_read_all_the_same(tmp_path: Path, by: str, found: int) -> None:
    world = new_world(tmp_path)
    flags = Flags(enable_md5_checks=by == "option")
    given = settings(tmp_path, checks={"enable_md5_checks": str(by == "file")}, shipper=SELDOM)
    world.back_up("monday")
    path = world.node.corrupt("shop.orders", "Data.db")
    report = replace(world, limits=limits_of(given, flags)).back_up("tuesday")
    assert len(report.rotten) == found
    assert {Path(each).name for each in report.rotten} <= {path.name}
    assert report.is_good, "the bucket holds what was there before"


SELDOM = {"reread_known_files_after_days": "3650"}


@shows("checks.md5_check_concurrency")
@pytest.mark.parametrize(("given", "most"), [("2", 2), ("0", 1)])
def test_so_many_known_files_are_read_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: str, most: int
) -> None:
    world = new_world(tmp_path)
    world.back_up("monday")
    crowd, digest = Crowd(most), FileSource.digest

    def crowded(source: FileSource) -> Digests:
        with crowd:
            return digest(source)

    monkeypatch.setattr(FileSource, "digest", crowded)
    checks = {"enable_md5_checks": "yes", "md5_check_concurrency": given}
    assert replace(world, limits=limits_of(settings(tmp_path, checks=checks), Flags())).back_up("tuesday").is_good
    assert crowd.peak == most


@shows("shipper.reread_known_files_after_days")
@pytest.mark.parametrize(("days", "found"), [("1", 1), ("10", 0)])
def test_rot_is_found_after_so_many_days(tmp_path: Path, days: str, found: int) -> None:
    world = new_world(tmp_path)
    limits = limits_of(settings(tmp_path, shipper={"reread_known_files_after_days": days}), Flags())
    world = replace(world, limits=limits)
    world.back_up("monday")
    world.node.corrupt("shop.orders", "Data.db")
    world.clock.advance(2 * DAY)
    assert len(world.back_up("tuesday").rotten) == found


@shows("shipper.incomplete_grace_days")
def test_a_backup_must_be_finished_within_half_of_the_grace(tmp_path: Path) -> None:
    assert limits_of(settings(tmp_path, shipper={"incomplete_grace_days": "4"}), Flags()).grace == 4 * DAY


@shows("shipper.state_dir")
def test_the_node_remembers_there(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    given = settings(
        tmp_path,
        cassandra={"config_file": cassandra_yaml(tmp_path)},
        shipper={"state_dir": tmp_path / "memory"},
    )
    state = wiring(given).site(open_store(given), layout_of(given), "n1").state
    with state.locked("test"):
        state.write("identity", {"a": 1})
    assert (tmp_path / "memory/identity.json").is_file()


@shows("shipper.log_format")
def test_stderr_is_for_people_or_for_programs(tmp_path: Path) -> None:
    (tmp_path / "bucket").mkdir()
    people = Program(tmp_path).run("status", "--backup-name", "b1")
    programs = Program(tmp_path, shipper=("log_format = json",)).run("status", "--backup-name", "b1")
    assert "ERROR: There is no backup b1." in people.err
    assert "There is no backup b1." in [json.loads(line)["message"] for line in programs.err.splitlines()]
