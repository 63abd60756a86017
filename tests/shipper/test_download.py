"""Downloading a backup into a directory: what comes down, what is refused, and how a killed one goes on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backupstore.core import layout as grammar
from backupstore.core.layout import Layout
from backupstore.errors import Corrupt, NoSpace, NotFound, Refused
from backupstore.ports import ObjectStore, Sink, StoredObject
from backupstore.stores.memory import MemoryBucket
from shipper.backup import Limits, back_up
from shipper.begin import Request as BackupRequest
from shipper.download import Report, Request, download
from shipper.progress import Silent
from shipper.site import Site
from shipper.snapshot import Filters
from shipper.state import StateDirectory
from tests.clocks import SettableClock
from tests.killing import Point, Trigger, killed, killing
from tests.recorded import NAME, RecordedNode
from tests.shipper.backup.world import Wrapped

LAYOUT = Layout()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[RecordedNode, MemoryBucket]:
    """A node with two data directories, backed up as monday."""
    folder = tmp_path_factory.mktemp("node")
    node, bucket, clock = RecordedNode.make(folder / "node"), MemoryBucket(), SettableClock()
    site = Site(bucket.open(None), LAYOUT, node, NAME, StateDirectory(folder / "state"), clock, "bucket")
    back_up(site, BackupRequest("monday"), Limits(workers=2), Silent())
    return node, bucket


@pytest.fixture
def node(made: tuple[RecordedNode, MemoryBucket]) -> RecordedNode:
    return made[0]


@pytest.fixture
def store(made: tuple[RecordedNode, MemoryBucket]) -> ObjectStore:
    """A bucket of the test's own."""
    bucket, owner = MemoryBucket(), made[1].open(None)
    for stored in owner.list(""):
        bucket.open(None).put(stored.key, owner.read(stored.key).body)
    return bucket.open(None)


@pytest.fixture
def there(tmp_path: Path) -> Path:
    folder = tmp_path / "there"
    folder.mkdir()
    return folder


def fetch(store: ObjectStore, there: Path, *, workers: int = 3, **options: Any) -> Report:  # noqa: ANN401 - a request's
    request = Request(NAME, options.pop("backup", "monday"), there, **options)
    return download(store, LAYOUT, request, workers=workers, progress=Silent())


def held(there: Path) -> dict[str, bytes]:
    found = (path for path in there.rglob("*") if path.is_file())
    return {path.relative_to(there).as_posix(): path.read_bytes() for path in found}


META = {"schema.cql", "tokenmap.json", "manifest.json"}


def files(there: Path) -> dict[str, bytes]:
    return {name: body for name, body in held(there).items() if name not in META}


def test_everything_lies_there_as_stock_lays_it_out(node: RecordedNode, store: ObjectStore, there: Path) -> None:
    report = fetch(store, there)
    assert files(there) == node.contents()
    assert set(held(there)) - set(files(there)) == META
    for name in META:
        assert (there / name).read_bytes() == store.read(LAYOUT.meta(NAME, "monday", name)).body
    assert report.files == len(files(there))
    assert report.size == sum(map(len, files(there).values()))
    assert any((there / "shop").glob("empty_shelf-*"))


@pytest.mark.parametrize(
    ("filters", "tables"),
    [
        (Filters(keyspaces=("MixedCase",)), {"MixedCase/Tab"}),
        (Filters(tables=("shop.orders", "system.local")), {"shop/orders", "system/local"}),
        (Filters(keyspaces=("MixedCase",), tables=("shop.orders",)), {"MixedCase/Tab", "shop/orders"}),
    ],
)
def test_only_what_is_named(store: ObjectStore, there: Path, filters: Filters, tables: set[str]) -> None:
    fetch(store, there, filters=filters)
    assert {name.rpartition("-")[0].split("-")[0] for name in files(there)} == tables


def test_without_cassandras_own_keyspaces(store: ObjectStore, there: Path) -> None:
    fetch(store, there, ignore_system=True)
    assert {name.partition("/")[0] for name in files(there)} == {"shop", "MixedCase"}


@pytest.mark.parametrize(
    ("filters", "missing"),
    [
        (Filters(keyspaces=("nowhere",)), "nowhere"),
        (Filters(keyspaces=("shop", "nowhere")), "nowhere"),
        (Filters(tables=("shop.orders", "shop.order")), r"shop\.order\."),
        (Filters(keyspaces=("mixedcase",)), "mixedcase"),
    ],
)
def test_a_name_that_the_backup_does_not_have(store: ObjectStore, there: Path, filters: Filters, missing: str) -> None:
    """Even beside one that it has: half of what was asked for is not an answer."""
    with pytest.raises(NotFound, match=f"does not hold .*{missing}"):
        fetch(store, there, filters=filters)
    assert not list(there.iterdir())
    with pytest.raises(NotFound):
        fetch(store, there, filters=Filters(keyspaces=("system",)), ignore_system=True)
    with pytest.raises(Refused, match=r"keyspace\.table"):
        fetch(store, there, filters=Filters(tables=("orders",)))
    assert not list(there.iterdir())


@pytest.mark.parametrize("marked", [None, "abandoned"])
def test_no_finished_backup(store: ObjectStore, there: Path, marked: str | None) -> None:
    if marked:
        store.put(LAYOUT.meta(NAME, "monday", marked), b"{}")
    else:
        store.delete([LAYOUT.meta(NAME, "monday", grammar.MANIFEST)])
    with pytest.raises(NotFound, match="no finished backup monday"):
        fetch(store, there)
    with pytest.raises(NotFound):
        fetch(store, there, backup="tuesday")


def test_a_destination_that_is_not_there_or_not_empty(store: ObjectStore, there: Path) -> None:
    with pytest.raises(Refused, match="not a directory"):
        fetch(store, there / "nowhere")
    (there / "mine").write_text("something")
    with pytest.raises(Refused, match="not empty"):
        fetch(store, there)
    (there / "mine").rename(there / "lost+found")  # a file system's own
    fetch(store, there)
    with pytest.raises(Refused, match="not empty"):
        fetch(store, there)


def test_killed_anywhere_it_goes_on_and_fetches_nothing_twice(
    node: RecordedNode, store: ObjectStore, tmp_path: Path
) -> None:
    counting = Trigger()
    (tmp_path / "first").mkdir()
    fetch(killing(store, counting, "store"), tmp_path / "first", workers=1)
    total = len(counting.calls)
    for number in range(1, total + 1, 5):
        there = tmp_path / str(number)
        there.mkdir()
        deadly = killing(store, Trigger(Point(number, "after")), "store")
        assert killed(lambda deadly=deadly, there=there: fetch(deadly, there, workers=1))  # type: ignore[misc]
        there_already = len([name for name in files(there) if not name.endswith((".part", ".json"))])
        trigger = Trigger()
        fetch(killing(store, trigger, "store"), there)
        assert files(there) == node.contents()
        assert set(held(there)) - set(files(there)) == META
        fetched = sum(1 for kind, key in trigger.log if kind == "store.fetch" and "/meta/" not in str(key))
        assert fetched >= len(node.contents()) - there_already
        assert fetched <= len(node.contents()) - there_already + 1


def test_a_killed_one_of_something_else_is_not_mixed_with_it(store: ObjectStore, there: Path) -> None:
    deadly = killing(store, Trigger(Point(20, "after")), "store")
    assert killed(lambda: fetch(deadly, there, workers=1))
    with pytest.raises(Refused, match="unfinished download of something else"):
        fetch(store, there, filters=Filters(keyspaces=("shop",)))
    fetch(store, there)


def test_a_file_that_rotted_since_it_came_down_is_fetched_again(
    node: RecordedNode, store: ObjectStore, there: Path
) -> None:
    deadly = killing(store, Trigger(Point(20, "after")), "store")
    assert killed(lambda: fetch(deadly, there, workers=1))
    for path in there.rglob("*-Data.db"):
        path.write_bytes(bytes(path.stat().st_size))
    fetch(store, there)
    assert files(there) == node.contents()


def test_two_into_one_directory(store: ObjectStore, there: Path) -> None:
    class Second:
        """While the first one fetches, a second one begins."""

        def __getattr__(self, name: str) -> Any:  # noqa: ANN401 # whatever a store has
            return getattr(store, name)

        def fetch(self, *arguments: Any) -> Any:  # noqa: ANN401 # passes on
            with pytest.raises(Refused, match="Another download"):
                fetch(store, there)
            return store.fetch(*arguments)

    fetch(Second(), there, workers=1)


def test_a_damaged_object_leaves_no_file_with_its_name(store: ObjectStore, there: Path) -> None:
    sections = json.loads(store.read(LAYOUT.meta(NAME, "monday", grammar.MANIFEST)).body)
    path = next(each["path"] for section in sections for each in section["objects"] if "orders" in each["path"])
    body = store.read(path).body
    store.put(path, bytes([body[0] ^ 1]) + body[1:])
    with pytest.raises(Corrupt, match="damaged"):
        fetch(store, there)
    assert not (there / path.partition("/data/")[2]).exists()
    assert not (there / "manifest.json").exists()
    assert not list(there.rglob("*.part"))


class Encrypted(Wrapped):
    """The digests of stock's manifests are those of what is stored, as with SSE-KMS: only the store can tell."""

    opaque = True

    def fetch(self, key: str, sink: Sink) -> StoredObject:
        return replace(self.store.fetch(key, sink), opaque=self.opaque)


def test_a_digest_that_only_looks_like_md5_is_no_damage(node: RecordedNode, store: ObjectStore, there: Path) -> None:
    key = LAYOUT.meta(NAME, "monday", "manifest.json")
    sections = json.loads(store.read(key).body)
    for entry in (entry for section in sections for entry in section["objects"]):
        del entry["sha256"]
        entry["MD5"] = "0" * 32
    store.put(key, json.dumps(sections).encode())
    encrypted = Encrypted(store)
    encrypted.opaque = False
    with pytest.raises(Corrupt, match="MD5"):
        fetch(encrypted, there)
    encrypted.opaque = True
    fetch(encrypted, there)
    assert files(there) == node.contents()


def test_more_than_there_is_space_for(store: ObjectStore, there: Path) -> None:
    key = LAYOUT.meta(NAME, "monday", grammar.MANIFEST)
    sections = json.loads(store.read(key).body)
    next(section for section in sections if section["objects"])["objects"][0]["size"] = 1 << 50
    store.put(key, json.dumps(sections).encode())
    with pytest.raises(NoSpace, match="are needed in"):
        fetch(store, there)
    assert not list(there.iterdir())


def test_corrupt_components_come_down_with_a_warning(store: ObjectStore, there: Path) -> None:
    key = LAYOUT.meta(NAME, "monday", grammar.MANIFEST)
    sections = json.loads(store.read(key).body)
    next(section for section in sections if section["objects"])["objects"][0]["corrupt"] = "bad disk"
    store.put(key, json.dumps(sections).encode())
    told: list[str] = []

    class Listener(Silent):
        def warn(self, text: str) -> None:
            told.append(text)

    download(store, LAYOUT, Request(NAME, "monday", there), workers=2, progress=Listener())
    assert told == ["1 of these components were corrupt on the node's disk when they were backed up"]
