"""Google's own client and ours on one bucket: what one writes the other reads, down to the checksums."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from google.api_core.exceptions import PreconditionFailed
from google.auth.credentials import AnonymousCredentials
from google.cloud.storage import Client

from backupstore.errors import Conflict
from backupstore.stores.gcs.options import Storing
from tests.conformance.samples import MIB, fetched_sha256, keys_below, whole
from tests.harness.gcs_server import GcsServer, How, opened

BUCKET = "together"


@pytest.fixture(scope="module")
def theirs(server: GcsServer) -> Iterator[Any]:
    nobody: Any = AnonymousCredentials  # without types
    client = Client(project="lab", credentials=nobody(), client_options={"api_endpoint": server.url})
    yield client.bucket(BUCKET)
    client.close()


@pytest.mark.parametrize("size", [0, 10, 3 * MIB])
def test_they_read_what_we_write(server: GcsServer, theirs: Any, size: int, key: str) -> None:  # noqa: ANN401
    source = whole(size)
    stored = opened(server, BUCKET, How(storing=Storing(piece=MIB))).upload(key, source)
    blob = theirs.get_blob(key)
    body = blob.download_as_bytes(checksum="crc32c")
    assert hashlib.sha256(body).hexdigest() == source.sha256
    assert blob.content_type == "application/octet-stream"
    assert stored.digest == blob.md5_hash == base64.b64encode(hashlib.md5(body).digest()).decode()  # noqa: S324
    assert stored.modified == blob.time_created.timestamp()


@pytest.mark.parametrize("size", [0, 10, 9 * MIB])
def test_we_read_what_they_write(server: GcsServer, theirs: Any, size: int, key: str) -> None:  # noqa: ANN401
    source = whole(size)
    blob = theirs.blob(key)
    blob.upload_from_string(b"".join(source.chunks()))
    store = opened(server, BUCKET)
    assert fetched_sha256(store, key) == source.sha256
    assert store.head(key).digest == blob.md5_hash
    assert store.read(key).version == str(blob.generation)
    assert keys_below(store, key.removesuffix("a")) == [key]


def test_conditions_hold_between_us(server: GcsServer, theirs: Any, key: str) -> None:  # noqa: ANN401
    store = opened(server, BUCKET)
    store.create(key, b"ours")
    with pytest.raises(PreconditionFailed):
        theirs.blob(key).upload_from_string(b"theirs", if_generation_match=0)
    version = store.read(key).version
    theirs.blob(key).upload_from_string(b"theirs", if_generation_match=int(version))
    with pytest.raises(Conflict):
        store.replace(key, b"ours again", version)
    with pytest.raises(Conflict):
        store.create(key, b"ours again")
