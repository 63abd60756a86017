"""The command line on a provider of apache-libcloud: all of it works, and says that no write there has a condition."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.libcloud_stores import opened as store_of
from tests.harness.s3_servers import minio
from tests.shipper.other_stores.place import BUCKET, Place, opened


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with minio(tmp_path) as server:
        server.bucket(BUCKET)
        key_file = tmp_path / "key.json"
        key_file.write_text(json.dumps({"key": server.access, "secret": server.secret}), encoding="utf-8")
        storage = {
            "storage_provider": "libcloud_minio",
            "key_file": str(key_file),
            "host": server.host,
            "port": str(server.port),
            "secure": "False",
        }
        with opened(tmp_path, storage, store_of(server, BUCKET)) as place:
            yield place


def test_what_a_node_ships_is_listed_verified_restored_and_purged(place: Place) -> None:
    place.ship_two()
    done = place.run("serve", "--once")
    assert (done.code, "this store knows no conditional writes" in done.err) == (0, True), done
    listed = place.run("list-backups", "--show-all", "--output", "json")
    assert {one["name"] for one in listed.json} == {"sunday", "monday"}, listed  # times there have whole seconds
    verified = place.run("verify", "--backup-name", "monday", "--level", "content", "--output", "json")
    assert {finding["kind"] for finding in verified.json["findings"]} == {"incomplete"}, "of a ring of three, one ships"
    place.restores("monday")
    assert place.run("release", "--backup-name", "monday").code == 0
    for name in ("sunday", "monday"):
        done = place.run("delete-backup", "--backup-name", name, "--force")
        assert done.code == 0, done
    assert place.keys() == []


def test_backups_and_doctor_say_what_is_missing(place: Place) -> None:
    done = place.run("backup", "--backup-name", "monday")
    assert (done.code, "one single 'serve' indexes and purges" in done.err) == (0, True), done
    done = place.run("doctor", "--only", "store", "--only", "index")
    for seen in (
        "store/create: this provider knows no conditional writes: the program looks first, and writes then",
        "OK    store/clock: the clocks of store and machine agree",
        "index/replace: documents of the catalog are looked at first, and replaced then: one writer only",
    ):
        assert seen in done.out, done
