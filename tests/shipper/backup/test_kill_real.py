"""Killed again and again on a real Cassandra, at every kind of call: what is finished in the end is the first snapshot.

On a local bucket and on an S3 server, where each request of an upload in parts is a call of its own.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from backupstore.clock import SystemClock
from backupstore.core import layout as grammar
from backupstore.core.documents import Mode
from backupstore.core.manifest import Entry, check_entry, read_manifest
from backupstore.stores.s3.store import S3Store
from backupstore.wiring import make_bucket, open_store
from shipper.cassandra import data_directories
from shipper.site import Site
from shipper.wiring import NodeWiring
from tests.demo.places import PLACES
from tests.demo.stage import write_ini
from tests.harness import Cluster, ClusterConfig, Session, driver, loading, schema
from tests.killing import Point
from tests.shipper.backup.killed_node import settings_of, site_of

pytestmark = [pytest.mark.cassandra, pytest.mark.xdist_group("kill-real")]
ROOT = Path(__file__).resolve().parents[3]
PARTS = {"multi_part_upload_threshold": "5MB", "multipart_chunksize": "5MB"}
LARGE = (
    "CREATE KEYSPACE archive WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
    "CREATE TABLE archive.large (k int, n int, v blob, PRIMARY KEY (k, n)) WITH compression = {'enabled': false}",
)

BEFORE_INTENT = [
    Point(1, "before", "store.list"),
    Point(1, "before", "node.snapshot"),
    Point(1, "after", "node.snapshot"),
    Point(1, "before", "store.create", "schema.cql"),
]
ON_THE_WAY = [
    Point(1, "after", "store.create", "schema.cql"),
    Point(1, "after", "store.list", "condemned"),
    Point(1, "before", "store.create", "attempt-"),
    Point(1, "after", "store.create", "attempt-"),
    Point(1, "after", "store.list", "/data/"),
    Point(1, "after", "store.create", "tokenmap.json"),
    Point(1, "before", "store.create", "describe.cql"),
    Point(1, "after", "store.create", "/started"),
]
IN_PARTS = [
    Point(1, "before", "s3.POST", "?uploads="),
    Point(1, "after", "s3.POST", "?uploads="),
    Point(1, "before", "s3.PUT", "partNumber=1"),
    Point(1, "after", "s3.PUT", "partNumber=3"),
    Point(1, "before", "s3.POST", "uploadId="),
    Point(1, "after", "s3.POST", "uploadId="),
]
SHIPPING = [
    Point(1, "before", "store.upload"),
    Point(1, "after", "store.upload"),
    Point(60, "after", "store.upload"),
    Point(1, "before", "store.upload", "manifest.json"),
]
AT_THE_END = [
    Point(1, "after", "store.upload", "manifest.json"),
    Point(1, "before", "store.create", "/finished"),
    Point(1, "after", "store.create", "/finished"),
    Point(1, "before", "node.clear_snapshot"),
    Point(1, "after", "node.clear_snapshot"),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster.create(ClusterConfig(name="kill", data_dirs=2)) as made:
        made.start()
        with made.session() as session:
            schema.create(session, schema.Schema.fitting(made.config))
            loading.load(session, rows=20)
            load_large(session)
        yield made


def load_large(session: Session) -> None:
    """One partition, and so one SSTable, of 11 MiB: three parts."""
    driver.define(session, LARGE)
    insert, random = session.prepare("INSERT INTO archive.large (k, n, v) VALUES (1, ?, ?)"), Random("large")
    for number in range(11):
        session.execute(insert, (number, random.randbytes(1 << 20)))


@pytest.fixture(scope="module", params=PLACES)
def ini(request: pytest.FixtureRequest, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    base = tmp_path_factory.mktemp("kill")
    with PLACES[request.param](base) as place:
        path = write_ini(base, cluster.nodes[0], replace(place, storage={**place.storage, **PARTS}))
        make_bucket(open_store(settings_of(path)))
        yield path


def run(ini: Path, name: str, mode: Mode, at: Point | None = None) -> int:
    command = [
        sys.executable,
        "-m",
        "tests.shipper.backup.killed_node",
        str(ini),
        name,
        mode,
        *([str(at)] if at else []),
    ]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def snapshot(site: Site, tag: str) -> dict[str, bytes]:
    """What a backup of that snapshot must hold, by ``KS/CF/[IDX/]file``."""
    found = {}
    for folder in site.cassandra.snapshot_tables(tag):
        for file in data_directories.components(folder):
            index = f"{file.index}/" if file.index else ""
            found[f"{file.keyspace}/{file.table}/{index}{file.file}"] = file.path.read_bytes()
    return found


def backed_up(site: Site, name: str) -> dict[str, bytes]:
    """What the backup holds, by the same names, each object read under the key that the manifest names."""
    key = site.layout.meta(site.name, name, grammar.MANIFEST)
    found = {}
    for item in read_manifest([site.store.read(key).body], key):
        if isinstance(item, Entry):
            data = check_entry(site.layout, site.name, item, backup=name)
            index = f"{data.index}/" if data.index else ""
            found[f"{data.keyspace}/{data.table}/{index}{data.file}"] = site.store.read(item.path).body
            assert item.corrupt is None
    return found


@pytest.mark.parametrize("mode", ["differential", "full"])
def test_killed_at_every_kind_of_call_the_same_command_finishes(ini: Path, mode: Mode) -> None:
    name, wiring = f"killed-{mode[:4]}", NodeWiring(settings_of(ini), SystemClock())
    site = site_of(wiring)
    tag = f"medusa-shipper-{name}"
    for at in BEFORE_INTENT:
        assert run(ini, name, mode, at) == -signal.SIGKILL, at
        assert not list(site.store.list(site.layout.backup(site.name, name)))

    taken: dict[str, bytes] = {}
    in_parts = IN_PARTS if isinstance(site.store, S3Store) else []
    for at in (*ON_THE_WAY, *in_parts, *SHIPPING):
        assert run(ini, name, mode, at) == -signal.SIGKILL, at
        held = snapshot(site, tag)
        assert held == (taken or held), at
        taken = held
        assert grammar.MANIFEST not in {each.key.rpartition("/")[2] for each in site.store.list(_meta(site, name))}
    for at in AT_THE_END:
        assert run(ini, name, mode, at) == -signal.SIGKILL, at
        assert backed_up(site, name) == taken
    assert run(ini, name, mode) == 0

    assert backed_up(site, name) == taken
    assert site.cassandra.snapshot_tags("") == ()
    announced = {
        each.key.rpartition("/")[2] for each in site.store.list(site.layout.announcements()) if name in each.key
    }
    assert announced == {"started", "finished"}
    assert run(ini, name, mode) == 1, "the name is taken now"
    if mode == "full":
        named = {each.key for each in site.store.list(site.layout.full_data(site.name, name))}
        assert len(named) == len(taken), "nothing lies there that the manifest does not name"


def _meta(site: Site, name: str) -> str:
    return site.layout.meta_folder(site.name, name)
