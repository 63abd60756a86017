"""Real S3 servers, one of each kind for a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness import s3_servers
from tests.harness.s3_servers import S3Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_servers.versitygw(tmp_path_factory.mktemp("versitygw")) as running:
        yield running


@pytest.fixture(scope="module")
def minio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_servers.minio(tmp_path_factory.mktemp("minio")) as running:
        yield running
