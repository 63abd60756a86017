"""purge, delete-backup, purge-decommissioned, hold and release as an operator types them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from backupstore.core.layout import Layout
from backupstore.operations.doomed import read_record
from tests.shipper.cli.handmade import Made
from tests.shipper.cli.program import Program, tree

DAY = 86_400.0
RING = {"n1": "dc1", "n2": "dc1"}


def ship(program: Program, name: str, days: float, *, made: Made | None = None, nodes: Iterable[str] = RING) -> None:
    """A backup that all nodes began so many days ago; the files of the bucket are made to look so old."""
    before = {path for path in program.bucket.rglob("*") if path.is_file()}
    for node in nodes:
        given = made or Made(ring=RING)
        program.maker().ship(name, Made(node, given.mode, given.ring, given.files, end=given.end))
    for path in set(program.bucket.rglob("*")) - before:
        if path.is_file():
            os.utime(path, (time.time() - days * DAY,) * 2)


def daily(program: Program, *days: int) -> None:
    for day in sorted(days, reverse=True):
        files = {"nb-1-big-Data.db": b"shared", f"nb-{day}9-big-Data.db": f"of day {day:02}".encode()}
        ship(program, f"d{day}", day, made=Made(ring=RING, files=files))
    assert program.run("build-index").code == 0


def listed(program: Program) -> list[str]:
    return [one["name"] for one in program.run("list-backups", "--show-all", "--output", "json").json]


@pytest.fixture
def two(tmp_path: Path) -> Program:
    """Four backups, of which two are kept."""
    program = Program(tmp_path, storage=("max_backup_count = 2",))
    program.bucket.mkdir()
    daily(program, 0, 1, 20, 30)
    return program


def test_the_plan_is_a_table_with_a_reason_for_each_backup_and_nothing_is_written(two: Program) -> None:
    before = tree(two.bucket)
    done = two.run("purge", "--dry-run")
    assert (done.code, tree(two.bucket)) == (0, before)
    head, *rows = done.out.splitlines()
    assert head.split() == ["Name", "Started", "State", "Verdict", "Reason"]
    columns = [row.split()[0::1] for row in rows[:4]]
    assert [(row[0], row[3], row[4]) for row in columns] == [
        ("d30", "complete", "delete"),
        ("d20", "complete", "delete"),
        ("d1", "complete", "keep"),
        ("d0", "complete", "keep"),
    ]
    assert "more than the 2 newest complete backups (max_backup_count)" in rows[0]
    assert "the newest complete backup, which never goes" in rows[3]
    assert "2 of 4 cluster backups go, 2 stay; 2 of 4 complete ones go." in done.out


def test_purge_deletes_what_the_plan_says_and_says_what_became_free(two: Program) -> None:
    done = two.run("purge")
    assert done.code == 0, done.err
    assert "objects deleted" in done.out
    assert listed(two) == ["d1", "d0"]
    assert [path.name for path in sorted((two.bucket / "n2").glob("d*"))] == ["d0", "d1", "data"]
    files = sorted(path.name for path in (two.bucket / "n2" / "data").rglob("*.db"))
    assert files == ["nb-09-big-Data.db", "nb-1-big-Data.db", "nb-19-big-Data.db"]
    assert "0 objects deleted" in two.run("purge").out


def test_what_purge_did_is_on_record(two: Program) -> None:
    two.run("purge")
    (record,) = (two.bucket / "index" / "purges").iterdir()
    found = read_record(two.store, Layout(), record.stem)
    assert found is not None
    assert found.deletes == {"d20", "d30"}
    assert found.finished is not None
    assert [(result.node, result.done) for result in found.results] == [("n1", True), ("n2", True)]


def test_a_plan_that_deletes_most_of_all_needs_force(program: Program) -> None:
    daily(program, 0, 1, 2, 3)
    given = Program(program.directory, storage=("max_backup_count = 1",))
    before = tree(program.bucket / "n1")
    done = given.run("purge")
    assert (done.code, tree(program.bucket / "n1")) == (1, before)
    (braked,) = (program.bucket / "index" / "purges").iterdir()
    record = read_record(program.store, Layout(), braked.stem)
    assert record is not None
    assert record.braked
    assert record.finished is not None, "nobody waits for it"
    assert "3 of 4 complete backups" in done.err
    assert "--dry-run" in done.err
    assert "would need --force" in given.run("purge", "--dry-run").out
    assert given.run("purge", "--force").code == 0
    assert listed(program) == ["d0"]


def test_monitoring_is_told_whether_it_went_well(program: Program) -> None:
    daily(program, 0, 1, 2, 3)
    sending = Program(
        program.directory, storage=("max_backup_count = 1",), cassandra=("[monitoring]", "monitoring_provider = local")
    )
    told = '"tags": ["medusa-node-backup", "purge-error", ""], "value": '
    assert f"{told}1" in sending.run("purge").err, "it is braked"
    assert f"{told}0" in sending.run("purge", "--force").err


def test_without_a_catalog_the_way_to_one_is_named(program: Program) -> None:
    ship(program, "b", 1)
    done = program.run("purge")
    assert done.code == 1
    assert "build-index" in done.err


def test_files_that_no_backup_names_are_swept_after_the_grace(program: Program) -> None:
    daily(program, 0)
    folder = next((program.bucket / "n1" / "data").glob("*/*"))
    for name, days in (("nb-7-big-Data.db", 11), ("nb-8-big-Data.db", 9)):
        (folder / name).write_bytes(b"orphan")
        os.utime(folder / name, (time.time() - days * DAY,) * 2)
    assert program.run("purge").code == 0
    assert not (folder / "nb-7-big-Data.db").exists()
    assert (folder / "nb-8-big-Data.db").exists()
    assert program.run("--backup-grace-period-in-days", "8", "purge").code == 0
    assert not (folder / "nb-8-big-Data.db").exists()


def test_a_held_backup_stays_until_it_is_released(two: Program) -> None:
    done = two.run("hold", "--backup-name", "d30", "--why", "audit of 2026", "--for", "30d")
    assert done.code == 0, done.err
    assert "audit of 2026" in done.out
    assert "audit of 2026" in two.run("purge", "--dry-run").out
    assert two.run("purge").code == 0
    assert listed(two) == ["d30", "d1", "d0"]
    refused = two.run("delete-backup", "--backup-name", "d30")
    assert refused.code == 1
    assert "audit of 2026" in refused.err
    assert two.run("release", "--backup-name", "d30").code == 0
    assert two.run("purge").code == 0
    assert listed(two) == ["d1", "d0"]


def test_of_several_holds_one_has_to_be_named(two: Program) -> None:
    for why in ("first", "second"):
        two.run("hold", "--backup-name", "d30", "--why", why)
    done = two.run("release", "--backup-name", "d30")
    assert done.code == 1
    assert "--id" in done.err
    ids = {line.split("(hold ")[1].rstrip(")") for line in done.out.splitlines()}
    one = min(ids)
    assert two.run("release", "--backup-name", "d30", "--id", one).code == 0
    assert [path.stem for path in (two.bucket / "index" / "holds" / "d30").iterdir()] == [max(ids)]
    assert two.run("release", "--backup-name", "d30", "--id", one).code == 1
    assert two.run("release", "--backup-name", "d30", "--all").code == 0
    assert two.run("release", "--backup-name", "d30").code == 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--backup-name", "d3"), 1, "no backup d3"),
        (("--backup-name", "../d30"), 1, "no backup"),
        (("--backup-name", "d30", "--for", "soon"), 2, "30d"),
        (("--backup-name", "d30", "--until", "tomorrow"), 2, "2026-12-31"),
        (("--backup-name", "d30", "--until", "2001-01-01"), 1, "before it began"),
        (("--backup-name", "d30", "--until", "2100-01-01", "--for", "1d"), 2, "one of"),
    ],
)
def test_a_hold_that_would_protect_nothing_is_refused(
    two: Program, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = two.run("hold", "--why", "x", *arguments)
    assert done.code == code, done.err
    assert said in done.err
    assert not (two.bucket / "index" / "holds").exists()


def test_one_backup_is_deleted_by_its_name_and_the_newest_only_with_force(two: Program) -> None:
    assert two.run("delete-backup", "--backup-name", "d20", "--dry-run").code == 0
    assert two.run("delete-backup", "--backup-name", "d20").code == 0
    assert listed(two) == ["d30", "d1", "d0"]
    done = two.run("delete-backup", "--backup-name", "d0")
    assert done.code == 1
    assert "d0 is among the newest complete backups" in done.err
    assert two.run("delete-backup", "--backup-name", "d0", "--force").code == 0
    assert listed(two) == ["d30", "d1"]
    assert two.run("delete-backup", "--backup-name", "d0").code == 1


def test_nodes_that_left_are_listed_and_purged_when_that_is_confirmed(two: Program) -> None:
    for name in ("new1", "new2"):
        ship(two, name, 0, made=Made(ring={"n1": "dc1"}), nodes=["n1"])
    two.run("build-index")
    given = Program(two.directory, storage=("max_backup_count = 3",), shipper=("purge_max_share = 1",))
    assert "--accept-ring" in given.run("purge", "--dry-run").out
    done = given.run("purge-decommissioned")
    assert done.code == 0, done.err
    assert "n2 (host id host-n2) is no longer in the ring" in done.out
    assert "--confirm" in done.out
    assert (two.bucket / "n2" / "d30").exists()
    done = given.run("purge-decommissioned", "--confirm")
    assert done.code == 0, done.err
    assert not (two.bucket / "n2" / "d30" / "meta").exists()
    assert (two.bucket / "n2" / "d0" / "meta").exists(), "it is one of the three newest complete backups"
    assert given.run("purge").code == 0
    assert listed(two) == ["d0", "new1", "new2"]


def test_a_ring_that_is_smaller_on_purpose_is_accepted_once(two: Program) -> None:
    for name in ("small", "small2"):
        ship(two, name, 0, made=Made(ring={"n1": "dc1"}), nodes=["n1"])
    two.run("build-index")
    assert two.run("purge", "--accept-ring", "none").code == 1
    before = tree(two.bucket)
    assert two.run("purge", "--accept-ring", "small", "--dry-run").code == 0
    assert tree(two.bucket) == before
    done = two.run("purge", "--accept-ring", "small", "--force")
    assert done.code == 0, done.err
    assert [path.stem for path in (two.bucket / "index" / "accepted_rings").iterdir()] == ["small"]
    assert listed(two) == ["small", "small2"]
