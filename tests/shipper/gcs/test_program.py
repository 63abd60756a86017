"""The command line on a bucket of Google Cloud Storage: backed up, listed, verified, fetched, purged."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from backupstore.core.layout import Layout
from backupstore.stores.memory import MemoryBucket
from tests.harness.gcs_server import HOST, GcsServer, fake_gcs, opened
from tests.recorded import NAME, RecordedNode
from tests.shipper.cli.handmade import Made, Maker
from tests.shipper.cli.program import Done
from tests.shipper.restore import world as restores
from tests.shipper.s3.program import Starter, starter
from tests.shipper.s3.recorded_program import OTHERS
from tests.shipper.s3.scene import TABLES

BUCKET = "fleet"
BIG = 9 << 20  # by more than one request


@dataclass(frozen=True)
class Place:
    """A node, its bucket, and runs of the program."""

    base: Path
    node: RecordedNode
    starter: Starter
    server: GcsServer

    def run(self, *arguments: str, node: Path | None = None) -> Done:
        ini = self.base / "medusa.ini"
        storage = {
            "storage_provider": "google_storage",
            "bucket_name": BUCKET,
            "prefix": "prod",
            "fqdn": NAME,
            "host": HOST,
            "port": str(self.server.port),
            "secure": "False",
            "transfer_max_bandwidth": "",
            "max_backup_count": "1",
        }
        yaml = self.base / "cassandra.yaml"
        yaml.write_text("listen_address: 127.0.0.1\n")
        lines = [f"{name} = {value}" for name, value in storage.items()]
        ini.write_text("\n".join(["[cassandra]", f"config_file = {yaml}", "[storage]", *lines, ""]))
        ini.with_name("medusa-shipper.ini").write_text(
            f"[shipper]\nstate_dir = {self.base / 'state'}\npurge_max_share = 100%\n"
        )
        return self.starter.start(node or self.node.base, ["--config-file", str(ini), *arguments], 20.0).wait()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    node = RecordedNode.make(tmp_path / "node", tables=TABLES)
    node.grow("shop.orders", BIG)
    for name in OTHERS:
        (node.base / name).mkdir()
    (node.base / "running").touch()
    with fake_gcs(tmp_path) as server, starter(tmp_path) as begins:
        server.bucket(BUCKET)
        yield Place(tmp_path, node, begins, server)


def test_what_a_node_ships_is_listed_verified_fetched_and_deleted(place: Place) -> None:
    for name in ("sunday", "monday"):
        place.node.flush("shop.orders")
        done = place.run("backup", "--backup-name", name)
        assert done.code == 0, done
    keys = [stored.key for stored in opened(place.server, BUCKET).list(f"prod/{NAME}/")]
    assert not [key for key in keys if "/data-v/" in key], "what the first one brought is known by its digest"
    listed = place.run("list-backups", "--show-all", "--output", "json")
    assert [one["name"] for one in listed.json] == ["sunday", "monday"], listed
    verified = place.run("verify", "--backup-name", "monday", "--level", "content", "--output", "json")
    assert {finding["kind"] for finding in verified.json["findings"]} == {"incomplete"}, "of a ring of three, one ships"
    fetched = place.base / "fetched"
    fetched.mkdir()
    done = place.run("download", "--backup-name", "monday", "--download-destination", str(fetched))
    assert done.code == 0, done
    assert digests_in_manifest(place, "monday") <= digests_on_disk(fetched)
    assert place.run("build-index").code == 0
    for name in ("sunday", "monday"):
        done = place.run("delete-backup", "--backup-name", name, "--force")
        assert done.code == 0, done
    assert [stored.key for stored in opened(place.server, BUCKET).list(f"prod/{NAME}/")] == []


def test_a_node_is_restored_from_it(place: Place) -> None:
    assert place.run("backup", "--backup-name", "monday").code == 0
    moved = place.base / "moved"
    shutil.copytree(place.node.base, moved)
    world = restores.open_world(moved, MemoryBucket(time.time))
    world.expect("new")
    world.node.compact("shop.orders")
    restores.grow_old(world)
    done = place.run("restore-node", "--backup-name", "monday", node=moved)
    assert done.code == 0, done
    assert restores.open_world(moved, MemoryBucket(time.time)).stands() == "new"


def test_serve_keeps_the_list(place: Place) -> None:
    Maker(opened(place.server, BUCKET), Layout("prod")).ship("b1", Made())
    done = place.run("serve", "--once")
    assert done.code == 0, done
    listed = place.run("list-backups", "--show-all", "--output", "json")
    assert [one["name"] for one in listed.json] == ["b1"]
    assert "no catalog" not in listed.err


def test_doctor_finds_all_that_it_asks_for(place: Place) -> None:
    done = place.run("doctor", "--only", "store", "--only", "index")
    assert f"OK    store/bucket: bucket {BUCKET} at {HOST} answers" in done.out
    for seen in (
        "OK    store/create: objects are created only where there is none",
        "OK    store/create-in-parts: uploads in parts create only where there is no object",
        "OK    store/clock: the clocks of store and machine agree",
        "OK    store/rules: no lifecycle rule deletes or archives backups",
        "OK    index/replace: documents of the catalog are replaced only at the version that was read",
    ):
        assert seen in done.out, done
    assert "no MD5" not in done.out, "Google's digests are"


def test_purge_by_count(place: Place) -> None:
    maker = Maker(opened(place.server, BUCKET), Layout("prod"))
    for number in range(3):
        files = {"nb-1-big-Data.db": b"shared", f"nb-{number}9-big-Data.db": b"of one backup"}
        maker.ship(f"d{number}", Made(files=files))
    assert place.run("build-index").code == 0
    planned = place.run("purge", "--dry-run")
    assert (planned.code, "2 of 3 cluster backups go" in planned.out) == (0, True), planned
    done = place.run("purge")
    assert done.code == 0, done
    listed = place.run("list-backups", "--show-all", "--output", "json")
    assert [one["name"] for one in listed.json] == ["d2"]
    data = [stored.key.rpartition("/")[2] for stored in opened(place.server, BUCKET).list("prod/n1/data/")]
    assert data == ["nb-1-big-Data.db", "nb-29-big-Data.db"]
    assert place.run("verify", "--backup-name", "d2").code == 0


def digests_in_manifest(place: Place, name: str) -> set[str]:
    """The provider's own form: what stock compares with the listing."""
    store = opened(place.server, BUCKET)
    manifest = json.loads(store.read(f"prod/{NAME}/{name}/meta/manifest.json").body)
    return {entry["MD5"] for section in manifest for entry in section["objects"]}


def digests_on_disk(folder: Path) -> set[str]:
    return {
        base64.b64encode(hashlib.md5(path.read_bytes(), usedforsecurity=False).digest()).decode()
        for path in folder.rglob("*")
        if path.is_file()
    }
