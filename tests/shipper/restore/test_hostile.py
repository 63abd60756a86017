"""What a bucket may hold to harm a node: nothing of it is ever placed, and the node is as it was."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from backupstore.errors import Corrupt, NoSpace, Refused
from tests.recorded import NAME
from tests.shipper.restore.manifests import a_file, manifest_of, put_manifest, untouched
from tests.shipper.restore.world import World

UP = "../" * 12


@pytest.mark.parametrize(
    "path",
    [
        f"{NAME}/data/shop/customers-0/{UP}etc/cron.d/x",
        f"{NAME}/data/{UP}etc/x/y",
        "/etc/passwd",
        f"/{NAME}/data/shop/customers/nb-1-big-Data.db",
        f"{NAME}/data/shop/customers-0123456789abcdef0123456789abcdef/nb-1-big-Data.db\0.txt",
        f"{NAME}/data/shop/customers-0123456789abcdef0123456789abcdef/..",
        f"{NAME}/data/shop/customers-0123456789abcdef0123456789abcdef/snapshots/now/nb-1-big-Data.db",
        "10.0.0.2/data/shop/customers-0123456789abcdef0123456789abcdef/nb-1-big-Data.db",
        f"{NAME}/sunday/data/shop/customers-0123456789abcdef0123456789abcdef/nb-1-big-Data.db",
        f"{NAME}/monday/meta/manifest.json",
        "",
        f"{NAME}/data/shop/customers-0123456789abcdef0123456789abcdef/nb-1-big-Data.db\ud800",
    ],
    ids=range(12),
)
def test_a_path_that_is_no_data_of_this_backup(world: World, path: str) -> None:
    sections = manifest_of(world)
    a_file(sections)["path"] = path
    put_manifest(world, sections)
    with pytest.raises(Corrupt):
        world.restore()
    untouched(world)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("path", 7),
        ("path", None),
        ("path", ["a"]),
        ("size", -1),
        ("size", 1 << 70),
        ("size", (1 << 63) - 1),
        ("size", "12"),
        ("size", True),
        ("size", 1.5),
        ("MD5", 5),
        ("sha256", "A" * 64),
        ("sha256", "ab"),
        ("disk", -1),
        ("disk", "data1"),
        ("corrupt", {"why": 1}),
    ],
)
def test_a_field_of_the_wrong_kind(world: World, field: str, value: object) -> None:
    sections = manifest_of(world)
    a_file(sections)[field] = value
    put_manifest(world, sections)
    with pytest.raises(Corrupt):
        world.restore()
    untouched(world)


@pytest.mark.parametrize("name", ["../shop", "shop/..", "", ".", ".hidden", "a b", "shop\0"])
@pytest.mark.parametrize("field", ["keyspace", "columnfamily"])
def test_a_section_that_is_no_name_of_a_folder(world: World, field: str, name: str) -> None:
    sections = manifest_of(world)
    sections[0][field] = name
    put_manifest(world, sections)
    with pytest.raises(Corrupt):
        world.restore()
    untouched(world)


def test_one_file_twice(world: World) -> None:
    """Under two keys, for one place on disk."""
    sections = manifest_of(world)
    file = a_file(sections)
    objects = next(section["objects"] for section in sections if file in section["objects"])
    objects.append({**file, "path": file["path"].replace("/data/", f"/data-v/{'0' * 64}/")})
    put_manifest(world, sections)
    with pytest.raises(Corrupt, match="twice"):
        world.restore()
    untouched(world)


@pytest.mark.parametrize("body", [b"", b"[", b"{}", b"null", b"[[]]", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_manifest_at_all(world: World, body: bytes) -> None:
    world.owner.put(world.layout.meta(NAME, "monday", "manifest.json"), body)
    with pytest.raises(Corrupt):
        world.restore()
    untouched(world)


@pytest.mark.parametrize("keyspace", ["system", "system_schema"])
def test_a_backup_from_which_no_node_could_start(world: World, keyspace: str) -> None:
    put_manifest(world, [section for section in manifest_of(world) if section["keyspace"] != keyspace])
    with pytest.raises(Corrupt, match=f"names no file of {keyspace}: no node can start"):
        world.restore()
    untouched(world)


def test_an_empty_manifest(world: World) -> None:
    put_manifest(world, [])
    with pytest.raises(Corrupt, match="names no file: no node can start"):
        world.restore()
    untouched(world)


def test_a_disk_that_would_be_full(world: World) -> None:
    sections = manifest_of(world)
    a_file(sections)["size"] = 1 << 50
    put_manifest(world, sections)
    with pytest.raises(NoSpace, match=r"[0-9,]+ bytes are missing on the file system of") as caught:
        world.restore()
    assert "clearsnapshot" in caught.value.hint
    untouched(world)


def test_names_cannot_play_tricks_on_the_terminal(world: World) -> None:
    key = world.layout.attempt(NAME, "monday", 1)
    document = json.loads(world.owner.read(key).body)
    world.owner.put(key, json.dumps({**document, "host_id": "\x1b[2Jhello"}).encode())
    with pytest.raises(Refused) as caught:
        world.restore()
    assert "\x1b" not in caught.value.explained


@pytest.mark.parametrize("version", ["9" * 6000, "²", "", "5", "5.x", "\n", "latest"])
def test_a_version_that_is_none(world: World, version: str) -> None:
    key = world.layout.attempt(NAME, "monday", 1)
    document = json.loads(world.owner.read(key).body)
    world.owner.put(key, json.dumps({**document, "release_version": version}).encode())
    world.restore()
    assert world.stands() == "new"


MANY = """
import resource, sys, tracemalloc
from pathlib import Path
from backupstore.core.layout import Layout
from shipper.transfer.fetch_plan import read_plan
COUNT = int(sys.argv[2])
class Store:
    def fetch(self, key, sink):
        sink(b'[{"keyspace": "shop", "columnfamily": "t-' + b'0' * 32 + b'", "objects": [')
        for start in range(0, COUNT, 1000):
            lines = ['{"path": "n1/data/shop/t-%s/nb-%d-big-Data.db", "MD5": null, "size": 5}' % ('0' * 32, number)
                     for number in range(start, start + 1000)]
            sink((', ' if start else '').encode() + ', '.join(lines).encode())
        sink(b']}]')
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
plan = read_plan(Path(sys.argv[1]), Store(), Layout(), 'n1', 'b1')
plan.place([1 << 40, 1 << 40, 1 << 40])
assert plan.totals()[0] == COUNT
assert sum(1 for _ in plan.files()) == COUNT
assert max(plan.sizes_by_disk().values()) < 1.01 * min(plan.sizes_by_disk().values())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_manifest_with_very_many_files_takes_no_memory(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MANY, str(tmp_path / "plan"), "200000"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 40_000  # KiB; the entries alone would take 100,000
    assert not list(tmp_path.iterdir())
