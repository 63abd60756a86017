"""Every version and SSTable format that we promise: back up, lose, restore on a real node, and compare all rows."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.harness import Cluster, ClusterConfig, loading, reading, schema
from tests.shipper.restore.real import wire

pytestmark = pytest.mark.cassandra


def sstable_format(path: Path) -> str:
    """``nb-big`` of ``nb-1-big-Data.db``."""
    version, _, form, _ = path.name.split("-")
    return f"{version}-{form}"


@pytest.mark.parametrize(
    ("config", "formats"),
    [
        (ClusterConfig(name="v40", version="4.0.19"), {"nb-big"}),
        (ClusterConfig(name="v41", version="4.1.9", data_dirs=2, uuid_sstables=True), {"nb-big"}),
        (ClusterConfig(name="v50", sstable_format="bti"), {"da-bti"}),
    ],
    ids=["4.0", "4.1", "5.0 bti"],
)
def test_a_node_comes_back_with_all_rows(config: ClusterConfig, formats: set[str], tmp_path: Path) -> None:
    with Cluster.create(config) as cluster:
        cluster.start()
        wired = wire(cluster.nodes[0], tmp_path / "node", tmp_path / "bucket")
        with cluster.session() as session:
            schema.create(session, schema.Schema.fitting(config))
            loading.load(session, rows=20)
            held, described = reading.read_all(session), reading.describe(session)
        wired.back_up("one")
        written = {sstable_format(path) for path in (tmp_path / "bucket").rglob("*-Data.db")}
        with cluster.session() as session:
            loading.load(session, rows=20, batch=2)
            session.execute("DROP TABLE shop.documents")
            session.execute("TRUNCATE shop.hits")

        wired.restore("one")

        with cluster.session() as session:
            assert reading.read_all(session) == held
            assert reading.describe(session) == described
    assert written == formats, "the formats that this version writes"


def test_an_upgraded_node_with_sstables_of_the_old_version(tmp_path: Path) -> None:
    """Nobody has run ``upgradesstables`` yet: old and new formats lie in one directory."""
    before, after = ClusterConfig(name="upgraded", version="4.0.19"), ClusterConfig(name="upgraded")
    with Cluster.create(before) as cluster:
        cluster.start()
        with cluster.session() as session:
            schema.create(session, schema.Schema.fitting(before))
            loading.load(session, rows=20)
            early = reading.read_all(session)
        cluster.nodes[0].nodetool("drain")
        cluster.stop()
        shutil.copytree(cluster.nodes[0].data_dirs[0], tmp_path / "data")
    with Cluster.create(after) as cluster:
        shutil.copytree(tmp_path / "data", cluster.nodes[0].data_dirs[0])
        cluster.start()
        wired = wire(cluster.nodes[0], tmp_path / "node", tmp_path / "bucket")
        with cluster.session() as session:
            assert reading.read_all(session) == early
            loading.load(session, rows=20, batch=2)
            held = reading.read_all(session)
        wired.back_up("one")
        assert {sstable_format(path) for path in (tmp_path / "bucket").rglob("shop/*/*-Data.db")} == {
            "nb-big",
            "oa-big",
        }
        with cluster.session() as session:
            session.execute("TRUNCATE shop.orders")
            session.execute("DROP TABLE shop.readings")

        wired.restore("one")

        with cluster.session() as session:
            assert reading.read_all(session) == held
