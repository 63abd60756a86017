"""Servers for all of these tests; each module has a bucket of its own on them, and says its name as ``BUCKET``."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from backupstore.stores.gcs.store import GcsStore
from tests.harness.faulty_proxy import FaultyProxy, faulty_proxy
from tests.harness.gcs_server import HOST, GcsServer, How, fake_gcs, opened


@pytest.fixture(scope="session")
def plain_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GcsServer]:
    with fake_gcs(tmp_path_factory.mktemp("fake-gcs")) as running:
        yield running


@pytest.fixture(scope="module")
def bucket(request: pytest.FixtureRequest) -> str:
    return str(request.module.BUCKET)


@pytest.fixture(scope="module")
def server(plain_server: GcsServer, bucket: str) -> GcsServer:
    """The server, with the module's bucket."""
    plain_server.bucket(bucket)
    return plain_server


@pytest.fixture
def proxy(server: GcsServer) -> Iterator[FaultyProxy]:
    with faulty_proxy(HOST, server.port) as running:
        yield running


@pytest.fixture
def store(server: GcsServer, proxy: FaultyProxy, bucket: str) -> GcsStore:
    """The store behind the proxy."""
    return opened(server, bucket, How(port=proxy.port))


@pytest.fixture
def key() -> str:
    """In a folder of its own."""
    return f"{uuid.uuid4().hex}/a"
