"""Servers for all of these tests; each module has a bucket of its own on them, and says its name as ``BUCKET``."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from backupstore.stores.s3.store import S3Store
from tests.harness import s3_servers
from tests.harness.faulty_proxy import FaultyProxy, faulty_proxy
from tests.harness.s3_servers import S3Server
from tests.harness.s3_stores import How, opened

_OF_AWS = (
    *("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ROLE_ARN"),
    *("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
)


@pytest.fixture(scope="session")
def plain_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_servers.versitygw(tmp_path_factory.mktemp("versitygw")) as running:
        yield running


@pytest.fixture(scope="session")
def gateway_over_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_servers.versitygw(tmp_path_factory.mktemp("versitygw"), tls=True) as running:
        yield running


@pytest.fixture(scope="module")
def bucket(request: pytest.FixtureRequest) -> str:
    return str(request.module.BUCKET)


@pytest.fixture(scope="module")
def server(plain_gateway: S3Server, bucket: str) -> S3Server:
    """The gateway, with the module's bucket."""
    plain_gateway.bucket(bucket)
    return plain_gateway


@pytest.fixture(scope="module")
def over_tls(gateway_over_tls: S3Server, bucket: str) -> S3Server:
    """The same, over TLS."""
    gateway_over_tls.bucket(bucket)
    return gateway_over_tls


@pytest.fixture
def proxy(server: S3Server) -> Iterator[FaultyProxy]:
    with faulty_proxy(server.host, server.port) as running:
        yield running


@pytest.fixture
def store(server: S3Server, proxy: FaultyProxy, bucket: str) -> S3Store:
    """The store behind the proxy; it has written once, and knows what its server can do."""
    store = opened(server, bucket, How(port=proxy.port))
    store.put("warm", b"")
    proxy.requests.clear()
    return store


@pytest.fixture
def folder() -> str:
    return f"{uuid.uuid4().hex}/"


@pytest.fixture
def key(folder: str) -> str:
    """In a folder of its own."""
    return f"{folder}a"


@pytest.fixture
def without_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment in which botocore finds no credentials, not even this machine's."""
    for name in _OF_AWS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    return monkeypatch
