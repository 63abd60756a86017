"""Several writers at once: exactly one creates, no update is lost, readers see whole objects."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from backupstore.errors import Conflict, NotFound
from backupstore.ports import ObjectStore
from tests.conformance.samples import MIB, Pattern, fetched_sha256

WRITERS = 8


def together(task: Callable[[int], bool]) -> list[int]:
    """Run the task in all writers at the same moment; the numbers of those that won."""
    start = Barrier(WRITERS)

    def run(number: int) -> bool:
        start.wait()
        try:
            return task(number)
        except Conflict:
            return False

    with ThreadPoolExecutor(WRITERS) as pool:
        return [number for number, won in enumerate(pool.map(run, range(WRITERS))) if won]


class Racing:
    def test_one_creator_wins(self, store: ObjectStore, root: str) -> None:
        for attempt in range(5):
            key = f"{root}{attempt}/new/folder/a"

            def create(number: int, key: str = key) -> bool:
                return store.create(key, b"%d" % number).size == 1

            (winner,) = together(create)
            assert store.read(key).body == b"%d" % winner

    def test_one_upload_wins(self, store: ObjectStore, root: str) -> None:
        sources = [Pattern(size, size) for size in range(9 * MIB, 9 * MIB + WRITERS)]
        (winner,) = together(lambda number: store.upload(f"{root}a", sources[number]).size == sources[number].size)
        assert fetched_sha256(store, f"{root}a") == sources[winner].sha256

    def test_one_replace_wins(self, store: ObjectStore, root: str) -> None:
        store.create(f"{root}a", b"")
        version = store.read(f"{root}a").version
        (winner,) = together(lambda number: store.replace(f"{root}a", b"%d" % number, version).size == 1)
        assert store.read(f"{root}a").body == b"%d" % winner

    def test_no_update_is_lost(self, store: ObjectStore, root: str) -> None:
        store.create(f"{root}counter", b"0")

        def count(_: int) -> bool:
            done = 0
            while done < 3:
                seen = store.read(f"{root}counter")
                try:
                    store.replace(f"{root}counter", b"%d" % (int(seen.body) + 1), seen.version)
                except Conflict:
                    continue
                done += 1
            return True

        assert len(together(count)) == WRITERS
        assert store.read(f"{root}counter").body == b"%d" % (3 * WRITERS)

    def test_a_reader_sees_whole_objects(self, store: ObjectStore, root: str) -> None:
        bodies = {bytes([number]) * (100_000 + number) for number in range(WRITERS)}

        def write_or_read(number: int) -> bool:
            for _ in range(10):
                if number % 2:
                    store.put(f"{root}a", bytes([number]) * (100_000 + number))
                    continue
                try:
                    assert store.read(f"{root}a").body in bodies
                except NotFound:
                    continue
            return True

        assert len(together(write_or_read)) == WRITERS

    def test_creating_beside_deleting(self, store: ObjectStore, root: str) -> None:
        assert len(create_and_delete(store, f"{root}shared/folder/")) == WRITERS
        assert store.entries(root).folders == ()

    def test_a_replace_does_not_bring_back_what_is_deleted(self, store: ObjectStore, root: str) -> None:
        for attempt in range(10):
            replace_and_delete(store, f"{root}{attempt}")
            with pytest.raises(NotFound):
                store.head(f"{root}{attempt}")


def create_and_delete(store: ObjectStore, folder: str) -> list[int]:
    """All writers create, read and delete objects of their own in one folder; the numbers of those that could."""

    def churn(number: int) -> bool:
        for turn in range(20):
            key = f"{folder}{number}-{turn}"
            store.create(key, b"here")
            assert store.read(key).body == b"here"
            store.delete([key])
        return True

    return together(churn)


def replace_and_delete(store: ObjectStore, key: str) -> list[int]:
    """Make an object; then half of the writers (the odd ones) replace it by their number, the others delete it."""
    store.create(key, b"here")
    version = store.read(key).version

    def replace_or_delete(number: int) -> bool:
        if number % 2:
            store.replace(key, b"%d" % number, version)
        else:
            store.delete([key])
        return True

    return together(replace_or_delete)
