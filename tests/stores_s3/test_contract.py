"""S3: the port's contract on real servers, plain and over TLS."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backupstore.ports import ObjectStore
from tests.harness import s3_servers
from tests.harness.s3_contract import MinioContract, VersitygwContract
from tests.harness.s3_servers import S3Server
from tests.harness.s3_stores import opened

BUCKET = "contract"


@pytest.fixture(scope="module")
def on_minio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with s3_servers.minio(tmp_path_factory.mktemp("minio")) as server:
        yield opened(server, server.bucket(BUCKET))


class TestOnVersitygw(VersitygwContract):
    @pytest.fixture
    def store(self, server: S3Server) -> ObjectStore:
        return opened(server, BUCKET)


class TestOnVersitygwOverTls(VersitygwContract):
    @pytest.fixture
    def store(self, over_tls: S3Server) -> ObjectStore:
        return opened(over_tls, BUCKET)


@pytest.mark.timeout(1800)  # the first test may have to build the server
class TestOnMinio(MinioContract):
    @pytest.fixture
    def store(self, on_minio: ObjectStore) -> ObjectStore:
        return on_minio
