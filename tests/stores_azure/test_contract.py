"""Azure Blob Storage: the port's contract on a server that speaks as it does, plain and over TLS."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backupstore.ports import ObjectStore
from tests.conformance.object_store import ObjectStoreContract
from tests.harness.azurite import Azurite, azurite, opened

BUCKET = "contract"


@pytest.fixture(scope="module")
def over_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with azurite(tmp_path_factory.mktemp("azurite"), tls=True) as server:
        server.container(BUCKET)
        yield opened(server, BUCKET)


class TestOnAzurite(ObjectStoreContract):
    @pytest.fixture
    def store(self, server: Azurite) -> ObjectStore:
        return opened(server, BUCKET)


class TestOnAzuriteOverTls(ObjectStoreContract):
    @pytest.fixture
    def store(self, over_tls: ObjectStore) -> ObjectStore:
        return over_tls
