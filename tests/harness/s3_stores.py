"""Our store over a bucket of a test server."""

from __future__ import annotations

from dataclasses import dataclass, replace

from backupstore.clock import SystemClock
from backupstore.ports import Clock
from backupstore.stores.http.pool import Wire
from backupstore.stores.http.retry import Patience
from backupstore.stores.s3.credentials import KeySource
from backupstore.stores.s3.endpoint import own
from backupstore.stores.s3.options import Storing
from backupstore.stores.s3.signing import Keys
from backupstore.stores.s3.store import S3Store
from tests.harness.s3_servers import REGION, S3Server

_MIB = 1 << 20

_SOME = Patience(seconds=20)

SMALL_PARTS = Storing(threshold=8 * _MIB, part_size=5 * _MIB, range_size=2 * _MIB)
"""Parts so small that a test of some MiB has several."""


class FixedKeys:
    """``KeySource`` of keys that never change."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def current(self) -> Keys:
        return self._keys

    def renewed(self, refused: Keys) -> Keys:  # noqa: ARG002 -- the protocol's
        return self._keys


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """What is not as usual. ``port``: that of a proxy in front of the server; ``keys``: somebody else's."""

    port: int = 0
    region: str = REGION
    keys: KeySource | None = None
    storing: Storing = SMALL_PARTS
    wire: Wire | None = None
    patience: Patience = _SOME
    clock: Clock | None = None


def opened(server: S3Server, bucket: str, how: How | None = None) -> S3Store:
    """The store."""
    how = how or How()
    return S3Store(
        own(bucket, how.region, (server.host, how.port or server.port), secure=server.authority is not None),
        how.keys or FixedKeys(Keys(server.access, server.secret)),
        how.clock or SystemClock(),
        wire=replace(how.wire or Wire(ca_file=server.authority), patience=how.patience),
        storing=how.storing,
    )


def after_a_write(store: S3Store, *, knows_crc: bool = True) -> S3Store:
    """The store as if it had written once, and learnt what its server can do."""
    store._client.integrity.learn(knows_crc)
    return store
