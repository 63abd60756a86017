"""We list, show, download and restore what stock wrote on a real Cassandra, and go on from there without uploading again.

The node has numbered SSTables: after a restore to an older state the numbers begin again, and so stock overwrites files
of later backups under their names, as it does in the field.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness import Cluster, ClusterConfig, loading
from tests.harness.s3_servers import versitygw
from tests.interop.beside import Beside, Rows, fill, local_place, rows, s3_place, watched

pytestmark = [pytest.mark.cassandra, pytest.mark.stock]

PLACES = ("local, prefix", "S3, no prefix")


@dataclass(frozen=True)
class Written:
    """Two buckets with stock's ``s-whole`` and ``s-first`` of the early rows, and ``s-second`` of the late ones."""

    cluster: Cluster
    beside: dict[str, Beside]
    early: Rows
    late: Rows


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Written]:
    folder = tmp_path_factory.mktemp("stocks")
    (folder / "s3").mkdir()
    config = ClusterConfig(name="interop-stocks", uuid_sstables=False)
    with versitygw(folder / "s3") as server, Cluster.create(config) as cluster:
        places = {
            "local, prefix": local_place(folder / "local", "east"),
            "S3, no prefix": s3_place(server, folder / "keys", "plain"),
        }
        beside = {name: Beside(cluster, place, folder / f"node{n}") for n, (name, place) in enumerate(places.items())}
        cluster.start()
        fill(cluster, config)
        early = rows(cluster)
        for each in beside.values():
            each.stock.backup("s-whole", "full").check()
            each.stock.backup("s-first").check()
        with cluster.session() as session:
            loading.load(session, rows=40, batch=2)
            session.execute("TRUNCATE shop.hits")
        late = rows(cluster)
        for each in beside.values():
            each.stock.backup("s-second").check()
        yield Written(cluster, beside, early, late)


@pytest.mark.parametrize("place", PLACES)
def test_we_list_and_show_stocks(written: Written, place: str) -> None:
    beside = written.beside[place]
    theirs = {each["name"]: each for each in beside.stock.list_backups()}
    ours = beside.listed()
    assert list(ours) == ["s-whole", "s-first", "s-second"]
    for name, backup in ours.items():
        known = {field: value for field, value in backup.items() if field in theirs[name]}
        assert known == theirs[name]
        assert backup["state"] == "complete"
        shown = beside.must("status", "--backup-name", name, "--output", "json").json
        assert {field: shown[field] for field in known} == beside.stock.status(name)


@pytest.mark.parametrize(("place", "name"), [("local, prefix", "s-whole"), ("S3, no prefix", "s-second")])
def test_we_download_stocks(written: Written, place: str, name: str, tmp_path: Path) -> None:
    beside = written.beside[place]
    for folder in ("ours", "theirs"):
        (tmp_path / folder).mkdir()
    beside.must("download", "--backup-name", name, "--download-destination", str(tmp_path / "ours"))
    beside.stock.run("download", "--backup-name", name, "--download-destination", str(tmp_path / "theirs")).check()
    assert components(tmp_path / "ours") == components(tmp_path / "theirs")
    assert len(components(tmp_path / "ours")) == len(beside.manifest(name))


@pytest.mark.parametrize("place", PLACES)
def test_we_go_on_from_stocks_without_uploading_again(written: Written, place: str) -> None:
    """Only what Cassandra has written since is sent: the snapshot itself flushes some of its own tables."""
    beside = written.beside[place]
    before = beside.manifest("s-second")
    if place.startswith("S3"):
        assert any(each["MD5"].endswith("-2") for each in before.values()), "something went in parts"
    with watched(beside) as new:
        beside.back_up("o-first")
    after = beside.manifest("o-first")
    assert set(new) == set(after) - set(before)
    assert not [path for path in new if "/shop/" in path], "no row was written since"
    assert {path for path in before if "/shop/" in path} == {path for path in after if "/shop/" in path}
    for path in set(before) & set(after):
        assert after[path]["size"] == before[path]["size"]
        assert len(after[path]["sha256"]) == 64
    beside.index()
    for name in ("s-whole", "s-first", "s-second", "o-first"):
        beside.stock_verifies(name)


@pytest.mark.parametrize(
    ("place", "name"),
    [("S3, no prefix", "s-first"), ("local, prefix", "s-second"), ("local, prefix", "s-whole")],
)
def test_we_restore_stocks_with_all_rows(written: Written, place: str, name: str) -> None:
    wanted = written.late if name == "s-second" else written.early
    assert rows(written.cluster) != wanted, "the node must hold other rows before it is restored"
    written.beside[place].must("restore-node", "--backup-name", name)
    assert rows(written.cluster) == wanted


def test_what_stock_overwrites_after_a_restore_is_reported(written: Written) -> None:
    """The node has gone back, and its numbers have begun again: stock's files take the names of later ones."""
    beside = written.beside["S3, no prefix"]
    beside.must("restore-node", "--backup-name", "s-first")
    with written.cluster.session() as session:
        loading.load(session, rows=60, batch=3)
    now = rows(written.cluster)
    beside.stock.backup("s-third").check()
    beside.stock_verifies("s-third")

    done = beside.back_up("o-second")

    assert "o-first cannot be restored whole any more" in done.err
    assert "s-second, which stock Medusa made, cannot be restored whole any more" in done.err
    beside.index()
    states = {name: backup["state"] for name, backup in beside.listed().items()}
    assert states == {
        "s-whole": "complete",
        "s-first": "complete",
        "s-second": "corrupt",
        "o-first": "corrupt",
        "s-third": "complete",
        "o-second": "complete",
    }
    refused = beside.ours("restore-node", "--backup-name", "o-first")
    assert refused.code != 0
    assert "lost files after it was made" in refused.err
    for name in ("s-whole", "s-first", "s-third", "o-second"):
        beside.stock_verifies(name)
    beside.stock_restores("o-second")
    assert rows(written.cluster) == now


def components(folder: Path) -> dict[str, bytes]:
    """What lies in a downloaded backup's table directories, by path."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.parent != folder)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
