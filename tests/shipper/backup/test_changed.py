"""Other content under the same name, and content that the bucket has lost, condemned, or got wrong.

Objects are never overwritten: what cannot lie under its plain key goes beside it, and every older backup stays whole.
"""

from __future__ import annotations

import hashlib
import os
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backupstore.core.documents import Mode
from backupstore.core.keys import DataKey
from backupstore.errors import Corrupt, NodeTrouble, Refused
from backupstore.ports import ObjectStore, Sink, Source, StoredObject
from tests.recorded import NAME, RecordedNode
from tests.shipper.backup.world import World, Wrapped, elsewhere

HAPPENINGS: list[Callable[[RecordedNode], None]] = [
    RecordedNode.rewrite_statistics,
    RecordedNode.restart_generations,
    lambda node: node.compact("shop.readings"),
]


@pytest.mark.parametrize("happening", HAPPENINGS)
@pytest.mark.parametrize("forgetful", [False, True])
def test_every_backup_keeps_its_own_content(
    world: World, happening: Callable[[RecordedNode], None], *, forgetful: bool
) -> None:
    monday = world.node.contents()
    world.back_up("monday")
    happening(world.node)
    if forgetful:
        world.state.known_files.unlink()
    world.back_up("tuesday")
    tuesday = world.node.contents()
    again = world.back_up("wednesday")

    assert monday != tuesday
    world.check_backup("monday", monday)
    world.check_backup("tuesday", tuesday)
    world.check_backup("wednesday", tuesday)
    assert again.totals.new_files == 0
    assert {entry.path for entry in world.entries("wednesday").values()} == {
        entry.path for entry in world.entries("tuesday").values()
    }


def test_other_content_lies_under_its_digest(world: World) -> None:
    world.back_up("monday")
    world.node.rewrite_statistics()
    world.back_up("tuesday")
    for file, entry in world.entries("tuesday").items():
        if file.endswith("Statistics.db"):
            assert f"/data-v/{entry.sha256}/" in entry.path
        else:
            assert f"{NAME}/data/" in entry.path


def test_when_the_old_content_comes_back_its_object_is_used_again(world: World) -> None:
    world.back_up("monday")
    bodies = {path: path.read_bytes() for path in world.node.live("*Statistics.db")}
    world.node.rewrite_statistics()
    world.back_up("tuesday")
    for path, body in bodies.items():
        path.unlink()
        path.write_bytes(body)
    report = world.back_up("wednesday")
    assert report.totals.new_files == 0
    assert {e.path for e in world.entries("wednesday").values()} == {e.path for e in world.entries("monday").values()}


# --- what the bucket got wrong ---


def test_wrong_content_under_a_versioned_key_is_not_believed(world: World) -> None:
    """As a store that tore an upload, or a stranger, may leave it: the name tells another content than the object has."""
    world.back_up("monday")
    world.node.rewrite_statistics()
    path = world.node.live("*Statistics.db")[0]
    folder = path.parent.relative_to(world.node.base).parts[1:]
    sha = hashlib.sha256(path.read_bytes()).hexdigest()
    key = world.layout.data(
        DataKey(NAME, folder[0], folder[1], path.name, folder[2] if folder[2:] else None, version=sha)
    )
    world.owner.put(key, bytes(path.stat().st_size))

    world.back_up("tuesday")

    world.check_backup("tuesday", world.node.contents())
    (entry,) = (entry for entry in world.entries("tuesday").values() if entry.sha256 == sha)
    assert f"/data-v/{sha}-tuesday-1/" in entry.path


def test_an_object_of_another_size_or_content_at_the_plain_key_is_left_alone(world: World) -> None:
    files = world.node.contents()
    strangers = {}
    for number, (file, body) in enumerate(files.items()):
        if number % 3 == 0 and body:
            strangers[f"prod/{NAME}/data/{file}"] = b"longer" + body if number % 2 else bytes(len(body))
    for key, body in strangers.items():
        world.owner.put(key, body)
    world.back_up("monday")
    world.check_backup("monday", files)
    assert {key: world.body(key) for key in strangers} == strangers


def test_what_stock_has_shipped_is_not_sent_again(world: World) -> None:
    for file, body in world.node.contents().items():
        world.owner.put(f"prod/{NAME}/data/{file}", body)
    assert world.back_up("monday").totals.new_files == 0
    world.check_backup("monday", world.node.contents())


class Google(Wrapped):
    """A bucket whose digests are base64, and which nobody should have to download."""

    def list(self, folder: str) -> Iterator[StoredObject]:
        for stored in self.store.list(folder):
            yield replace(stored, digest=b64encode(bytes.fromhex(stored.digest or "")).decode())

    def fetch(self, key: str, _sink: object) -> StoredObject:
        raise AssertionError(key)


def test_on_google_stock_s_objects_are_compared_by_their_md5(memory_world: World) -> None:
    world = memory_world
    for file, body in world.node.contents().items():
        world.owner.put(f"prod/{NAME}/data/{file}", body)
    report = elsewhere(world, store=Google(world.store)).back_up("monday")
    assert report.totals.new_files == 0


class Encrypted(Wrapped):
    """A bucket whose digests look like MD5 and are none, as with SSE-KMS; a listing does not tell."""

    fetched = 0

    def fetch(self, key: str, sink: Sink) -> StoredObject:
        self.fetched += 1
        return self.store.fetch(key, sink)

    def list(self, folder: str) -> Iterator[StoredObject]:
        return (self._other(stored) for stored in self.store.list(folder))

    def head(self, key: str) -> StoredObject:
        return replace(self._other(self.store.head(key)), opaque=True)

    def upload(self, key: str, source: Source) -> StoredObject:
        return replace(self._other(self.store.upload(key, source)), opaque=True)

    def _other(self, stored: StoredObject) -> StoredObject:
        return replace(stored, digest=(stored.digest or "")[::-1])


def test_digests_that_only_look_like_md5_do_not_send_anything_again(memory_world: World) -> None:
    world = memory_world
    for file, body in world.node.contents().items():
        world.owner.put(f"prod/{NAME}/data/{file}", body)
    store = Encrypted(world.store)
    encrypted = elsewhere(world, store=store)
    assert encrypted.back_up("monday").totals.new_files == 0
    world.check_backup("monday", world.node.contents())
    fetched = store.fetched
    assert fetched == len(world.node.contents())
    assert encrypted.back_up("tuesday").totals.new_files == 0
    assert store.fetched == fetched, "what is known is known by that digest too"


class LostAnswers(Wrapped):
    """Every upload is done, and then the client hears that there was something already."""

    def upload(self, key: str, source: Source) -> StoredObject:
        self.store.upload(key, source)
        return self.store.upload(key, source)


@pytest.mark.parametrize("mode", ["full", "differential"])
def test_an_answer_that_was_lost_is_no_conflict(world: World, mode: Mode) -> None:
    elsewhere(world, store=LostAnswers(world.store)).back_up("monday", mode)
    world.check_backup("monday", world.node.contents())
    assert world.announced("monday") == {"started", "finished"}


def test_a_manifest_by_somebody_else_is_refused(memory_world: World) -> None:
    world = memory_world

    class Faster(Wrapped):
        def upload(self, key: str, source: Source) -> StoredObject:
            if key.endswith("manifest.json"):
                world.owner.put(key, b"[]")
            return self.store.upload(key, source)

    with pytest.raises(Refused, match="committed by another process"):
        elsewhere(world, store=Faster(world.store)).back_up("monday")


# --- files that change while they are read ---


class Meddling(Wrapped):
    """Just before the upload of one file, something happens to it on disk."""

    def __init__(self, store: ObjectStore, end: str, act: Callable[[Path], None], times: int = 1) -> None:
        super().__init__(store)
        self._end, self._act, self._left = end, act, times

    def upload(self, key: str, source: Source) -> StoredObject:
        if key.endswith(self._end) and self._left:
            self._left -= 1
            self._act(getattr(source, "path"))  # noqa: B009 # only a file has one
        return self.store.upload(key, source)


def _grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def _exchange(path: Path) -> None:
    body = path.read_bytes()
    fresh = path.with_name("fresh")
    fresh.write_bytes(bytes(len(body)))
    fresh.rename(path)


@pytest.mark.parametrize("act", [_grow, _exchange])
@pytest.mark.parametrize("mode", ["full", "differential"])
def test_a_file_that_changed_since_the_plan_is_read_again(
    world: World, act: Callable[[Path], None], mode: Mode
) -> None:
    changed: list[bytes] = []

    def meddle(path: Path) -> None:
        act(path)
        changed.append(path.read_bytes())

    meddling = Meddling(world.store, "Filter.db", meddle)
    elsewhere(world, store=meddling).back_up("monday", mode)
    (body,) = changed
    entries = [e for e in world.entries("monday").values() if e.sha256 == hashlib.sha256(body).hexdigest()]
    assert [world.body(entry.path) for entry in entries] == [body]


def test_a_file_that_never_stands_still_ends_the_backup_without_a_manifest(world: World) -> None:
    store = Meddling(world.store, "Filter.db", _grow, times=100)
    with pytest.raises(Corrupt, match="4 readings all differed"):
        elsewhere(world, store=store).back_up("monday")
    assert "manifest.json" not in world.meta("monday")


def test_a_snapshot_that_somebody_clears_meanwhile_ends_the_backup_without_a_manifest(world: World) -> None:
    store = Meddling(world.store, "Filter.db", lambda path: path.unlink())
    with pytest.raises(NodeTrouble, match="somebody cleared the snapshot") as caught:
        elsewhere(world, store=store).back_up("monday")
    assert "clearsnapshot" in caught.value.hint
    assert "manifest.json" not in world.meta("monday")


def test_a_disk_that_gives_other_bytes_the_second_time_leaves_no_wrong_object(world: World) -> None:
    """Beside the plain key a file is read twice: for its digest, which is part of the key, and to be sent."""
    world.back_up("monday")
    world.node.rewrite_statistics()
    seen: list[str] = []

    def rot(path: Path) -> None:
        seen.append(str(path))
        status, body = path.stat(), path.read_bytes()
        with path.open("r+b") as file:
            file.write(bytes([body[0] ^ 1]))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    elsewhere(world, store=Meddling(world.store, "Statistics.db", rot)).back_up("tuesday")

    assert seen
    for key in world.listing():
        if "/data-v/" in key:
            version = key.partition("/data-v/")[2].partition("/")[0]
            assert hashlib.sha256(world.body(key)).hexdigest() == version
    for entry in world.entries("tuesday").values():
        assert hashlib.sha256(world.body(entry.path)).hexdigest() == entry.sha256
