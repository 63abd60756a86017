"""Google Cloud Storage: the port's contract on a server that speaks as it does, plain and over TLS."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backupstore.ports import ObjectStore
from tests.conformance.object_store import ObjectStoreContract
from tests.harness.gcs_server import GcsServer, fake_gcs, opened

BUCKET = "contract"


@pytest.fixture(scope="module")
def over_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with fake_gcs(tmp_path_factory.mktemp("fake-gcs"), tls=True) as server:
        server.bucket(BUCKET)
        yield opened(server, BUCKET)


@pytest.mark.timeout(1800)  # the first test may have to build the server
class TestOnFakeGcs(ObjectStoreContract):
    @pytest.fixture
    def store(self, server: GcsServer) -> ObjectStore:
        return opened(server, BUCKET)


class TestOnFakeGcsOverTls(ObjectStoreContract):
    @pytest.fixture
    def store(self, over_tls: ObjectStore) -> ObjectStore:
        return over_tls
