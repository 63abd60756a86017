"""After our purge stock lists, verifies and restores all that is left, with every row: of our backups, and of its own.

One real node, whose tables change, are flushed and compacted between any two backups, so that what goes shares some of its
files with what stays, and has some for itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from tests.harness import Cluster, ClusterConfig, loading, schema
from tests.harness.s3_servers import versitygw
from tests.interop.beside import Beside, Place, Rows, local_place, rows, s3_place
from tests.interop.stock_index import check_index, check_markers

pytestmark = [pytest.mark.cassandra, pytest.mark.stock]

MODES = {"one": "full", "two": "differential", "three": "differential", "four": "full"}
KEPT = {name: MODES[name] for name in ("three", "four")}
WRITERS = {"local, prefix": "ours", "S3, no prefix": "ours", "S3, prefix": "stock"}


@dataclass(frozen=True)
class Purged:
    """Buckets with the same four backups, of which our purge has left two. ``before``: what each manifest named."""

    cluster: Cluster
    beside: dict[str, Beside]
    held: dict[str, Rows] = field(default_factory=dict)
    before: dict[str, dict[str, frozenset[str]]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def purged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Purged]:
    folder = tmp_path_factory.mktemp("purged")
    (folder / "s3").mkdir()
    with versitygw(folder / "s3") as server, Cluster.create(ClusterConfig(name="interop-purge")) as cluster:
        places = {
            "local, prefix": local_place(folder / "local", "east"),
            "S3, no prefix": s3_place(server, folder / "keys1", "plain"),
            "S3, prefix": s3_place(server, folder / "keys2", "prefixed", "east"),
        }
        beside = {
            name: Beside(cluster, keeping(place), folder / name[:3] / place.prefix) for name, place in places.items()
        }
        made = Purged(cluster, beside)
        cluster.start()
        live(made)
        for name, each in beside.items():
            each.index()
            made.before[name] = {backup: frozenset(each.manifest(backup)) for backup in MODES}
            each.must("purge", "--force", *(["--stock-is-idle"] if WRITERS[name] == "stock" else []))
        yield made


def keeping(place: Place) -> Place:
    return replace(place, storage={**place.storage, "max_backup_count": str(len(KEPT))})


def live(made: Purged) -> None:
    """Rows come, change and go; everybody backs up."""
    for batch, (name, mode) in enumerate(MODES.items(), start=1):
        with made.cluster.session() as session:
            if batch == 1:
                schema.create(session, schema.Schema.fitting(made.cluster.config))
            loading.load(session, rows=20, batch=batch)
        if name == "three":
            made.cluster.nodes[0].nodetool("compact", "shop")
        made.held[name] = rows(made.cluster)
        for place, each in made.beside.items():
            if WRITERS[place] == "ours":
                each.back_up(name, mode)
            else:
                each.stock.backup(name, mode).check()


@pytest.mark.parametrize("place", WRITERS)
def test_what_went_is_gone_and_what_stays_needs_is_there(purged: Purged, place: str) -> None:
    beside, named = purged.beside[place], purged.before[place]
    needed = frozenset[str]().union(*(named[name] for name in KEPT))
    assert named["two"] - needed, "something goes that was shared data"
    assert named["two"] & needed, "and some of it stays"
    assert beside.data().keys() == needed
    root = f"{beside.place.root}{beside.node.ip}/"
    there = {key.removeprefix(root).split("/")[0] for key in beside.place.look() if key.startswith(root)}
    assert there == {*KEPT, "data"}


@pytest.mark.parametrize("place", WRITERS)
def test_stock_lists_and_verifies_what_is_left(purged: Purged, place: str) -> None:
    beside = purged.beside[place]
    listed = {each["name"]: each for each in beside.stock.list_backups()}
    assert {name: each["backup_type"] for name, each in listed.items()} == KEPT
    assert all(each["finished"] and each["num_objects"] == len(beside.manifest(name)) for name, each in listed.items())
    digests = () if place.startswith("local") and WRITERS[place] == "stock" else ("--enable-md5-checks",)
    for name in KEPT:
        beside.stock_verifies(name, *digests)
        done = beside.must("verify", "--backup-name", name, "--level", "content", "--output", "json").json
        assert (done["counts"], done["read"]) == ({}, done["size"])
    check_index(beside.place.look(), beside.place.root, KEPT, [beside.node.ip])
    check_markers(beside.body, beside.place.root, "four", [beside.node.ip])


@pytest.mark.parametrize(
    ("place", "name"),
    [("local, prefix", "three"), ("S3, no prefix", "four"), ("S3, prefix", "three")],
)
def test_stock_restores_what_is_left_with_all_rows(purged: Purged, place: str, name: str) -> None:
    assert rows(purged.cluster) != purged.held[name], "the node must hold other rows before it is restored"
    purged.beside[place].stock_restores(name)
    assert rows(purged.cluster) == purged.held[name]
