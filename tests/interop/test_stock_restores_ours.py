"""Stock lists, verifies and, with its own ``restore-node``, restores onto a real Cassandra what we wrote.

All of {no prefix, prefix} x {local, S3} x {full, differential} are listed and verified; the restores cover every pair
of these values, and twice a file that changed its content under its name, so that it lies beside its plain key.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.harness import Cluster, ClusterConfig, loading, schema
from tests.harness.s3_servers import versitygw
from tests.interop.beside import Beside, Rows, local_place, rows, s3_place

pytestmark = [pytest.mark.cassandra, pytest.mark.stock]

PLACES = ("local, no prefix", "local, prefix", "S3, no prefix", "S3, prefix")
MODES = {"whole": "full", "shared": "differential"}
CHANGED = ("local, prefix", "S3, no prefix")


@dataclass(frozen=True)
class Shipped:
    """Four buckets with our backups ``whole`` and ``shared`` of the same rows; two with ``changed``, of other rows."""

    cluster: Cluster
    beside: dict[str, Beside]
    early: Rows
    late: Rows


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shipped]:
    folder = tmp_path_factory.mktemp("ours")
    (folder / "s3").mkdir()
    with versitygw(folder / "s3") as server, Cluster.create(ClusterConfig(name="interop-ours")) as cluster:
        places = {
            "local, no prefix": local_place(folder / "local1"),
            "local, prefix": local_place(folder / "local2", "east"),
            "S3, no prefix": s3_place(server, folder / "keys1", "plain"),
            "S3, prefix": s3_place(server, folder / "keys2", "prefixed", "east"),
        }
        beside = {name: Beside(cluster, place, folder / f"node{n}") for n, (name, place) in enumerate(places.items())}
        cluster.start()
        with cluster.session() as session:
            schema.create(session, schema.Schema.fitting(cluster.config))
            loading.load(session, rows=40)
        cluster.flush()
        early = rows(cluster)
        for each in beside.values():
            for name, mode in MODES.items():
                each.back_up(name, mode)
        set_repaired(cluster)
        with cluster.session() as session:
            loading.load(session, rows=40, batch=2)
            session.execute("TRUNCATE shop.hits")
        late = rows(cluster)
        for name in CHANGED:
            beside[name].back_up("changed")
        for each in beside.values():
            each.index()
        assert early != late
        yield Shipped(cluster, beside, early, late)


def set_repaired(cluster: Cluster) -> None:
    """What a repair does: Statistics.db gets other content under its name, of the same size."""
    node = cluster.nodes[0]
    files = [str(path) for path in (node.data_dirs[0] / "shop").rglob("*-Data.db") if path.parent.name[0] != "."]
    cluster.stop()
    node.run("sstablerepairedset", "--really-set", "--is-repaired", *files)
    cluster.start()


@pytest.mark.parametrize("place", PLACES)
def test_stock_lists_and_verifies_ours(shipped: Shipped, place: str) -> None:
    beside = shipped.beside[place]
    names = [*MODES, *(["changed"] if place in CHANGED else [])]
    listed = {each["name"]: each for each in beside.stock.list_backups()}
    assert list(listed) == names
    for name in names:
        objects = beside.manifest(name)
        assert listed[name]["finished"]
        assert listed[name]["backup_type"] == MODES.get(name, "differential")
        assert listed[name]["num_objects"] == len(objects)
        assert listed[name]["size"] == sum(each["size"] for each in objects.values())
        beside.stock_verifies(name, "--enable-md5-checks")


@pytest.mark.parametrize("place", CHANGED)
def test_what_changed_under_its_name_lies_beside_its_plain_key(shipped: Shipped, place: str) -> None:
    objects = shipped.beside[place].manifest("changed")
    assert any("/data-v/" in path and path.endswith("Statistics.db") for path in objects)


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("S3, prefix", "whole"),
        ("local, prefix", "changed"),
        ("local, no prefix", "whole"),
        ("S3, no prefix", "changed"),
    ],
)
def test_stock_restores_ours_with_all_rows(shipped: Shipped, place: str, name: str) -> None:
    wanted = shipped.late if name == "changed" else shipped.early
    assert rows(shipped.cluster) != wanted, "the node must hold other rows before it is restored"
    shipped.beside[place].stock_restores(name)
    assert rows(shipped.cluster) == wanted
