"""Reading one object: whole, streamed, its facts; and which keys there are at all."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from backupstore.errors import Corrupt, NotFound, Refused
from backupstore.ports import ObjectStore
from tests.conformance.samples import HOSTILE_KEYS, MIB, UNUSUAL_KEYS, fetched_sha256, keys_below, whole


class SinkError(Exception):
    """What a sink raises when it can take no more."""


class Reading:
    def test_what_was_written_is_read_back(self, store: ObjectStore, root: str) -> None:
        store.create(f"{root}a", b"body")
        document = store.read(f"{root}a")
        assert document.body == b"body"
        assert document.version
        assert document.modified == pytest.approx(store.head(f"{root}a").modified, abs=1)

    def test_an_absent_key_is_not_found(self, store: ObjectStore, root: str) -> None:
        store.create(f"{root}folder/below", b"body")
        pieces: list[bytes] = []
        for absent in ("absent", "folder", "folder/bel", "folder/below/further", "no/such/folder"):
            with pytest.raises(NotFound):
                store.read(root + absent)
            with pytest.raises(NotFound):
                store.head(root + absent)
            with pytest.raises(NotFound):
                store.fetch(root + absent, pieces.append)
        assert not pieces

    def test_errors_say_what_key_and_what_to_do(self, store: ObjectStore, root: str) -> None:
        with pytest.raises(NotFound) as caught:
            store.read(f"{root}absent")
        assert caught.value.key == f"{root}absent"
        assert caught.value.operation == "read"
        assert caught.value.hint

    def test_reading_whole_has_a_limit(self, store: ObjectStore, root: str) -> None:
        store.create(f"{root}a", b"12345")
        assert store.read(f"{root}a", limit=5).body == b"12345"
        with pytest.raises(Corrupt):
            store.read(f"{root}a", limit=4)
        store.create(f"{root}empty", b"")
        assert store.read(f"{root}empty", limit=0).body == b""

    def test_versions_change_with_the_content(self, store: ObjectStore, root: str) -> None:
        store.create(f"{root}a", b"1")
        first = store.read(f"{root}a").version
        assert store.read(f"{root}a").version == first
        store.put(f"{root}a", b"2")
        assert store.read(f"{root}a").version != first

    def test_what_has_not_changed_is_not_read_again(self, store: ObjectStore, root: str) -> None:
        store.create(f"{root}a", b"1")
        first = store.read(f"{root}a")
        assert store.read_if_changed(f"{root}a", first.version) is None
        store.replace(f"{root}a", b"22", first.version)
        second = store.read_if_changed(f"{root}a", first.version)
        assert second == store.read(f"{root}a")
        assert second.body == b"22"
        assert store.read_if_changed(f"{root}a", second.version, limit=2) is None
        with pytest.raises(Corrupt):
            store.read_if_changed(f"{root}a", first.version, limit=1)

    def test_what_is_gone_and_what_is_there_again_has_changed(self, store: ObjectStore, root: str) -> None:
        with pytest.raises(NotFound):
            store.read_if_changed(f"{root}a", "1")
        store.create(f"{root}a", b"1")
        first = store.read(f"{root}a").version
        store.delete([f"{root}a"])
        with pytest.raises(NotFound) as caught:
            store.read_if_changed(f"{root}a", first)
        assert caught.value.key == f"{root}a"
        store.create(f"{root}a", b"2")
        again = store.read_if_changed(f"{root}a", first)
        assert again is not None
        assert again.body == b"2"
        assert store.read_if_changed(f"{root}a", again.version) is None

    def test_a_version_of_another_store_is_another_version(self, store: ObjectStore, root: str) -> None:
        store.create(f"{root}a", b"1")
        for version in ("", "none of ours", "0"):
            found = store.read_if_changed(f"{root}a", version)
            assert found is not None
            assert found.body == b"1"

    def test_fetch_gives_every_byte_once_and_in_order(self, store: ObjectStore, root: str) -> None:
        source = whole(5 * MIB + 3)
        store.upload(f"{root}a", source)
        pieces: list[bytes] = []
        stored = store.fetch(f"{root}a", pieces.append)
        assert b"".join(pieces) == b"".join(source.chunks())
        assert max(map(len, pieces)) < source.size
        assert (stored.key, stored.size) == (f"{root}a", source.size)
        assert stored.digest == store.head(f"{root}a").digest

    def test_fetch_of_an_empty_object_gives_nothing(self, store: ObjectStore, root: str) -> None:
        store.create(f"{root}a", b"")
        pieces: list[bytes] = []
        assert store.fetch(f"{root}a", pieces.append).size == 0
        assert b"".join(pieces) == b""

    @pytest.mark.parametrize("error", [SinkError, OSError, FileNotFoundError, ValueError])
    def test_what_the_sink_raises_passes_through(self, store: ObjectStore, root: str, error: type[Exception]) -> None:
        store.upload(f"{root}a", whole(3 * MIB))
        taken = 0

        def sink(piece: bytes) -> None:
            nonlocal taken
            if taken:
                raise error
            taken += len(piece)

        with pytest.raises(error):
            store.fetch(f"{root}a", sink)
        assert 0 < taken < 3 * MIB

    def test_head_shows_what_a_listing_shows(self, store: ObjectStore, root: str) -> None:
        written = store.create(f"{root}a", b"12345")
        head = store.head(f"{root}a")
        (listed,) = store.list(root)
        for shown in (written, head, listed):
            assert (shown.key, shown.size, shown.digest) == (f"{root}a", 5, head.digest)
            assert shown.modified == pytest.approx(head.modified, abs=5)
        assert listed.modified == pytest.approx(head.modified, abs=1)

    @pytest.mark.parametrize("name", UNUSUAL_KEYS)
    def test_unusual_names_are_keys_like_others(self, store: ObjectStore, root: str, name: str) -> None:
        body = name.encode()
        store.create(root + name, body)
        assert store.read(root + name).body == body
        assert store.head(root + name).key == root + name
        assert keys_below(store, root) == [root + name]
        seen = store.entries(root)
        assert [*seen.folders, *(stored.key for stored in seen.objects)] == [
            root + (name if "/" not in name else name.partition("/")[0] + "/")
        ]
        store.replace(root + name, body * 2, store.read(root + name).version)
        store.delete([root + name])
        source = whole(11)
        store.upload(root + name, source)
        assert fetched_sha256(store, root + name) == source.sha256

    @pytest.mark.parametrize("key", [*HOSTILE_KEYS, "k" * 1025])
    def test_what_is_not_an_object_key_is_refused(self, store: ObjectStore, key: str) -> None:
        calls: list[Callable[[], object]] = [
            lambda: store.read(key),
            lambda: store.read_if_changed(key, "1"),
            lambda: store.head(key),
            lambda: store.fetch(key, lambda _: None),
            lambda: store.create(key, b""),
            lambda: store.replace(key, b"", "1"),
            lambda: store.put(key, b""),
            lambda: store.upload(key, whole(1)),
            lambda: store.delete([key]),
        ]
        for call in calls:
            with pytest.raises(Refused):
                call()

    @pytest.mark.parametrize("folder", ["no-slash", "/", "a//", "../", "a/../", "./"])
    def test_what_is_not_a_folder_is_refused_at_once(self, store: ObjectStore, folder: str) -> None:
        with pytest.raises(Refused):
            store.list(folder)
        with pytest.raises(Refused):
            store.entries(folder)
