"""Servers for all of these tests; each module has a container of its own on them, and says its name as ``BUCKET``."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from backupstore.stores.azure.store import AzureStore
from tests.harness.azurite import HOST, Azurite, How, azurite, opened
from tests.harness.faulty_proxy import FaultyProxy, faulty_proxy


@pytest.fixture(scope="session")
def plain_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    with azurite(tmp_path_factory.mktemp("azurite")) as running:
        yield running


@pytest.fixture(scope="module")
def bucket(request: pytest.FixtureRequest) -> str:
    return str(request.module.BUCKET)


@pytest.fixture(scope="module")
def server(plain_server: Azurite, bucket: str) -> Azurite:
    """The server, with the module's container."""
    plain_server.container(bucket)
    return plain_server


@pytest.fixture
def proxy(server: Azurite) -> Iterator[FaultyProxy]:
    with faulty_proxy(HOST, server.port) as running:
        yield running


@pytest.fixture
def store(server: Azurite, proxy: FaultyProxy, bucket: str) -> AzureStore:
    """The store behind the proxy."""
    return opened(server, bucket, How(port=proxy.port))


@pytest.fixture
def key() -> str:
    """In a folder of its own."""
    return f"{uuid.uuid4().hex}/a"
