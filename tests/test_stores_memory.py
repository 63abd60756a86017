"""The store in memory keeps the port's contract, and gives nobody more rights than ``WRITERS`` and ``READERS`` do."""

from __future__ import annotations

import hashlib

import pytest

from backupstore.core.keys import DataKey, RowKey
from backupstore.core.layout import Layout
from backupstore.core.writers import Principal
from backupstore.errors import Conflict, Denied
from backupstore.ports import ObjectStore
from backupstore.stores.memory import MemoryBucket, MemoryStore
from tests.conformance.object_store import ObjectStoreContract
from tests.conformance.samples import whole

LAYOUT = Layout("prod")
DATA = LAYOUT.data(DataKey("n1", "ks", "cf", "me-1-big-Data.db"))
ROW = LAYOUT.row(RowKey("b1", "manifest", "n1"))


class TestMemoryStore(ObjectStoreContract):
    @pytest.fixture
    def store(self) -> ObjectStore:
        return MemoryBucket().open(None)


@pytest.fixture
def bucket() -> MemoryBucket:
    return MemoryBucket()


@pytest.fixture
def owner(bucket: MemoryBucket) -> MemoryStore:
    return bucket.open(None)


@pytest.fixture
def shipper(bucket: MemoryBucket) -> MemoryStore:
    return bucket.open(Principal.SHIPPER, LAYOUT, "n1")


@pytest.fixture
def indexer(bucket: MemoryBucket) -> MemoryStore:
    return bucket.open(Principal.INDEXER, LAYOUT)


def test_the_shipper_creates_its_own_backups(shipper: MemoryStore) -> None:
    shipper.create(LAYOUT.meta("n1", "b1", "schema.cql"), b"")
    shipper.upload(DATA, whole(10))
    shipper.create(LAYOUT.announced("n1", "b1", "started"), b"")
    assert shipper.put(LAYOUT.meta("n1", "b1", "tokenmap.json"), b"").size == 0


def test_the_shipper_reads_the_catalog_and_what_is_its_own(shipper: MemoryStore, owner: MemoryStore) -> None:
    own, other = (LAYOUT.meta(node, "b1", "schema.cql") for node in ("n1", "n10"))
    for key in (LAYOUT.head(), own, other):
        owner.create(key, b"{}")
    for key in (LAYOUT.head(), own):
        assert shipper.read(key).body == b"{}"
    assert [stored.key for stored in shipper.list("prod/n1/")] == [own]
    with pytest.raises(Denied, match="shipper n1 may not read prod/n10/b1/meta/"):
        shipper.read(other)
    for folder in ("", "prod/", "prod/n10/", "prod/index/catalog/"):
        with pytest.raises(Denied, match="shipper n1 may not list"):
            shipper.list(folder)


def test_the_indexer_lists_everything_and_reads_no_data(indexer: MemoryStore, owner: MemoryStore) -> None:
    owner.upload(DATA, whole(10))
    assert [stored.key for stored in indexer.list("")] == [DATA]
    with pytest.raises(Denied, match="indexer may not read prod/n1/data/"):
        indexer.read(DATA)


def test_the_shipper_neither_deletes_nor_overwrites(shipper: MemoryStore) -> None:
    key = LAYOUT.meta("n1", "b1", "schema.cql")
    shipper.create(key, b"first")
    with pytest.raises(Denied, match="shipper n1 may not delete prod/n1/b1/meta/"):
        shipper.delete([key])
    with pytest.raises(Denied, match="shipper n1 may not overwrite"):
        shipper.put(key, b"second")
    with pytest.raises(Denied, match="shipper n1 may not overwrite"):
        shipper.replace(key, b"second", shipper.read(key).version)
    with pytest.raises(Conflict):
        shipper.create(key, b"second")
    with pytest.raises(Conflict):
        shipper.upload(key, whole(1))
    assert shipper.read(key).body == b"first"


@pytest.mark.parametrize(
    "key",
    [
        LAYOUT.meta("n2", "b1", "schema.cql"),
        LAYOUT.meta("n10", "b1", "schema.cql"),
        LAYOUT.announced("n2", "b1", "started"),
        LAYOUT.head(),
        ROW,
        LAYOUT.latest("n1", "tokenmap.json"),
        LAYOUT.condemned("n1") + "run.json",
        Layout("other").meta("n1", "b1", "schema.cql"),
        Layout().meta("n1", "b1", "schema.cql"),
    ],
)
def test_the_shipper_writes_nowhere_else(shipper: MemoryStore, owner: MemoryStore, key: str) -> None:
    for write in (shipper.create, shipper.put):
        with pytest.raises(Denied) as caught:
            write(key, b"")
        assert caught.value.key == key
        assert caught.value.hint
    with pytest.raises(Denied):
        shipper.upload(key, whole(1))
    with pytest.raises(Denied):
        shipper.delete([key])
    assert not list(owner.list(""))


def test_a_shipper_without_a_name_writes_nothing(bucket: MemoryBucket) -> None:
    with pytest.raises(Denied):
        bucket.open(Principal.SHIPPER, LAYOUT).create(LAYOUT.meta("n1", "b1", "schema.cql"), b"")


def test_the_indexer_writes_index_and_catalog(indexer: MemoryStore) -> None:
    for key in (LAYOUT.head(), ROW, LAYOUT.latest("n1", "tokenmap.json")):
        indexer.create(key, b"1")
        indexer.replace(key, b"2", indexer.read(key).version)
        indexer.put(key, b"3")
        indexer.delete([key])
    assert not list(indexer.list(""))


def test_the_indexer_cannot_touch_data(indexer: MemoryStore, owner: MemoryStore) -> None:
    owner.create(DATA, b"data")
    for call in (
        lambda: indexer.delete([DATA]),
        lambda: indexer.put(DATA, b""),
        lambda: indexer.replace(DATA, b"", owner.read(DATA).version),
        lambda: indexer.create(LAYOUT.meta("n1", "b1", "schema.cql"), b""),
    ):
        with pytest.raises(Denied):
            call()
    assert owner.read(DATA).body == b"data"


def test_objects_carry_the_digest_that_s3_would_give(owner: MemoryStore) -> None:
    assert owner.create("a", b"body").digest == hashlib.md5(b"body", usedforsecurity=False).hexdigest()


def test_the_clock_is_an_argument() -> None:
    times = iter([100.5, 99.0])
    store = MemoryBucket(clock=lambda: next(times)).open(None)
    assert store.create("a", b"").modified == 100.5
    assert store.put("a", b"").modified == 99.0


def test_a_version_never_comes_back(owner: MemoryStore) -> None:
    owner.create("a", b"same")
    first = owner.read("a").version
    owner.delete(["a"])
    owner.create("a", b"same")
    assert owner.read("a").version != first
