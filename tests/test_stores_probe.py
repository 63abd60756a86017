"""The probes tell a store that keeps its conditions from one that takes them and ignores them."""

from __future__ import annotations

from pathlib import Path

import pytest

from backupstore.core.layout import Layout
from backupstore.core.writers import Principal
from backupstore.ports import ObjectStore, StoredObject
from backupstore.stores.local import LocalStore
from backupstore.stores.memory import MemoryBucket, MemoryStore
from backupstore.stores.probe import probe_compare_and_swap, probe_create_only

LAYOUT = Layout("prod")
KEY = LAYOUT.catalog_probe()


class Unconditional(MemoryStore):
    """As rclone and old Ceph answer: the condition is taken and ignored."""

    def create(self, key: str, body: bytes) -> StoredObject:
        return self.put(key, body)

    def replace(self, key: str, body: bytes, version: str) -> StoredObject:  # noqa: ARG002 - that is the point
        return self.put(key, body)


@pytest.fixture(params=["memory", "local"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return LocalStore(tmp_path / "bucket") if request.param == "local" else MemoryBucket().open(None)


@pytest.fixture
def unconditional() -> ObjectStore:
    return Unconditional(MemoryBucket(), None, LAYOUT, "")


def test_a_store_that_keeps_create_only(store: ObjectStore) -> None:
    assert probe_create_only(store, "a", b"first")
    assert store.read("a").body == b"first"
    assert probe_create_only(store, "a", b"second")
    assert store.read("a").body == b"first"


def test_a_store_that_ignores_create_only(unconditional: ObjectStore) -> None:
    assert not probe_create_only(unconditional, "a", b"first")
    assert unconditional.read("a").body == b"first"


def test_a_store_that_compares_and_swaps(store: ObjectStore) -> None:
    assert probe_compare_and_swap(store, KEY, "r1")
    assert probe_compare_and_swap(store, KEY, "r2")
    assert probe_compare_and_swap(store, KEY, "r2")


def test_a_store_that_only_swaps(unconditional: ObjectStore) -> None:
    assert not probe_compare_and_swap(unconditional, KEY, "r1")
    assert not probe_compare_and_swap(unconditional, KEY, "r2")


def test_each_principal_may_probe_what_it_needs() -> None:
    bucket = MemoryBucket()
    shipper = bucket.open(Principal.SHIPPER, LAYOUT, "n1")
    assert probe_create_only(shipper, LAYOUT.announced("n1", "b1", "started"), b"{}")
    assert probe_compare_and_swap(bucket.open(Principal.INDEXER, LAYOUT), KEY, "r1")
