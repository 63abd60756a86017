"""Restoring a node: what happens, in what order, what the operator is told, and what is left behind."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from backupstore.errors import Denied, NodeTrouble, Refused
from shipper.restore.places import WORK
from shipper.restore.port import Rows
from tests.killing import Point, Trigger, killed
from tests.recorded import NAME, host_id
from tests.shipper.restore.dying import dying
from tests.shipper.restore.world import OTHERS, World, killed_at, ring_of_three


def test_the_node_holds_what_the_backup_holds_and_nothing_else(world: World) -> None:
    report = world.restore()
    assert world.stands() == "new"
    assert (report.files, report.members) == (20, 0)
    assert not world.node.down
    assert all(not (world.base / name / f"{name}-old.db").exists() for name in OTHERS)
    assert any(folder.is_dir() for folder in world.node.folders("shop.empty_shelf"))


def test_every_table_is_looked_into_and_what_that_showed_is_told(world: World) -> None:
    assert world.restore().found == "Tables and views with rows: 1, without: 2."


def test_unless_nothing_is_to_be_checked(world: World) -> None:
    assert world.restore(verify=False).found == ""


def test_tables_that_cannot_be_read_are_told_and_take_nothing_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(_statement: str, _values: object = ()) -> Rows:
        raise NodeTrouble("A replica failed.", hint="", operation="cql")

    monkeypatch.setattr(world.service, "query", unreadable)
    found = world.restore().found
    assert world.stands() == "new"
    assert (
        "nobody knows whether they are good: shop.customers, shop.empty_shelf, shop.newer (A replica failed)" in found
    )
    assert "nobody knows whether they are good" in world.listener.told


def test_a_schema_that_cannot_be_read_is_told_and_takes_nothing_back(world: World) -> None:
    world.node.fails = {"schema"}
    assert "No table was looked into" in world.restore().found
    assert "no table was looked into" in world.listener.told
    assert world.stands() == "new"


def test_everything_is_fetched_before_the_node_is_stopped(world: World) -> None:
    trigger = Trigger()
    world.deadly(trigger).restore()
    calls = [call for call in trigger.calls if call in {"store.create", "store.fetch"} or "service.st" in call]
    assert calls == ["store.create", *["store.fetch"] * 21, "service.stop", "service.start"]


def test_the_backup_is_held_before_anything_is_decided_by_it(world: World) -> None:
    world.restore()
    (stored,) = world.owner.list(world.layout.holds("monday"))
    document = json.loads(world.owner.read(stored.key).body)
    assert (document["backup"], document["by"], document["why"]) == ("monday", NAME, "restore-node")
    assert document["expires"] > world.clock.now()


def test_a_node_that_does_not_start_gets_its_old_data_back(world: World) -> None:
    (world.base / "broken").touch()
    with pytest.raises(NodeTrouble, match="does not start") as caught:
        world.restore()
    assert world.stands() == "old"
    assert not world.node.down
    assert caught.value.hint.startswith("The old data is back in place.")


def test_a_node_that_does_not_stop_is_left_as_it_is(world: World) -> None:
    world.service.stubborn = True
    with pytest.raises(NodeTrouble, match="did not stop") as caught:
        world.restore()
    assert world.stands() == "old"
    assert not world.node.down
    assert caught.value.hint.startswith("The old data is back in place.")


def test_a_node_that_somebody_started_while_it_was_being_undone(world: World) -> None:
    """What Cassandra wrote into half a node goes out with the rest."""
    killed_at(world, Point(1, "after", "service.start"))
    trigger = Trigger(Point(1, "before", "disk.rename.", "/data1/system_schema"))
    with dying(trigger, world.base):
        assert killed(lambda: world.deadly(trigger).undo())
    assert list(world.base.glob(f"{WORK}-data1/backups/out/system"))
    (world.base / "data1" / "system").mkdir()
    (world.base / "data1" / "system" / "nb-1-big-Data.db").write_bytes(b"of a node that found nothing")
    world.undo()
    assert world.stands() == "old"


def test_a_start_in_between_is_no_reason_to_write_over_anything(world: World) -> None:
    killed_at(world, Point(2, "before", "disk.rename.incoming"))
    (world.base / "data1" / "system_schema").mkdir()
    (world.base / "data1" / "system_schema" / "nb-1-big-Data.db").write_bytes(b"of a node that found nothing")
    with pytest.raises(Refused, match="something is there"):
        world.restore()
    assert world.stands() == "old"


def test_a_node_that_fails_its_health_check_gets_its_old_data_back(world: World) -> None:
    world.service.ill = True
    with pytest.raises(NodeTrouble, match="0 rows, not 1"):
        world.restore()
    assert world.stands() == "old"
    assert not world.node.down


def test_a_password_that_was_changed_since_the_backup(world: World) -> None:
    (world.base / "other-password").touch()
    began = world.clock.running()
    with pytest.raises(Denied) as caught:
        world.restore()
    assert "roles and passwords of the backup" in caught.value.hint
    assert 30 <= world.clock.running() - began < 40  # logins may be refused for a while after a start
    assert world.stands() == "old"
    world.restore(verify=False)
    assert world.stands() == "new"
    assert "was not checked" in world.listener.told


def test_without_the_health_check_it_is_kept(world: World) -> None:
    world.service.ill = True
    world.restore(verify=False)
    assert world.stands() == "new"


def test_a_node_that_was_down_stays_down_when_the_restore_fails(world: World) -> None:
    world.site.state.write("identity", {"host_id": host_id(NAME), "node": NAME})
    world.service.stop()
    (world.base / "broken").touch()
    with pytest.raises(NodeTrouble):
        world.restore()
    assert world.stands() == "old"
    assert world.node.down


def test_a_node_that_was_down_is_up_after_the_restore(world: World) -> None:
    world.service.stop()
    world.restore()
    assert world.stands() == "new"
    assert not world.node.down
    assert "version was not compared" in world.listener.told


def test_another_host_id_than_the_backups_takes_everything_back(world: World) -> None:
    """The manifest has system tables, but no system.local: Cassandra would make up a new host id."""
    key = world.layout.meta(NAME, "monday", "manifest.json")
    sections = json.loads(world.owner.read(key).body)
    for section in sections:
        if section["columnfamily"].startswith("local"):
            section["columnfamily"] = section["columnfamily"].replace("local", "locum")
            for entry in section["objects"]:
                body = world.owner.read(entry["path"]).body
                entry["path"] = entry["path"].replace("/local-", "/locum-")
                world.owner.put(entry["path"], body)
    world.owner.put(key, json.dumps(sections).encode())
    (world.base / "expected-new.json").write_text(
        (world.base / "expected-new.json").read_text().replace("/local-", "/locum-")
    )
    with pytest.raises(NodeTrouble, match="came up with host id 0000"):
        world.restore()
    assert world.stands() == "old"


def test_tables_newer_than_the_backup_are_named_before_anything_is_touched(world: World) -> None:
    (world.base / "broken").touch()
    with pytest.raises(NodeTrouble):
        world.restore()
    assert "not in the backup" in world.listener.told
    assert "shop.newer" in world.listener.told
    assert world.listener.warnings.index(
        next(each for each in world.listener.warnings if "shop.newer" in each)
    ) < world.listener.warnings.index(next(each for each in world.listener.warnings if "putting everything" in each))


def test_peers_are_told_to_hold_their_hints_back_and_released_afterwards(world: World) -> None:
    world.peers.seen = ring_of_three(world)
    world.peers.deaf = frozenset({"10.0.1.1"})
    trigger = Trigger()
    report = world.deadly(trigger).restore(ignore_ring_changes=True)
    assert report.members == 3
    calls = [(kind, who) for kind, who in trigger.log if kind.startswith(("peers.hold", "peers.rel", "service.st"))]
    assert sorted(calls[:2]) == [("peers.hold_hints", "10.0.0.2"), ("peers.hold_hints", "10.0.1.1")]
    assert calls[2:] == [("service.stop", None), ("service.start", None), ("peers.release_hints", "10.0.0.2")]
    assert "10.0.1.1 may replay hints" in world.listener.told
    assert "nodetool disablehandoff" in world.listener.told
    assert world.stands() == "new"


def test_the_journal_is_gone_and_who_this_is_can_be_told_from_cql_again(world: World) -> None:
    world.restore()
    assert world.journal() is None
    with pytest.raises(Refused, match="no restore to undo"):
        world.undo()


def test_a_backup_is_refused_while_a_restore_has_touched_the_node(world: World) -> None:
    killed_at(world, Point(1, "after", "service.stop"))
    with pytest.raises(Refused, match="restore of this node to monday is not over"):
        world.back_up("tuesday")


def test_a_backup_may_run_while_a_restore_has_only_fetched(world: World) -> None:
    killed_at(world, Point(9, "after", "store.fetch"))
    world.back_up("tuesday")
    world.restore()
    assert world.stands() == "new"


def test_a_restore_of_another_backup_waits_for_the_open_one(world: World) -> None:
    world.back_up("tuesday")
    killed_at(world, Point(1, "after", "service.stop"))
    with pytest.raises(Refused, match=r"restore of monday .* is not over") as caught:
        world.restore("tuesday")
    assert "--undo" in caught.value.hint
    world.undo()
    assert world.stands() == "old"


def test_a_restore_that_has_only_fetched_gives_way_to_another_one(world: World) -> None:
    world.back_up("tuesday")
    world.expect("tuesday")
    killed_at(world, Point(9, "after", "store.fetch"))
    world.restore("tuesday")
    assert world.stands() == "tuesday"


def test_a_restore_that_was_committed_is_ended_before_another_one_begins(world: World) -> None:
    world.back_up("tuesday")
    world.expect("tuesday")
    killed_at(world, Point(1, "before", "disk.rmdir"))
    journal = world.journal()
    assert journal is not None
    assert journal.phase == "committed"
    with pytest.raises(Refused, match="has proved good"):
        world.undo()
    world.restore("tuesday")
    assert world.stands() == "tuesday"


def test_files_of_another_bucket_are_not_gone_on_with(world: World) -> None:
    killed_at(world, Point(12, "after", "store.fetch"))
    other = replace(world, bucket="another")
    trigger = Trigger()
    other.deadly(trigger).restore()
    assert trigger.counts()["store.fetch"] == 21
    assert other.stands() == "new"


def test_what_was_fetched_by_this_boot_is_not_fetched_again(world: World) -> None:
    killed_at(world, Point(12, "after", "store.fetch"))
    trigger = Trigger()
    world.deadly(trigger).restore()
    assert trigger.counts()["store.fetch"] == 21 - 10  # the manifest and eleven files came, and ten got their name
    assert world.stands() == "new"


def test_two_restores_at_once(world: World) -> None:
    with world.state.locked("restore-node sunday"), pytest.raises(Refused, match="busy: restore-node sunday"):
        world.restore()
    with world.state.locked("restore-node sunday"), pytest.raises(Refused, match="busy"):
        world.undo()


def test_a_journal_that_cannot_be_read_stops_everything(world: World) -> None:
    killed_at(world, Point(1, "after", "service.stop"))
    world.state.journal.write_text("{}")
    for verb in (world.restore, world.undo, lambda: world.back_up("tuesday")):
        with pytest.raises(Exception, match=r"journal .* cannot be read") as caught:
            verb()
        assert "Do not start Cassandra" in getattr(caught.value, "hint", "")


def test_without_its_journal_an_open_restore_is_not_covered_by_another_one(world: World) -> None:
    killed_at(world, Point(1, "after", "service.start"))
    world.state.journal.unlink()
    with pytest.raises(Refused, match="data of an earlier restore, and its journal is gone"):
        world.restore()
    assert (world.base / ".medusa-shipper-restore-data1/backups/aside/shop").is_dir()


def test_the_list_of_files_lies_where_it_was_told_to(world: World, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    trigger = Trigger()
    with dying(trigger, elsewhere):
        world.restore(temp_dir=elsewhere)
    assert "medusa-shipper-fetch.sqlite" in str(trigger.log)
    assert not list(elsewhere.iterdir())
    with pytest.raises(Denied, match="cannot be written"):
        world.restore(temp_dir=tmp_path / "nowhere")
