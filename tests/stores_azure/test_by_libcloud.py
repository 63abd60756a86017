"""A second opinion on what a blob at Azure is: libcloud's driver reads what we wrote, and we read what it wrote."""

from __future__ import annotations

import base64
import hashlib
from typing import Any, TypeAlias

import pytest
from libcloud.storage.drivers.azure_blobs import AzureBlobsStorageDriver

from backupstore.stores.azure.store import AzureStore
from tests.conformance.samples import MIB, Pattern, fetched_sha256, whole
from tests.harness.azurite import ACCOUNT, HOST, SECRET, Azurite

BUCKET = "second"

Untyped: TypeAlias = Any
"""libcloud's driver has no types."""


@pytest.fixture(scope="module")
def driver(server: Azurite) -> Untyped:
    make: Any = AzureBlobsStorageDriver
    return make(key=ACCOUNT, secret=SECRET, host=HOST, port=server.port, secure=False)


@pytest.mark.parametrize("size", [0, 10_000, 9 * MIB])
def test_it_reads_what_we_wrote(store: AzureStore, driver: Untyped, key: str, size: int) -> None:
    source = whole(size)
    stored = store.upload(key, source)
    found = driver.get_object(BUCKET, key)
    body = b"".join(driver.download_object_as_stream(found))
    assert hashlib.sha256(body).hexdigest() == source.sha256
    assert stored.digest == base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode(), (
        "as stock compares it"
    )
    assert found.extra["md5_hash"] == hashlib.md5(body, usedforsecurity=False).hexdigest()
    assert [each.name for each in driver.iterate_container_objects(found.container, prefix=key)] == [key]


@pytest.mark.parametrize("size", [10_000, 9 * MIB])
def test_we_read_what_it_wrote(store: AzureStore, driver: Untyped, key: str, size: int) -> None:
    source: Pattern = whole(size)
    driver.upload_object_via_stream(source.chunks(), driver.get_container(BUCKET), key)
    assert fetched_sha256(store, key) == source.sha256
    assert store.head(key).size == size
    (listed,) = store.list(key.rpartition("/")[0] + "/")
    assert listed == store.head(key)
