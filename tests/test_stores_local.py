"""A directory as a bucket: the port's contract, and what stock Medusa and an operator see in the directory."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from backupstore.errors import Conflict, NotFound, Refused
from backupstore.ports import Folder, ObjectStore
from backupstore.stores.local import LocalStore
from tests.conformance.local_bucket import files
from tests.conformance.object_store import ObjectStoreContract
from tests.conformance.samples import MIB, keys_below, whole


def no_links(src: bytes, dst: bytes, *, src_dir_fd: int, dst_dir_fd: int) -> None:  # noqa: ARG001 - as os.link
    """A mount without hard links."""
    raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))


class TestLocalStore(ObjectStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> ObjectStore:
        (tmp_path / "bucket").mkdir()
        return LocalStore(tmp_path / "bucket")


class TestLocalStoreWithoutHardLinks(ObjectStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> ObjectStore:
        (tmp_path / "bucket").mkdir()
        return LocalStore(tmp_path / "bucket", link=no_links)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "bucket"


@pytest.fixture
def store(base: Path) -> LocalStore:
    return LocalStore(base)


def test_the_key_is_the_path_and_nothing_else_is_left(base: Path, store: LocalStore) -> None:
    store.create("n1/b1/meta/schema.cql", b"body")
    store.upload("n1/b1/data/ks/cf-1/me-1-big-Data.db", whole(3 * MIB))
    assert files(base) == {"n1/b1/meta/schema.cql", "n1/b1/data/ks/cf-1/me-1-big-Data.db"}
    assert (base / "n1/b1/meta/schema.cql").read_bytes() == b"body"
    assert store.head("n1/b1/meta/schema.cql").digest is None


def test_files_are_readable_as_the_umask_says(base: Path, store: LocalStore) -> None:
    before = os.umask(0o027)
    try:
        store.create("folder/a", b"")
    finally:
        os.umask(before)
    assert (base / "folder/a").stat().st_mode & 0o777 == 0o640
    assert (base / "folder").stat().st_mode & 0o777 == 0o750
    assert (base / "folder/a").stat().st_nlink == 1


def test_the_version_is_the_content(store: LocalStore) -> None:
    store.create("a", b"same")
    store.create("b", b"same")
    assert store.read("a").version == store.read("b").version


def test_unfinished_files_and_locks_are_in_no_listing(base: Path, store: LocalStore) -> None:
    store.put("index/catalog/head.json", b"{}")
    (base / "index/.incoming/left.part").write_bytes(b"half")
    assert keys_below(store, "") == ["index/catalog/head.json"]
    assert keys_below(store, "index/.incoming/") == []
    assert store.entries("index/") == Folder(("index/catalog/",), ())
    assert store.entries("index/.incoming/") == Folder((), ())
    with pytest.raises(Refused):
        store.read("index/.incoming/left.part")
    with pytest.raises(Refused):
        store.delete(["index/.incoming/left.part"])


def test_directories_that_stock_leaves_empty_are_nothing(base: Path, store: LocalStore) -> None:
    (base / "n1/b1/data/ks").mkdir(parents=True)
    (base / "n1/b2/meta/deep").mkdir(parents=True)
    (base / "n1/b2/meta/z").write_bytes(b"")
    assert store.entries("n1/") == Folder(("n1/b2/",), ())
    assert keys_below(store, "") == ["n1/b2/meta/z"]
    with pytest.raises(NotFound):
        store.head("n1/b1")
    store.create("n1/b1/data/ks", b"an object after all")
    assert store.read("n1/b1/data/ks").body == b"an object after all"
    (base / "empty").mkdir()
    store.put("empty", b"too")
    assert store.read("empty").body == b"too"


def test_deleting_removes_directories_that_become_empty(base: Path, store: LocalStore) -> None:
    for key in ("n1/b1/data/ks/cf/a", "n1/b1/data/ks/cf/b", "n1/b1/meta/m"):
        store.create(key, b"")
    store.delete(["n1/b1/data/ks/cf/a"])
    assert (base / "n1/b1/data/ks/cf").is_dir()
    store.delete(["n1/b1/data/ks/cf/b"])
    assert sorted(path.name for path in (base / "n1/b1").iterdir()) == ["meta"]
    store.delete(["n1/b1/meta/m"])
    assert [path.name for path in base.iterdir()] == ["index"]


def test_an_object_and_a_folder_cannot_have_one_name(store: LocalStore) -> None:
    store.create("a/b", b"")
    for write in (store.create, store.put):
        with pytest.raises(Refused, match=r"(create|put) a:"):
            write("a", b"")
        with pytest.raises(Refused):
            write("a/b/c", b"")
    assert keys_below(store, "") == ["a/b"]


def test_links_and_special_files_are_not_there(base: Path, store: LocalStore, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    store.create("real/a", b"")
    (base / "folder").symlink_to(outside)
    (base / "file").symlink_to(outside / "secret")
    (base / "self").symlink_to("real/a")
    os.mkfifo(base / "fifo")
    (base / os.fsdecode(b"not-utf-8-\xff")).write_bytes(b"")
    (base / f".nfs{'0a' * 12}").write_bytes(b"")
    assert keys_below(store, "") == ["real/a"]
    assert store.entries("") == Folder(("real/",), ())
    for key in ("folder/secret", "file", "self", "fifo"):
        with pytest.raises(NotFound):
            store.read(key)
        with pytest.raises(NotFound):
            store.head(key)
    with pytest.raises(Refused):
        store.create("folder/new", b"")
    with pytest.raises(Conflict):
        store.create("file", b"")
    store.delete(["folder/secret", "self", "fifo"])
    assert (base / "self").is_symlink()
    assert [path.name for path in outside.iterdir()] == ["secret"]
    assert (outside / "secret").read_bytes() == b"secret"


@pytest.mark.parametrize("key", ["../outside", "a/../../outside", "/etc/medusa-shipper-test"])
def test_no_key_leaves_the_bucket(base: Path, store: LocalStore, tmp_path: Path, key: str) -> None:
    with pytest.raises(Refused):
        store.create(key, b"")
    assert not base.exists()
    assert not list(tmp_path.iterdir())


def test_a_name_that_is_too_long_for_a_file_system(store: LocalStore) -> None:
    with pytest.raises(Refused) as caught:
        store.create("a/" + "ä" * 128, b"")
    assert "255 bytes" in caught.value.hint


def test_a_deep_and_hostile_tree_is_listed_without_harm(base: Path, store: LocalStore) -> None:
    store.create("a", b"")
    handle = os.open(base, os.O_RDONLY)
    for _ in range(150):
        os.mkdir("directory", dir_fd=handle)
        below = os.open("directory", os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = below
    os.close(os.open("too-deep", os.O_CREAT | os.O_WRONLY, dir_fd=handle))
    os.close(handle)
    assert keys_below(store, "") == ["a"]
    assert store.entries("") == Folder((), tuple(store.list("")))


class Disk:
    """Which handles were synced, by path, and what lay in the bucket when the object got its name."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.steps: list[str] = []

    def sync(self, handle: int) -> None:
        path = Path(f"/proc/self/fd/{handle}").readlink()
        self.steps.append("sync part" if path.suffix == ".part" else f"sync {path.relative_to(self.base.parent)}")
        os.fsync(handle)

    def link(self, src: bytes, dst: bytes, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        self.steps.append(f"link {dst.decode()}")
        os.link(src, dst, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)


def test_an_answer_survives_a_power_cut_and_costs_no_more_than_it_must(base: Path) -> None:
    disk = Disk(base)
    store = LocalStore(base, link=disk.link, sync=disk.sync)
    store.create("n1/b1/a", b"")
    assert disk.steps == [
        "sync .",
        "sync bucket",
        "sync bucket/index",
        "sync part",
        "sync bucket",
        "sync bucket/n1",
        "link a",
        "sync bucket/n1/b1",
    ]
    disk.steps.clear()
    store.create("n1/b1/b", b"")
    assert disk.steps == ["sync part", "link b", "sync bucket/n1/b1"]
    disk.steps.clear()
    store.put("n1/b1/b", b"")
    assert disk.steps == ["sync part", "sync bucket/n1/b1"]
    disk.steps.clear()
    store.delete(["n1/b1/a"])
    assert disk.steps == ["sync bucket/n1/b1"]
    disk.steps.clear()
    store.delete(["n1/b1/b"])
    assert disk.steps == ["sync bucket"]
    disk.steps.clear()
    store.create("n1/b1/a", b"")
    assert disk.steps == ["sync part", "sync bucket", "sync bucket/n1", "link a", "sync bucket/n1/b1"]


def test_directories_of_another_process_are_not_trusted_to_be_on_disk(base: Path) -> None:
    (base / "n1/b1").mkdir(parents=True)
    disk = Disk(base)
    LocalStore(base, sync=disk.sync).create("n1/b1/a", b"")
    assert disk.steps[-4:] == ["sync part", "sync bucket", "sync bucket/n1", "sync bucket/n1/b1"]


def test_a_directory_that_another_process_removed_is_synced_when_it_is_made_again(base: Path) -> None:
    disk = Disk(base)
    store = LocalStore(base, sync=disk.sync)
    for _ in range(5):  # its new inode may have the number of the old one
        store.create("n1/a", b"")
        LocalStore(base).delete(["n1/a"])
        disk.steps.clear()
        store.create("n1/a", b"")
        assert disk.steps == ["sync part", "sync bucket", "sync bucket/n1"]
        store.delete(["n1/a"])


def test_a_link_whose_answer_is_lost_is_known_as_ones_own(base: Path) -> None:
    def repeated(src: bytes, dst: bytes, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        """As NFS does it: the first answer is lost, the second says that the name is taken."""
        for _ in range(2):
            os.link(src, dst, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    store = LocalStore(base, link=repeated)
    store.create("a", b"first")
    assert files(base) == {"a"}
    with pytest.raises(Conflict):
        store.create("a", b"second")
    assert store.read("a").body == b"first"
