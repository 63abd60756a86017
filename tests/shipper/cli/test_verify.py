"""``verify`` as an operator runs it: stock's text, what stock does not say, and what is put down in the bucket."""

from __future__ import annotations

import json
import re

import pytest

from backupstore.core.layout import Layout
from backupstore.operations.findings import read_verified
from tests.operations.ring import LocalRing
from tests.shipper.cli.program import Program, tree

GOOD = ["Validating b ...", "- Completion: OK!", "- Manifest validated: OK!!"]


@pytest.fixture
def ring(program: Program) -> LocalRing:
    made = LocalRing(program.bucket)
    made.back_up("b")
    return made


@pytest.mark.usefixtures("ring")
def test_a_good_backup_in_stocks_words(program: Program) -> None:
    done = program.run("verify", "--backup-name", "b")
    assert (done.code, done.out.splitlines()) == (0, GOOD)
    assert "of 72 of 72 objects only the size was compared" in done.err


@pytest.mark.usefixtures("ring")
def test_each_level_has_its_line(program: Program) -> None:
    done = program.run("verify", "--backup-name", "b", "--level", "structure")
    assert (done.code, done.out.splitlines()) == (0, [*GOOD, "- Structure validated: OK!!"])
    done = program.run("verify", "--backup-name", "b", "--level", "content")
    *before, last = done.out.splitlines()
    assert (done.code, before) == (0, [*GOOD, "- Structure validated: OK!!"])
    assert re.fullmatch(r"- Content validated: OK!! .* read", last)
    assert "only the size" not in done.err


@pytest.mark.usefixtures("ring")
def test_a_part_of_the_data(program: Program) -> None:
    sizes = []
    for part in ("1/3", "2/3", "3/3"):
        done = program.run(
            "verify", "--backup-name", "b", "--level", "content", "--read-data-subset", part, "--output", "json"
        )
        assert done.code == 0
        assert done.json["subset"] == part
        sizes.append(done.json["read"])
    assert sum(sizes) == done.json["size"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--read-data-subset", "5%"),
        ("--level", "content", "--read-data-subset", "lots"),
        ("--level", "deep"),
    ],
)
def test_mistakes_in_options_are_told_at_once(program: Program, arguments: tuple[str, ...]) -> None:
    done = program.run("verify", "--backup-name", "b", *arguments)
    assert (done.code, done.out) == (2, "")


@pytest.mark.usefixtures("ring")
def test_no_such_backup(program: Program) -> None:
    done = program.run("verify", "--backup-name", "c")
    assert (done.code, done.out) == (1, "")
    assert "There is no backup c." in done.err
    assert program.run("verify", "--backup-name", "c", "--output", "json").json == {}


def test_what_is_bad_in_stocks_words(program: Program) -> None:
    ring = LocalRing(program.bucket)
    ring.back_up("b", "full")
    gone, longer = ring.key("n1", "nb-1-big-Data.db", "b"), ring.key("n2", "nb-1-big-Data.db", "b")
    extra = ring.key("n3", "nb-9-big-Data.db", "b")
    ring.store.delete([gone])
    ring.store.put(longer, b"x")
    ring.store.create(extra, b"x")
    done = program.run("verify", "--backup-name", "b")
    assert done.code == 1
    assert done.out.splitlines() == [
        *GOOD[:2],
        "- Manifest validation: Failed!",
        f"  - [{gone}] Doesn't exists",
        f"  - [{longer}] Blob different",
        f"  - [{extra}] exists in storage, but not in manifest",
    ]
    assert "b is not good: 1 missing, 1 different, 1 extra." in done.err
    assert "has 1 bytes, the manifest says" in done.err


def test_an_incomplete_one_as_in_the_manual(program: Program) -> None:
    ring = LocalRing(program.bucket)
    ring.back_up("b", nodes=("n1",))
    ring.begin("n2", "b")
    done = program.run("verify", "--backup-name", "b")
    assert done.code == 1
    shown = re.sub(r"started at [0-9]+,", "started at SECONDS,", done.out).splitlines()
    assert shown == [
        GOOD[0],
        "- Completion: Not complete!",
        "  - [n2] Backup started at SECONDS, but not finished yet",
        "  - [n3] Backup missing",
        GOOD[2],
    ]


def test_what_the_ring_lacks(program: Program) -> None:
    ring = LocalRing(program.bucket, factor=1)
    ring.back_up("b", nodes=("n1", "n2"))
    done = program.run("verify", "--backup-name", "b", "--level", "structure")
    assert done.out.splitlines()[-2:] == [
        "- Structure validation: Failed!",
        "  - keyspace shop: 2 of 6 token ranges are in no node backup; they were held by n3",
    ]


def test_bytes_that_rotted(program: Program, ring: LocalRing) -> None:
    path = program.bucket / ring.key("n1", "nb-1-big-Index.db")
    path.write_bytes(bytes(path.stat().st_size))
    done = program.run("verify", "--backup-name", "b", "--level", "content")
    assert done.code == 1
    assert done.out.splitlines()[-2] == "- Content validation: Failed!"
    assert "its content is not what was backed up (sha256)" in done.out.splitlines()[-1]


def test_what_was_found_is_put_down_and_shown_by_the_catalog(program: Program, ring: LocalRing) -> None:
    program.run("verify", "--backup-name", "b")
    program.run("verify", "--backup-name", "b", "--level", "structure")
    assert [(each.level, each.ok) for each in read_verified(ring.store, Layout(), "b")] == [
        ("listing", True),
        ("structure", True),
    ]
    assert program.run("build-index").code == 0
    head = json.loads((program.bucket / "index/catalog/head.json").read_bytes())
    assert head["backups"][0]["verified"]["level"] == "structure"
    assert head["backups"][0]["verified"]["ok"] is True
    ring.store.delete([ring.key("n1", "nb-1-big-Data.db")])
    assert program.run("verify", "--backup-name", "b").code == 1
    program.run("build-index")
    head = json.loads((program.bucket / "index/catalog/head.json").read_bytes())
    assert head["backups"][0]["verified"]["ok"] is False


@pytest.mark.usefixtures("ring")
def test_no_record_writes_nothing(program: Program) -> None:
    before = tree(program.bucket)
    for level in ("listing", "structure", "content"):
        assert program.run("verify", "--backup-name", "b", "--level", level, "--no-record").code == 0
    assert tree(program.bucket) == before


@pytest.mark.usefixtures("ring")
def test_where_it_may_not_write_it_says_so(program: Program) -> None:
    (program.bucket / "index").mkdir(exist_ok=True)
    (program.bucket / "index/findings").write_bytes(b"in the way of every folder of this name")
    done = program.run("verify", "--backup-name", "b")
    assert (done.code, done.out.splitlines()) == (0, GOOD)
    assert "what was found was not put down in the bucket" in done.err


def test_as_json(program: Program, ring: LocalRing) -> None:
    ring.store.delete([ring.key("n1", "nb-1-big-Data.db")])
    found = program.run("verify", "--backup-name", "b", "--output", "json").json
    assert found.pop("at") > 0
    assert found.pop("size") > 0
    assert found == {
        "backup": "b",
        "level": "listing",
        "ok": False,
        "nodes": 3,
        "objects": 72,
        "read": 0,
        "by_size": 71,
        "subset": None,
        "counts": {"missing": 1},
        "findings": [
            {
                "kind": "missing",
                "why": "is not there",
                "node": "n1",
                "path": "n1/data/shop/orders-5a1c395e5a1c395e5a1c395e5a1c395e/nb-1-big-Data.db",
            }
        ],
    }


def test_a_bucket_that_is_not_there_is_no_empty_one(program: Program) -> None:
    program.bucket.rmdir()
    done = program.run("verify", "--backup-name", "b")
    assert done.code == 1
    assert "There is no backup" not in done.err
