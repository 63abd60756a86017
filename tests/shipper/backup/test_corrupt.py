"""A bad disk is found when the backup is made, said in the manifest and announced, and not forgotten afterwards."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from backupstore.core.documents import Mode
from shipper.backup import Limits
from tests.killing import Point
from tests.shipper.backup.world import DAY, World


def marked(world: World, name: str = "monday") -> set[str]:
    return {file.rsplit("/", 1)[1] for file, entry in world.entries(name).items() if entry.corrupt is not None}


@pytest.mark.parametrize("mode", ["full", "differential"])
@pytest.mark.parametrize("table", ["shop.orders", "shop.readings", "system.local"])
def test_one_byte_on_disk_is_found_and_said_everywhere(world: World, mode: Mode, table: str) -> None:
    bad = world.node.corrupt(table, "Data.db")
    report = world.back_up("monday", mode)

    assert not report.is_good
    (finding,) = report.findings
    assert finding.is_corrupt
    assert finding.path.endswith(bad.name)
    assert "CRC" in finding.why
    assert marked(world) == {bad.name}
    assert world.announced("monday") == {"started", "finished", "corrupt"}
    document = json.loads(world.body(world.layout.announced(world.site.name, "monday", "corrupt")))
    assert document["files"] == [{"path": finding.key, "why": finding.why}]
    world.check_backup("monday", world.node.contents())
    world.check_tidy()


def test_a_later_backup_that_does_not_read_it_says_so_too(world: World) -> None:
    bad = world.node.corrupt("shop.orders", "Data.db")
    world.back_up("monday")
    report = world.back_up("tuesday")
    assert report.totals.new_files == 0
    assert not report.is_good
    assert marked(world, "tuesday") == {bad.name}
    assert "corrupt" in world.announced("tuesday")


@pytest.mark.parametrize("mode", ["full", "differential"])
@pytest.mark.parametrize("at", [Point(83, "after", "store.upload"), Point(84, "before", "store.upload")])
def test_what_was_read_before_a_kill_is_checked_after_it(world: World, mode: Mode, at: Point) -> None:
    bad = world.node.corrupt("shop.orders", "Data.db")
    world.clock.step = 2.0
    world.die(at, "monday", mode)
    report = world.back_up("monday", mode)
    assert not report.is_good
    assert marked(world) == {bad.name}


def test_a_run_that_only_ends_a_backup_tells_that_it_is_bad(world: World) -> None:
    bad = world.node.corrupt("shop.orders", "Data.db")
    world.die(Point(84, "after", "store.upload"))
    report = world.back_up("monday")
    assert not report.is_good
    assert [finding.path.rsplit("/", 1)[1] for finding in report.findings] == [bad.name]
    assert report.totals.corrupt == 1


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize(
    ("component", "is_bad"), [("Index.db", True), ("Statistics.db", True), ("Digest.crc32", True), ("Filter.db", False)]
)
def test_a_component_that_is_missing_is_found_even_where_nothing_is_read(
    world: World, component: str, *, is_bad: bool, known: bool
) -> None:
    if known:
        assert world.back_up("sunday").is_good
    path = next(each for each in world.node.live(f"*-{component}") if "readings" in str(each))
    path.unlink()
    report = world.back_up("monday")
    assert report.is_good is not is_bad
    assert [finding.is_corrupt for finding in report.findings].count(True) == int(is_bad)
    assert all(component in finding.why for finding in report.findings)
    assert world.back_up("tuesday").is_good is not is_bad


def test_when_data_db_itself_is_gone_the_sstable_is_bad(world: World) -> None:
    world.back_up("sunday")
    next(each for each in world.node.live("*-Data.db") if "readings" in str(each)).unlink()
    assert not world.back_up("monday").is_good
    assert not world.back_up("tuesday").is_good


def test_a_stranger_among_the_files_is_shipped_and_told(world: World) -> None:
    folder = world.node.folders("shop.readings")[0]
    (folder / "notes.txt").write_text("by hand")
    report = world.back_up()
    assert report.is_good
    assert [finding.why for finding in report.findings] == ["this is no file of an SSTable"]
    world.check_backup("monday", world.node.contents())


def test_a_repaired_disk_is_good_again(world: World) -> None:
    world.node.corrupt("shop.orders", "Data.db")
    world.back_up("monday")
    world.node.compact("shop.orders")
    report = world.back_up("tuesday")
    assert report.is_good
    assert marked(world, "tuesday") == set()


# --- files known for long are read again, in rotation ---


def test_every_file_is_read_again_within_its_days(world: World) -> None:
    world.limits = Limits(workers=2, reread_days=5)
    world.back_up("first")
    read_at = _read_at(world)
    for day in range(12):
        world.clock.advance(DAY)
        assert world.back_up(f"day-{day:02}").totals.new_files == 0
    assert min(_read_at(world)) > max(read_at)


def _read_at(world: World) -> list[float]:
    with closing(sqlite3.connect(world.state.known_files)) as database:
        return [row[0] for row in database.execute("SELECT read_at FROM known")]


def test_rot_is_found_by_reading_again_and_the_bucket_keeps_the_good_content(world: World) -> None:
    good = world.node.contents()
    world.limits = Limits(workers=2, reread_days=1)
    world.back_up("monday")
    path = world.node.corrupt("shop.orders", "Data.db")
    world.clock.advance(2 * DAY)
    report = world.back_up("tuesday")

    assert [Path(each).name for each in report.rotten] == [path.name]
    assert report.is_good
    world.check_backup("tuesday", good)
    world.clock.advance(2 * DAY)
    assert len(world.back_up("wednesday").rotten) == 1, "it is told again until somebody acts"
