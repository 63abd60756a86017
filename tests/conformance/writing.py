"""Writing and deleting, one writer at a time."""

from __future__ import annotations

import pytest

from backupstore.errors import Conflict, Corrupt, NotFound
from backupstore.ports import ObjectStore, Source
from tests.conformance.samples import (
    MIB,
    BrokenSourceError,
    Pattern,
    fetched_sha256,
    keys_below,
    whole,
)

SIZES = [0, 1, MIB - 1, MIB, MIB + 1, 40 * MIB]


class Writing:
    @pytest.mark.parametrize("size", SIZES)
    def test_an_upload_arrives_whole(self, store: ObjectStore, root: str, size: int) -> None:
        source = whole(size)
        stored = store.upload(f"{root}data/a.db", source)
        assert (stored.key, stored.size) == (f"{root}data/a.db", size)
        assert store.head(f"{root}data/a.db").size == size
        assert store.head(f"{root}data/a.db").digest == stored.digest
        assert fetched_sha256(store, f"{root}data/a.db") == source.sha256

    @pytest.mark.parametrize("size", [0, 1, MIB + 1])
    def test_a_created_object_arrives_whole(self, store: ObjectStore, root: str, size: int) -> None:
        body = b"x" * size
        assert store.create(f"{root}a", body).size == size
        assert store.read(f"{root}a").body == body

    @pytest.mark.parametrize("later", [b"first", b"other", b""])
    def test_a_key_is_created_once_whatever_it_holds(self, store: ObjectStore, root: str, later: bytes) -> None:
        store.create(f"{root}a", b"first")
        with pytest.raises(Conflict) as caught:
            store.create(f"{root}a", later)
        assert caught.value.key == f"{root}a"
        assert caught.value.hint
        with pytest.raises(Conflict):
            store.upload(f"{root}a", whole(len(later)))
        assert store.read(f"{root}a").body == b"first"

    @pytest.mark.parametrize("size", [10, 20 * MIB])
    def test_an_upload_does_not_write_over_an_upload(self, store: ObjectStore, root: str, size: int) -> None:
        first = Pattern(17 * MIB, 17 * MIB)
        store.upload(f"{root}a", first)
        with pytest.raises(Conflict):
            store.upload(f"{root}a", whole(size))
        assert fetched_sha256(store, f"{root}a") == first.sha256

    @pytest.mark.parametrize(
        "source",
        [
            Pattern(10, 0, breaks=True),
            Pattern(10, 10, breaks=True),
            Pattern(3 * MIB, MIB, breaks=True),
            Pattern(40 * MIB, 25 * MIB, breaks=True),
        ],
        ids=str,
    )
    def test_a_source_that_breaks_leaves_nothing(self, store: ObjectStore, root: str, source: Pattern) -> None:
        with pytest.raises(BrokenSourceError):
            store.upload(f"{root}a", source)
        self._nothing_is_there(store, root)

    @pytest.mark.parametrize(
        "source",
        [
            Pattern(10, 0),
            Pattern(10, 9),
            Pattern(0, 1),
            Pattern(10, 11),
            Pattern(3 * MIB, 3 * MIB - 1),
            Pattern(3 * MIB, 5 * MIB),
            Pattern(40 * MIB, 25 * MIB),
            Pattern(20 * MIB, 40 * MIB),
        ],
        ids=str,
    )
    def test_a_source_of_another_size_leaves_nothing(self, store: ObjectStore, root: str, source: Source) -> None:
        with pytest.raises(Corrupt) as caught:
            store.upload(f"{root}a", source)
        assert caught.value.hint
        self._nothing_is_there(store, root)

    def _nothing_is_there(self, store: ObjectStore, root: str) -> None:
        assert keys_below(store, root) == []
        with pytest.raises(NotFound):
            store.head(f"{root}a")
        store.create(f"{root}a", b"still free")
        assert store.read(f"{root}a").body == b"still free"

    def test_replace_writes_over_the_version_that_was_read(self, store: ObjectStore, root: str) -> None:
        store.create(f"{root}a", b"1")
        stored = store.replace(f"{root}a", b"two", store.read(f"{root}a").version)
        assert (stored.key, stored.size) == (f"{root}a", 3)
        assert store.read(f"{root}a").body == b"two"
        assert store.head(f"{root}a").digest == stored.digest

    def test_replace_of_what_changed_is_a_conflict(self, store: ObjectStore, root: str) -> None:
        store.create(f"{root}a", b"1")
        stale = store.read(f"{root}a").version
        store.replace(f"{root}a", b"2", stale)
        with pytest.raises(Conflict) as caught:
            store.replace(f"{root}a", b"3", stale)
        assert caught.value.key == f"{root}a"
        assert store.read(f"{root}a").body == b"2"

    def test_replace_of_what_is_gone_is_a_conflict_and_writes_nothing(self, store: ObjectStore, root: str) -> None:
        store.create(f"{root}a", b"1")
        version = store.read(f"{root}a").version
        store.delete([f"{root}a"])
        with pytest.raises(Conflict):
            store.replace(f"{root}a", b"2", version)
        assert keys_below(store, root) == []

    def test_put_writes_whatever_is_there(self, store: ObjectStore, root: str) -> None:
        assert store.put(f"{root}a", b"1").size == 1
        stored = store.put(f"{root}a", b"two")
        assert (stored.key, stored.size) == (f"{root}a", 3)
        assert store.read(f"{root}a").body == b"two"
        store.put(f"{root}a", b"")
        assert store.read(f"{root}a").body == b""

    def test_delete_takes_exactly_these_keys(self, store: ObjectStore, root: str) -> None:
        for name in ("a", "a.b", "ab", "b/a", "b/a2"):
            store.create(root + name, b"")
        store.delete(iter([f"{root}a", f"{root}b/a"]))
        assert keys_below(store, root) == [f"{root}a.b", f"{root}ab", f"{root}b/a2"]

    def test_delete_of_what_is_absent_is_fine(self, store: ObjectStore, root: str) -> None:
        store.create(f"{root}b/c", b"")
        store.delete([])
        store.delete([f"{root}a", f"{root}no/such/folder", f"{root}b", f"{root}b/c/d", f"{root}b/c", f"{root}b/c"])
        store.delete([f"{root}b/c"])
        assert keys_below(store, root) == []

    def test_a_deleted_key_can_be_created_again(self, store: ObjectStore, root: str) -> None:
        store.create(f"{root}deep/er/a", b"1")
        store.delete([f"{root}deep/er/a"])
        with pytest.raises(NotFound):
            store.read(f"{root}deep/er/a")
        store.create(f"{root}deep/er/a", b"2")
        assert store.read(f"{root}deep/er/a").body == b"2"
