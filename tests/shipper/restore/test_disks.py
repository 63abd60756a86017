"""Disks as they are: other people's directories, links, mounts, a different number of them, stock's backups."""

from __future__ import annotations

import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backupstore.errors import Denied, NodeTrouble, Refused
from shipper.restore import places
from shipper.restore.mounts import mount_points
from shipper.restore.places import WORK
from shipper.restore.port import Directories
from tests.killing import Point, Trigger, killed
from tests.shipper.cassandra.users import unprivileged
from tests.shipper.restore.dying import dying
from tests.shipper.restore.fake import Node, tree
from tests.shipper.restore.world import FEW, World, copy_of
from tests.sstables import Kind

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")


def give_away(world: World, *, but: tuple[str, ...] = ()) -> None:
    for directory in (*world.directories.data, *world.directories.others):
        if directory.name not in but:
            for path in (directory, *directory.rglob("*")):
                os.chown(path, NOBODY, NOBODY)


def owners(world: World) -> set[int]:
    """Of everything but what the fake writes itself when it starts."""
    found = (path for each in (*world.directories.data, *world.directories.others) for path in (each, *each.rglob("*")))
    return {path.stat().st_uid for path in found if "-started-" not in path.name}


@as_root
def test_everything_belongs_to_cassandra_afterwards(world: World) -> None:
    give_away(world)
    world.restore()
    assert world.stands() == "new"
    assert owners(world) == {NOBODY}


@as_root
def test_a_fresh_disk_and_missing_directories_go_to_cassandra_too(world: World) -> None:
    """A replaced disk is root's; a hints directory that nobody has made yet must be one that Cassandra may use."""
    give_away(world, but=("data2",))
    shutil.rmtree(world.base / "data2")
    (world.base / "data2").mkdir()
    shutil.rmtree(world.base / "hints")
    world.service.stop()
    world.expect("old")
    world.restore()
    assert world.stands() == "new"
    assert owners(world) == {NOBODY}


@as_root
def test_killed_before_a_folder_was_given_away(world: World) -> None:
    give_away(world)
    world = replace(world, workers=1)
    for number in (3, 6, 9):
        trigger = Trigger(Point(number, "before", "disk.chown"))
        with dying(trigger, world.base):
            assert killed(lambda trigger=trigger: world.deadly(trigger).restore())  # type: ignore[misc]
    world.restore()
    assert owners(world) == {NOBODY}


@pytest.fixture
def public_path() -> Iterator[Path]:
    """Where everybody may go, unlike the folders of pytest."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@as_root
def test_another_user_than_cassandras_is_refused_before_anything_happens(backed_up: World, public_path: Path) -> None:
    world = copy_of(backed_up, public_path / "node")
    world.node.down = True
    for path in (world.base / "state", *(world.base / "state").iterdir()):
        path.chmod(0o777)
    with unprivileged(), pytest.raises(Denied, match="belongs to user id 0, and this is user id 65534") as caught:
        world.restore()
    assert "as root" in caught.value.hint
    world.service.start()
    assert world.stands() == "old"


@as_root
def test_a_disk_that_may_not_be_looked_at(backed_up: World, public_path: Path) -> None:
    world = copy_of(backed_up, public_path / "closed" / "node")
    with unprivileged():
        places.choose(world.directories)
        (public_path / "closed").stat()
    (public_path / "closed").chmod(0o700)
    with unprivileged(), pytest.raises(Denied, match="cannot be"):
        places.choose(world.directories)


def test_folders_keep_the_mode_of_the_data_directory(world: World) -> None:
    world.directories.data[0].chmod(0o2755)
    world.restore()
    modes = {stat.S_IMODE(path.stat().st_mode) & 0o777 for path in world.directories.data[0].glob("*/*")}
    assert modes == {0o755}


def test_a_data_directory_behind_a_link(world: World) -> None:
    real = world.base / "disk" / "real"
    real.parent.mkdir()
    (world.base / "data2").rename(real)
    (world.base / "data2").symlink_to(real)
    world.restore()
    assert world.stands() == "new"
    assert (world.base / "data2").is_symlink()
    assert list(real.iterdir())


def test_mount_points_have_their_work_folder_inside(world: World) -> None:
    inside = frozenset({world.base / "data1", world.base / "commitlog"})
    world.directories = replace(world.directories, mounts=inside)
    seen = []
    for point in (Point(8, "before", "disk.rename."), Point(1, "after", "service.start")):
        trigger = Trigger(point)
        with dying(trigger, world.base):
            assert killed(lambda trigger=trigger: replace(world, workers=1).deadly(trigger).restore())  # type: ignore[misc]
        seen += [path.relative_to(world.base).as_posix() for path in world.base.rglob(f"{WORK}*")]
    assert set(seen) >= {f"data1/{WORK}", f"commitlog/{WORK}", f"{WORK}-data2", f"{WORK}-hints"}
    world.undo()
    assert world.stands() == "old"
    world.restore()
    assert world.stands() == "new"


def test_what_is_mounted_is_read_from_the_kernel(tmp_path: Path) -> None:
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_bytes(
        rb"36 35 98:0 /mnt1 /var/lib/with\040blank rw,noatime master:1 - ext3 /dev/root rw" + b"\n"
        rb"37 35 98:0 /mnt2 /data\134x rw - ext3 /dev/root rw" + b"\nshort\n"
    )
    assert mount_points(mountinfo) == {Path("/var/lib/with blank"), Path("/data\\x")}
    assert mount_points(tmp_path / "absent") == frozenset()
    assert Path("/proc") in mount_points()


def test_a_parent_that_belongs_to_somebody_else(public_path: Path) -> None:
    data = public_path / "srv" / "data"
    data.mkdir(parents=True)
    data.chmod(0o777)
    (public_path / "srv").chmod(0o555)
    with unprivileged():
        (place,) = places.choose(Directories((data,), (), mounts=frozenset()))
    assert place.work == data / WORK
    (public_path / "srv").chmod(0o755)


@pytest.mark.parametrize("level", ["keyspace", "table"])
def test_data_behind_a_link_inside_a_data_directory(world: World, level: str, tmp_path: Path) -> None:
    folder = world.node.folders("shop.customers")[0]
    folder = folder.parent if level == "keyspace" else folder
    folder.rename(tmp_path / "moved")
    folder.symlink_to(tmp_path / "moved")
    with pytest.raises(Refused, match="symbolic link"):
        world.restore()
    assert not world.node.down


def test_a_mount_inside_a_data_directory(world: World) -> None:
    inside = world.directories.data[0] / "shop"
    world.directories = replace(world.directories, mounts=frozenset({inside}))
    with pytest.raises(Refused, match="mount point inside"):
        world.restore()
    assert world.stands() == "old"


def test_directories_inside_each_other(tmp_path: Path) -> None:
    data, inner = tmp_path / "cassandra", tmp_path / "cassandra" / "commitlog"
    inner.mkdir(parents=True)
    found = places.choose(Directories((data,), (inner, data / "hints", tmp_path / "caches", tmp_path / "caches")))
    assert [place.directory for place in found] == [data, tmp_path / "caches"]
    for data_directories, others in (((data, data), ()), ((inner, data), ()), ((inner,), (data,)), ((data,), (data,))):
        with pytest.raises(Refused, match="cannot be set aside apart"):
            places.choose(Directories(data_directories, others))


def test_the_commit_log_inside_the_data_directory_goes_aside_with_it(world: World) -> None:
    inner = world.directories.data[1] / "commitlog"
    world.directories = replace(world.directories, others=(inner, *world.directories.others[1:]))
    world.service.directories = world.directories
    (world.base / "commitlog").rename(inner)
    world.expect("old")
    (world.base / "broken").touch()
    with pytest.raises(NodeTrouble, match="does not start"):
        world.restore()
    assert world.stands() == "old"
    (world.base / "broken").unlink()
    world.restore()
    assert world.stands() == "new"


# --- other disks than at the backup ---
def with_disks(world: World, number: int, *, local: bool = False) -> World:
    """cassandra.yaml has changed: the data of all is in the first ones, further ones are empty."""
    memory = json.loads((world.base / "node.json").read_text())
    (world.base / "node.json").write_text(json.dumps({**memory, "disks": number}))
    for disk in range(number):
        (world.base / f"data{disk + 1}").mkdir(exist_ok=True)
    node = Node(world.base)
    last = node.data_directories[-1] if local else None
    directories = Directories(node.data_directories, world.directories.others, last, frozenset())
    world.service.directories = directories
    return replace(world, node=node, directories=directories)


def merged(held: dict[str, str]) -> dict[str, str]:
    """Without the data directory's name."""
    return {path.partition("/")[2]: digest for path, digest in held.items()}


@pytest.mark.parametrize("number", [1, 3, 5])
def test_another_number_of_data_directories(world: World, number: int) -> None:
    if number == 1:
        shutil.rmtree(world.base / "data2")
    world.service.stop()
    new = json.loads((world.base / "expected-new.json").read_text())
    assert merged(place_only(with_disks(world, number))) == merged(new)


def place_only(world: World) -> dict[str, str]:
    """Restore up to the start, and look."""
    trigger = Trigger(Point(1, "before", "service.start"))
    assert killed(lambda: world.deadly(trigger).restore())
    return tree(world.directories)


def test_sstables_stay_together_and_own_tables_where_cassandra_looks_for_them(world: World) -> None:
    for turn in range(12):
        world.node.create(f"shop.more{turn}", Kind(components=FEW, index=".by_name"))
        world.node.create(f"system.own{turn}", Kind(components=FEW))
    world.node.create("system.batches", Kind(components=FEW, flushed=4))
    world.back_up("tuesday")
    world = with_disks(world, 4, local=True)
    trigger = Trigger(Point(1, "before", "service.start"))
    assert killed(lambda: world.deadly(trigger).restore("tuesday"))
    where: dict[tuple[str, ...], set[str]] = {}
    for path in tree(world.directories):
        disk, *folder, file = path.split("/")
        where.setdefault((*folder, file.rpartition("-")[0]), set()).add(disk)
    assert all(len(disks) == 1 for disks in where.values())
    own = {disk for (keyspace, table, *_), disks in where.items() for disk in disks if is_own(keyspace, table)}
    others = {disk for (keyspace, table, *_), disks in where.items() for disk in disks if not is_own(keyspace, table)}
    assert own == {"data4"}
    assert others <= {"data1", "data2", "data3"}


def is_own(keyspace: str, table: str) -> bool:
    return keyspace == "system_schema" or (keyspace == "system" and not table.startswith("batches"))
