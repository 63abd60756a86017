"""Snapshots on disk: what is found, in which order, and what is refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from backupstore.errors import BackupError, Corrupt, Denied, NodeTrouble
from shipper.cassandra.data_directories import components, snapshot_tables, snapshot_tags
from shipper.cassandra.port import TableFolder
from tests.shipper.cassandra.users import unprivileged

ID = "0123456789abcdef0123456789abcdef"
ORDERS = f"shop/orders-{ID}/snapshots/tag"


def put(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")


@pytest.fixture
def disks(tmp_path: Path) -> tuple[Path, Path]:
    """A node with two data directories, a snapshot ``tag`` and parts of others."""
    one, two = tmp_path / "data1", tmp_path / "data2"
    put(
        *(one / ORDERS / name for name in ("nb-2-big-Data.db", "nb-10-big-Data.db", "manifest.json", "schema.cql")),
        *(one / ORDERS / ".by_name" / name for name in ("nb-1-big-TOC.txt", "nb-1-big-Data.db")),
        two / ORDERS / "nb-3-big-SAI+aa+idx+Meta.db",
        two / f"shop/orders-{ID}/nb-9-big-Data.db",
        one / f"MixedCase/Tab-{ID}/snapshots/other/nb-1-big-Data.db",
        one / f"system_traces/events-{ID}/snapshots/tag/nb-1-big-Data.db",
        one / "lost+found/x",
        one / "notes.txt",
        one / "shop/README",
        one / f"shop/orders-{ID}.bak/snapshots/tag/nb-1-big-Data.db",
    )
    (one / f"shop/empty-{ID}/snapshots/tag").mkdir(parents=True)
    return one, two


def test_tables_are_found_on_every_disk_and_sorted(disks: tuple[Path, Path]) -> None:
    one, two = disks
    assert snapshot_tables(disks, "tag") == (
        TableFolder(0, "shop", f"empty-{ID}", one / f"shop/empty-{ID}/snapshots/tag"),
        TableFolder(0, "shop", f"orders-{ID}", one / ORDERS),
        TableFolder(1, "shop", f"orders-{ID}", two / ORDERS),
    )
    assert snapshot_tables(disks, "none") == ()


def test_tags_are_found_in_every_keyspace(disks: tuple[Path, Path]) -> None:
    assert snapshot_tags(disks, "") == ("other", "tag")
    assert snapshot_tags(disks, "t") == ("tag",)
    assert snapshot_tags(disks, "x") == ()


def test_files_come_in_order_with_those_of_indexes(disks: tuple[Path, Path]) -> None:
    _, first, second = snapshot_tables(disks, "tag")
    assert [(each.index, each.file) for each in components(first)] == [
        (".by_name", "nb-1-big-Data.db"),
        (".by_name", "nb-1-big-TOC.txt"),
        (None, "nb-10-big-Data.db"),
        (None, "nb-2-big-Data.db"),
    ]
    (one,) = components(second)
    assert (one.disk, one.keyspace, one.table, one.path) == (
        *(1, "shop"),
        *(f"orders-{ID}", disks[1] / ORDERS / "nb-3-big-SAI+aa+idx+Meta.db"),
    )


def test_a_data_directory_may_be_a_link(disks: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(disks[0])
    assert len(snapshot_tables([tmp_path / "link"], "tag")) == 2


@pytest.mark.parametrize("where", ["shop", f"shop/orders-{ID}", f"shop/orders-{ID}/snapshots", ORDERS])
def test_a_snapshot_behind_another_link_is_refused(disks: tuple[Path, Path], tmp_path: Path, where: str) -> None:
    target = tmp_path / "elsewhere"
    (disks[0] / where).rename(target)
    (disks[0] / where).symlink_to(target)
    assert "tag" in snapshot_tags(disks, "tag")
    with pytest.raises(Corrupt, match="symbolic link"):
        snapshot_tables(disks, "tag")


def link(path: Path) -> None:
    path.symlink_to("/etc/hostname")


STRANGE: dict[str, Callable[[Path], object]] = {
    "nb-1-big-Data.db": link,
    "a file": Path.touch,
    ".hidden": Path.touch,
    "folder": Path.mkdir,
    "nb-1-big-TOC.txt": os.mkfifo,
    ".by_name/deeper": Path.mkdir,
}


@pytest.mark.parametrize("name", STRANGE)
def test_what_cassandra_did_not_make_is_named(disks: tuple[Path, Path], name: str) -> None:
    STRANGE[name](disks[0] / ORDERS / name)
    table = snapshot_tables(disks, "tag")[1]
    with pytest.raises(Corrupt) as failure:
        list(components(table))
    assert str(disks[0] / ORDERS / name) in failure.value.message


def test_a_snapshot_that_is_gone_is_an_error(disks: tuple[Path, Path]) -> None:
    table = snapshot_tables(disks, "tag")[0]
    table.path.rmdir()
    with pytest.raises(NodeTrouble, match="cannot be listed"):
        list(components(table))


def test_a_data_directory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    for look in (snapshot_tables, snapshot_tags):
        with pytest.raises(BackupError) as failure:
            look([tmp_path / "none"], "tag")
        assert "data_file_directories" in failure.value.hint


@pytest.mark.parametrize("where", ["", "shop", f"shop/orders-{ID}", f"shop/orders-{ID}/snapshots", ORDERS])
def test_what_may_not_be_read_is_denied(disks: tuple[Path, Path], where: str) -> None:
    (disks[0] / where).chmod(0)
    try:
        with unprivileged(), pytest.raises(Denied, match="may not be read") as failure:
            read_all(disks)
    finally:
        (disks[0] / where).chmod(0o755)
    assert "Cassandra's user" in failure.value.hint


def read_all(disks: tuple[Path, Path]) -> int:
    return sum(1 for table in snapshot_tables(disks, "tag") for _ in components(table))


def test_many_files_are_all_listed(tmp_path: Path) -> None:
    folder = tmp_path / ORDERS
    folder.mkdir(parents=True)
    for number in range(20_000):
        (folder / f"nb-{number}-big-Data.db").touch()
    (table,) = snapshot_tables([tmp_path], "tag")
    assert sum(1 for _ in components(table)) == 20_000
