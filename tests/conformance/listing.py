"""Listing: order, folders and their neighbours, one level, many pages."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest

from backupstore.ports import Folder, ObjectStore
from tests.conformance.samples import keys_below

# No key is a folder of another one: a directory cannot hold both.
NAMES = [
    "a.b/x",
    "a/x",
    "a/y/z",
    "a-b",
    "a0",
    "a b",
    "A",
    "ä",
    "z",
    "日",
    "🗝",
    "\uffee",
    "a/.hidden/x",
    "a/y.z",
    "a+b/c",
]


class Listing:
    def test_a_listing_is_sorted_by_code_points_of_the_whole_key(self, store: ObjectStore, root: str) -> None:
        for name in NAMES:
            store.create(root + name, name.encode())
        assert keys_below(store, root) == sorted(root + name for name in NAMES)
        assert keys_below(store, f"{root}a/") == sorted(root + name for name in NAMES if name.startswith("a/"))

    def test_a_listing_shows_size_and_time(self, store: ObjectStore, root: str) -> None:
        store.create(f"{root}a", b"")
        store.create(f"{root}b", b"12345")
        shown = list(store.list(root))
        assert [stored.size for stored in shown] == [0, 5]
        assert all(stored.modified > 0 for stored in shown)
        assert shown[0].modified <= shown[1].modified

    def test_a_folder_has_no_neighbours_in_it(self, store: ObjectStore, root: str) -> None:
        for name in ("d1/a", "d10/a", "d1-b/a", "d1.c", "d0/a"):
            store.create(root + name, b"")
        assert keys_below(store, f"{root}d1/") == [f"{root}d1/a"]
        assert store.entries(f"{root}d1/").folders == ()
        assert [stored.key for stored in store.entries(f"{root}d1/").objects] == [f"{root}d1/a"]

    def test_an_absent_folder_is_empty(self, store: ObjectStore, root: str) -> None:
        store.create(f"{root}file", b"")
        for folder in (f"{root}absent/", f"{root}absent/deeper/", f"{root}file/"):
            assert keys_below(store, folder) == []
            assert store.entries(folder) == Folder((), ())

    def test_the_whole_bucket_is_a_folder(self, store: ObjectStore, root: str) -> None:
        store.create(f"{root}a", b"")
        keys = keys_below(store, "")
        assert f"{root}a" in keys
        assert keys == sorted(keys)
        assert root in store.entries("").folders

    def test_entries_are_one_level_and_sorted(self, store: ObjectStore, root: str) -> None:
        for name in NAMES:
            store.create(root + name, name.encode())
        seen = store.entries(root)
        folders = {name.split("/")[0] + "/" for name in NAMES if "/" in name}
        assert list(seen.folders) == sorted(root + folder for folder in folders)
        objects = sorted(root + name for name in NAMES if "/" not in name)
        assert [stored.key for stored in seen.objects] == objects
        assert seen.objects == tuple(stored for stored in store.list(root) if stored.key in objects)

    def test_a_folder_is_gone_with_its_last_object(self, store: ObjectStore, root: str) -> None:
        store.create(f"{root}a/b/c/d", b"")
        store.create(f"{root}a/e", b"")
        store.delete([f"{root}a/b/c/d"])
        assert store.entries(f"{root}a/").folders == ()
        store.delete([f"{root}a/e"])
        assert store.entries(root) == Folder((), ())

    @pytest.fixture
    def many(self, store: ObjectStore, root: str) -> list[str]:
        keys = [f"{root}many/{number % 7}/{number}" for number in range(2500)]
        with ThreadPoolExecutor(16) as pool:
            for stored in pool.map(lambda key: store.create(key, b""), keys):
                assert stored.size == 0
        return sorted(keys)

    def test_many_pages(self, store: ObjectStore, root: str, many: list[str]) -> None:
        assert keys_below(store, root) == many
        assert keys_below(store, f"{root}many/3/") == [key for key in many if "/many/3/" in key]
        assert len(store.entries(f"{root}many/").folders) == 7

        # Lazily, page by page: what is deleted and made meanwhile disturbs nobody, and a listing may be left.
        listing = store.list(root)
        begun = [stored.key for stored in itertools.islice(listing, 10)]
        store.delete(many[500:])
        store.create(f"{root}many/9/late", b"")
        rest = [stored.key for stored in listing]
        assert begun + [key for key in rest if key in many[:500]] == many[:500]
        assert begun + rest == sorted({*begun, *rest})
        assert keys_below(store, root) == [*many[:500], f"{root}many/9/late"]
        assert next(store.list(root)).key == many[0]
