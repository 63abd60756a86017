"""Stores by apache-libcloud, for the tests: its MinIO driver on an S3 server of ours."""

from __future__ import annotations

from dataclasses import dataclass

from libcloud.storage.providers import get_driver

from backupstore.clock import SystemClock
from backupstore.ports import Clock
from backupstore.stores.bandwidth import Bandwidth
from backupstore.stores.http.retry import Patience
from backupstore.stores.libcloud.drivers import Access
from backupstore.stores.libcloud.store import LibcloudStore
from tests.harness.s3_servers import S3Server

_LITTLE = Patience(seconds=5.0, least=4, first_pause=0.01, longest_pause=0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """How a test opens a store, where it matters. ``port``: of a proxy before the server."""

    port: int | None = None
    clock: Clock | None = None
    bandwidth: Bandwidth | None = None
    timeout: float = 20.0


def opened(server: S3Server, bucket: str, how: How | None = None) -> LibcloudStore:
    """Our store over a bucket of the server, of little patience."""
    how = how or How()
    access = Access(
        provider="minio",
        make=get_driver("minio"),
        arguments={
            "key": server.access,
            "secret": server.secret,
            "host": server.host,
            "port": how.port or server.port,
            "secure": server.authority is not None,
        },
        container=bucket,
        timeout=how.timeout,
        ca_file=server.authority,
    )
    return LibcloudStore(access, how.clock or SystemClock(), bandwidth=how.bandwidth, patience=_LITTLE)
