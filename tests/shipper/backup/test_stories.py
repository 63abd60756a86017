"""A backup as it goes when nothing is in its way: what lies in the bucket afterwards, and in which order it came."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backupstore.core import layout as grammar
from backupstore.core import tokenmap
from backupstore.core.documents import Mode
from backupstore.errors import Denied
from tests.killing import Trigger, killing
from tests.recorded import NAME, TABLES, host_id
from tests.shipper.backup.world import World, elsewhere, new_world, with_bucket

MODES: list[Mode] = ["full", "differential"]


@pytest.mark.parametrize("mode", MODES)
def test_a_backup_holds_every_file_of_the_node_and_nothing_else(world: World, mode: Mode) -> None:
    report = world.back_up("monday", mode)

    world.check_backup("monday", world.node.contents())
    world.check_tidy()
    assert report.is_good
    assert report.findings == ()
    assert (report.attempt, report.totals.files) == (1, len(world.node.contents()))
    assert report.totals.new_files == report.totals.files
    assert world.announced("monday") == {"started", "finished"}
    assert world.listener.warnings == []


@pytest.mark.parametrize("mode", MODES)
def test_its_meta_is_what_stock_and_we_expect(world: World, mode: Mode) -> None:
    world.back_up("monday", mode)

    meta, schema, node = world.meta("monday"), world.node.schema(), world.node.identity()
    expected = {"schema.cql", "attempt-1.json", "tokenmap.json", "server_version.json", "describe.cql", "manifest.json"}
    assert set(meta) == expected | ({"differential"} if mode == "differential" else set())
    assert meta["schema.cql"].decode() == schema.export
    assert meta["describe.cql"].decode() == schema.described
    assert json.loads(meta["server_version.json"]) == {"server_type": "cassandra", "release_version": "5.0.6"}
    ring = tokenmap.parse(meta["tokenmap.json"], "tokenmap")
    assert set(ring) == {NAME, "10.0.0.2"}, "the own datacenter only"
    assert ring[NAME].tokens == node.tokens
    assert meta.get("differential") in {None, b"differential"}


def test_its_attempt_says_who_made_it_and_what_it_knew(world: World) -> None:
    world.condemn("run-7")
    world.back_up("monday")

    attempt = world.attempt("monday")
    assert (attempt.node, attempt.backup, attempt.attempt) == (NAME, "monday", 1)
    assert (attempt.host_id, attempt.mode, attempt.partial) == (host_id(NAME), "differential", False)
    assert attempt.condemned_seen == ("run-7",)
    assert attempt.boot_id == world.clock.boot_id()
    assert [node.dc for node in attempt.ring] == ["dc1", "dc1", "dc2"]


def test_every_table_has_its_section_even_without_sstables(world: World) -> None:
    world.back_up()
    tables = {f"{keyspace}.{table.partition('-')[0]}" for keyspace, table in world.sections()}
    assert tables == set(TABLES) - {"system_traces.events"}
    assert world.sections() == sorted(world.sections())


def test_the_manifest_says_from_which_disk_a_file_came(tmp_path: Path) -> None:
    two, one = new_world(tmp_path / "two", disks=2), new_world(tmp_path / "one", disks=1)
    two.back_up()
    one.back_up()
    assert {entry.disk for entry in two.entries().values()} == {0, 1}
    assert {entry.disk for entry in one.entries().values()} == {None}


@pytest.mark.parametrize("prefix", ["", "prod"])
def test_nothing_is_written_that_a_node_may_not_write(tmp_path: Path, prefix: str) -> None:
    """The memory store refuses what ``WRITERS`` and ``READERS`` do not grant: the backup itself is the test."""
    world = new_world(tmp_path, prefix=prefix)
    world.back_up("monday", "full")
    world.back_up("tuesday")
    with pytest.raises(Denied):
        world.store.put(world.layout.meta(NAME, "monday", grammar.MANIFEST), b"")
    assert not [key for key in world.listing() if "/index/" in key or key.startswith("index/catalog")]


def test_the_order_of_reads_and_writes_is_the_one_that_purge_relies_on(memory_world: World) -> None:
    world, trigger = memory_world, Trigger()
    world.back_up("sunday")
    spied = elsewhere(world, store=killing(world.store, trigger, "store"), node=killing(world.node, trigger, "node"))
    world.node.flush()
    spied.back_up("monday")

    at = world.layout
    log = [(kind, str(argument)) for kind, argument in trigger.log]
    tag = "medusa-shipper-monday"
    milestones = [
        ("node.snapshot", tag),
        ("store.create", at.meta(NAME, "monday", "schema.cql")),
        ("store.list", at.condemned(NAME)),
        ("store.create", at.attempt(NAME, "monday", 1)),
        ("store.list", at.shared_data(NAME)),
        ("store.create", at.meta(NAME, "monday", "tokenmap.json")),
        ("store.create", at.meta(NAME, "monday", "server_version.json")),
        ("store.create", at.meta(NAME, "monday", "differential")),
        ("store.create", at.meta(NAME, "monday", "describe.cql")),
        ("store.create", at.announced(NAME, "monday", "started")),
        ("store.upload", at.meta(NAME, "monday", "manifest.json")),
        ("store.create", at.announced(NAME, "monday", "finished")),
        ("node.clear_snapshot", tag),
    ]
    places = [len(log) - 1 - log[::-1].index(milestone) for milestone in milestones]
    assert places == sorted(places)
    data = [place for place, (kind, key) in enumerate(log) if kind == "store.upload" and "/data/" in key]
    started, manifest = places[9], places[10]
    assert data
    assert started < min(data) <= max(data) < manifest
    writes = [kind for kind, _ in log if kind in {"store.put", "store.replace", "store.delete"}]
    assert writes == []


def test_a_second_differential_backup_sends_only_what_is_new(world: World) -> None:
    world.back_up("monday")
    before = len(world.node.contents())
    world.node.flush("shop.orders")

    report = world.back_up("tuesday")

    new = len(world.node.contents()) - before
    assert (report.totals.new_files, report.totals.files) == (new, before + new)
    world.check_backup("tuesday", world.node.contents())
    world.check_tidy()


def test_files_that_are_known_are_not_read_again(world: World) -> None:
    world.back_up("monday")
    for path in world.node.live("*Filter.db"):
        path.chmod(0)
        path.unlink()  # what cannot be read is not there for root either
        path.write_bytes(b"")
    # Only those were exchanged: everything else comes from memory.
    trigger = Trigger()
    elsewhere(world, store=killing(world.store, trigger, "store")).back_up("tuesday")
    assert trigger.counts()["store.upload"] == len(world.node.live("*Filter.db"))


def test_full_and_differential_backups_in_turn_send_no_shared_file_twice(world: World) -> None:
    world.back_up("monday", "differential")
    world.back_up("tuesday", "full")
    report = world.back_up("wednesday", "differential")
    assert report.totals.new_files == 0
    for name in ("monday", "tuesday", "wednesday"):
        world.check_backup(name, world.node.contents())


def test_what_the_node_forgot_is_compared_with_the_bucket_and_not_sent_again(world: World) -> None:
    world.back_up("monday")
    world.state.known_files.unlink()
    report = world.back_up("tuesday")
    assert report.totals.new_files == 0
    world.check_backup("tuesday", world.node.contents())


def test_it_does_not_say_that_it_uploads_what_is_there(world: World) -> None:
    world.back_up("monday")
    world.back_up("tuesday")
    assert world.listener.transfers == ["uploading what is new"] * 2


def test_an_object_that_vanished_from_the_bucket_is_sent_again(world: World) -> None:
    world.back_up("monday")
    gone = [key for key in world.listing() if "/data/" in key][::3]
    world.owner.delete(gone)
    report = world.back_up("tuesday")
    assert report.totals.new_files == len(gone)
    world.check_backup("tuesday", world.node.contents())


def test_what_is_remembered_of_one_bucket_is_not_used_for_another(tmp_path: Path) -> None:
    world = new_world(tmp_path)
    world.back_up("monday")
    other = with_bucket(world.node, tmp_path)
    other.name_of_bucket = "another"
    report = other.back_up("tuesday")
    assert report.totals.new_files == report.totals.files
    other.check_backup("tuesday", world.node.contents())


def test_a_partial_backup_is_marked_and_holds_what_was_asked_for(world: World) -> None:
    world.back_up("monday", tables=("shop.customers",))
    only = {file: body for file, body in world.node.contents().items() if file.startswith("shop/customers-")}
    world.check_backup("monday", only)
    assert world.attempt("monday").partial
    assert world.attempt("monday").tables == ("shop.customers",)
    world.check_tidy()


def test_a_table_without_rows_can_be_backed_up_alone(world: World) -> None:
    world.back_up("monday", tables=("shop.empty_shelf",))
    assert world.entries("monday") == {}
    assert len(world.sections("monday")) == 1


def test_a_snapshot_is_kept_on_demand(world: World) -> None:
    world.back_up("monday", keep=True)
    world.check_tidy("medusa-shipper_kept-monday")
    world.back_up("tuesday")
    world.check_tidy("medusa-shipper_kept-monday")


def test_a_name_with_colons_is_fine(world: World) -> None:
    world.back_up("2026-11-23T02:15")
    world.check_backup("2026-11-23T02:15", world.node.contents())
    world.check_tidy()
