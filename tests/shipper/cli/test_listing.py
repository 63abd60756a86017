"""What the reading commands print: text as in stock Medusa's manual, JSON with the fields of stock 0.31."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from backupstore.core.layout import Layout
from tests.shipper.cli.handmade import Made
from tests.shipper.cli.program import Program

RING = {"n1": "dc1", "n2": "dc1"}
TWO_DCS = {"n1": "dc1", "m1": "dc2", "m2": "dc2"}
TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
FIELDS = [
    "backup_type",
    "completed_nodes",
    "corrupt",
    "finished",
    "incomplete_nodes",
    "incomplete_nodes_list",
    "missing_nodes",
    "missing_nodes_list",
    "name",
    "nodes",
    "num_objects",
    "size",
    "started",
    "state",
    "verified",
]
OF_A_NODE = ["finished", "fqdn", "num_objects", "release_version", "server_type", "size", "started"]


def started_at(program: Program, at: int, backup: str, node: str = "n1", prefix: str = "") -> None:
    """Let a node backup begin then, and end a minute later."""
    folder = program.bucket / Layout(prefix).meta_folder(node, backup)
    os.utime(folder / "schema.cql", (at, at))
    if (folder / "manifest.json").exists():
        os.utime(folder / "manifest.json", (at + 60, at + 60))


@pytest.fixture
def indexed(program: Program) -> Program:
    """Two nodes: one whole backup, one that a node has not begun, one that it has not finished."""
    maker = program.maker()
    for node in RING:
        maker.ship("b1", Made(node, ring=RING))
    maker.ship("b2", Made("n1", ring=RING))
    maker.ship("b3", Made("n1", ring=RING))
    maker.ship("b3", Made("n2", ring=RING, end="data"))
    for number, backup in enumerate(("b1", "b2", "b3")):
        for node in RING:
            if (program.bucket / node / backup).exists():
                started_at(program, 1_700_000_000 + number * 86_400, backup, node)
    assert program.run("build-index").code == 0
    return program


def test_the_list(indexed: Program) -> None:
    zoned = Program(indexed.directory, environment={"TZ": "Europe/Berlin"})
    done = zoned.run("list-backups")
    assert done.err == ""
    assert done.out == (
        "b1 (started: 2023-11-14 23:13:20, finished: 2023-11-14 23:14:20)\n"
        "b2 (started: 2023-11-15 23:13:20, finished: Incomplete [1 of 2 nodes])\n"
        "b3 (started: 2023-11-16 23:13:20, finished: Incomplete [1 of 2 nodes])\n"
        "\n"
        'Incomplete backups found. "medusa-shipper status --backup-name <name>" tells which nodes are waited for\n'
    )


def test_the_list_is_of_this_node_unless_all_are_asked_for(indexed: Program) -> None:
    def names(*arguments: str) -> list[str]:
        return re.findall(rf"^(\S+) \(started: {TIME}", indexed.run(*arguments).out, re.MULTILINE)

    assert names("--fqdn", "n2", "list-backups") == ["b1", "b3"]
    assert names("--fqdn", "n2", "list-backups", "--show-all") == ["b1", "b2", "b3"]
    assert names("--fqdn", "n9", "list-backups") == []
    assert "--show-all lists the 3 of other nodes" in indexed.run("--fqdn", "n9", "list-backups").err


def test_the_status_of_a_whole_backup(indexed: Program) -> None:
    done = Program(indexed.directory, environment={"TZ": "UTC"}).run("status", "--backup-name", "b1")
    assert done.out == (
        "b1\n"
        "- Started: 2023-11-14 22:13:20, Finished: 2023-11-14 22:14:20\n"
        "- 2 nodes completed, 0 nodes incomplete, 0 nodes missing\n"
        "- 4 files, 20.00 B\n"
        "- Not verified yet\n"
    )


def test_the_status_of_one_that_is_waited_for(indexed: Program) -> None:
    missing = indexed.run("status", "--backup-name", "b2").out
    assert missing.startswith("b2 [Incomplete!]\n")
    assert "Finished: never\n- 1 nodes completed, 0 nodes incomplete, 1 nodes missing\n" in missing
    assert "- Missing nodes:\n    n2\n" in missing
    incomplete = indexed.run("status", "--backup-name", "b3").out
    assert "- 1 nodes completed, 1 nodes incomplete, 0 nodes missing\n- Incomplete nodes:\n    n2\n" in incomplete


def test_the_json_of_a_backup(indexed: Program) -> None:
    found = indexed.run("status", "--backup-name", "b3", "--output", "json").json
    assert list(found) == FIELDS, "sorted, as stock prints them"
    assert list(found["nodes"][0]) == OF_A_NODE
    assert found["nodes"] == [
        {
            "fqdn": "n1",
            "started": 1_700_172_800,
            "finished": 1_700_172_860,
            "num_objects": 2,
            "size": 10,
            "server_type": "cassandra",
            "release_version": "5.0.6",
        }
    ]
    assert found["incomplete_nodes_list"][0]["finished"] is None
    assert (found["state"], found["finished"], found["started"]) == ("incomplete", None, 1_700_172_800)
    listed = indexed.run("list-backups", "--output", "json").json
    assert [one["name"] for one in listed] == ["b1", "b2", "b3"]
    assert listed[2] == found
    assert listed[1]["missing_nodes_list"] == ["n2"]


def test_no_such_backup_in_json(program: Program) -> None:
    done = program.run("status", "--backup-name", "b1", "-o", "json")
    assert (done.code, done.json) == (1, {})


def test_the_last_complete_one(indexed: Program) -> None:
    assert indexed.run("get-last-complete-cluster-backup").out == "b1\n"


def test_there_is_no_complete_one(program: Program) -> None:
    done = program.run("get-last-complete-cluster-backup")
    assert (done.code, done.out) == (0, "Could not find any full backup for the cluster\n")


def test_the_tokenmap(indexed: Program) -> None:
    assert indexed.run("fetch-tokenmap", "--backup-name", "b1").out == "n1\n[0, 100]\nn2\n[1, 101]\n"


def test_the_tokenmap_of_what_stock_wrote(program: Program) -> None:
    program.maker().ship("b1", Made(ring=RING, by_stock=True))
    done = program.run("fetch-tokenmap", "--backup-name", "b1")
    assert (done.code, done.out) == (0, "n1\n[0, 100]\nn2\n[1, 101]\n")


def test_a_tokenmap_that_cannot_be_read(program: Program) -> None:
    program.maker().ship("b1")
    (program.bucket / "n1/b1/meta/tokenmap.json").write_bytes(b"{")
    done = program.run("fetch-tokenmap", "--backup-name", "b1")
    assert done.code == 1
    assert "has a tokenmap that can be read" in done.err


def test_several_datacenters(program: Program) -> None:
    maker = program.maker()
    by_dc = {"n1": {"n1": "dc1"}, "m1": {"m1": "dc2", "m2": "dc2"}}
    for node, ring in by_dc.items():
        maker.ship("b1", Made(node, ring=ring))
    done = program.run("status", "--backup-name", "b1")
    assert "- 2 nodes completed, 0 nodes incomplete, 1 nodes missing\n- Missing nodes:\n    m2\n" in done.out
    assert program.run("fetch-tokenmap", "--backup-name", "b1").out.split("\n")[::2][:3] == ["n1", "m1", "m2"]


def test_marks_of_what_is_no_good_backup(program: Program) -> None:
    maker = program.maker()
    maker.ship("partial", Made(tables=("shop.orders",)))
    maker.ship("corrupt", Made(corrupt=frozenset({"nb-1-big-Data.db"})))
    maker.ship("left", Made(end="data", abandoned=True))
    done = program.run("list-backups")
    assert "partial" in done.out
    assert re.search(rf"^partial \(started: {TIME}, finished: {TIME}\) \[Partial\]$", done.out, re.MULTILINE)
    assert re.search(r"^corrupt \(.*\) \[Corrupt: 1 components\]$", done.out, re.MULTILINE)
    assert "left" not in done.out
    assert "n1 has 1 corrupt components" in program.run("status", "--backup-name", "corrupt").out
    assert program.run("get-last-complete-cluster-backup").out.startswith("Could not find")
    given_up = program.run("status", "--backup-name", "left")
    assert given_up.code == 1
    assert "it was given up by n1" in given_up.err


def test_what_was_verified_is_shown_with_when_and_how_closely(indexed: Program) -> None:
    indexed.run("verify", "--backup-name", "b1")
    indexed.run("verify", "--backup-name", "b1", "--level", "content")
    for number, level in enumerate(("content", "listing")):
        path = indexed.bucket / Layout().finding("b1", level)
        found = json.loads(path.read_bytes())
        path.write_text(json.dumps({**found, "ok": level == "content", "at": 1_700_300_000 + number * 60}))
    indexed.run("build-index")
    utc = Program(indexed.directory, environment={"TZ": "UTC"})
    first, *_, last = utc.run("list-backups").out.splitlines()
    assert first.endswith("[Found bad: listing, 2023-11-18 09:34:20]")
    assert last == 'Bad backups found. "medusa-shipper verify --backup-name <name>" tells what is wrong with them'
    assert utc.run("status", "--backup-name", "b1").out.splitlines()[-2:] == [
        "- Found bad: listing, 2023-11-18 09:34:20",
        "- Verified: content, 2023-11-18 09:33:20",
    ]
    assert utc.run("status", "--backup-name", "b1", "-o", "json").json["verified"] == [
        {"level": "listing", "at": 1_700_300_060, "ok": False},
        {"level": "content", "at": 1_700_300_000, "ok": True},
    ]
    assert [one["verified"] for one in utc.run("list-backups", "-o", "json").json][1:] == [[], []]
    assert "Verified" not in utc.run("status", "--backup-name", "b2").out
    assert "Not verified" not in utc.run("status", "--backup-name", "b2").out


def test_each_cluster_of_a_bucket_has_its_own_list(program: Program) -> None:
    program.maker("east").ship("e1")
    program.maker("west").ship("w1")
    assert program.run("--prefix", "east", "list-backups").out.startswith("e1 ")
    assert program.run("--prefix", "west", "get-last-complete-cluster-backup").out == "w1\n"
    assert program.run("--prefix", "west", "status", "--backup-name", "e1").code == 1


def test_names_need_not_be_ascii(tmp_path: Path) -> None:
    program = Program(tmp_path, environment={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"})
    program.bucket.mkdir()
    program.maker().ship("große")
    assert program.run("list-backups").code == 0
    assert program.run("list-backups", "-o", "json").code == 0
