"""The port's contract by apache-libcloud's common calls, on a real MinIO."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backupstore.ports import ObjectStore
from tests.conformance.object_store import ObjectStoreContract
from tests.harness.libcloud_stores import opened
from tests.harness.s3_servers import minio

BUCKET = "contract"


@pytest.fixture(scope="module")
def by_libcloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with minio(tmp_path_factory.mktemp("minio")) as server:
        server.bucket(BUCKET)
        yield opened(server, BUCKET)


@pytest.mark.timeout(1800)  # the first test may have to build the server
class TestByLibcloud(ObjectStoreContract):
    @pytest.fixture
    def store(self, by_libcloud: ObjectStore) -> ObjectStore:
        return by_libcloud
