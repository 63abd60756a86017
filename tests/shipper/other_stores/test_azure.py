"""The command line on a container of Azure: backed up, listed, verified, restored, purged, examined."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import azurite as servers
from tests.shipper.other_stores.place import BUCKET, Place, opened


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with servers.azurite(tmp_path) as server:
        server.container(BUCKET)
        storage = {"storage_provider": "azure_blobs", "key_file": str(server.key_file), "host": server.url}
        with opened(tmp_path, storage, servers.opened(server, BUCKET)) as place:
            yield place


def test_what_a_node_ships_is_listed_verified_restored_and_purged(place: Place) -> None:
    place.ship_two()
    listed = place.run("list-backups", "--show-all", "--output", "json")
    assert {one["name"] for one in listed.json} == {"sunday", "monday"}, listed  # times there have whole seconds
    verified = place.run("verify", "--backup-name", "monday", "--level", "content", "--output", "json")
    assert {finding["kind"] for finding in verified.json["findings"]} == {"incomplete"}, "of a ring of three, one ships"
    place.restores("monday")
    assert place.run("release", "--backup-name", "monday").code == 0
    assert place.run("build-index").code == 0
    for name in ("sunday", "monday"):
        done = place.run("delete-backup", "--backup-name", name, "--force")
        assert done.code == 0, done
    assert place.keys() == []


def test_serve_and_doctor_find_all_conditions_kept(place: Place) -> None:
    assert place.run("backup", "--backup-name", "monday").code == 0
    done = place.run("serve", "--once")
    assert (done.code, "conditional writes" in done.err) == (0, False), done
    done = place.run("doctor", "--only", "store", "--only", "index")
    for seen in (
        "OK    store/create: objects are created only where there is none",
        "OK    store/create-in-parts: uploads in parts create only where there is no object",
        "OK    store/clock: the clocks of store and machine agree",
        "OK    index/replace: documents of the catalog are replaced only at the version that was read",
        "these credentials may not see the lifecycle of the bucket",
    ):
        assert seen in done.out, done
    assert "no MD5" not in done.out, "Azure's digests are"
