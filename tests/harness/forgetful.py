"""Makes a server forget conditions, as rclone and old Ceph do: a proxy leaves them out of requests, and signs these anew."""

from __future__ import annotations

import time
from collections.abc import Callable

from backupstore.stores.s3.signing import Keys, Unsigned, signed
from tests.harness.s3_servers import REGION, S3Server

_CONDITIONS = frozenset({"if-match", "if-none-match"})
_MADE_ANEW = frozenset({"authorization", "x-amz-date", "x-amz-content-sha256"})


def without_conditions(server: S3Server, *, only_in: str = "") -> Callable[[str, str, bytes], bytes]:
    """For ``FaultyProxy.rewrite``. ``only_in``: text of the targets whose conditions are forgotten."""

    def rewrite(method: str, target: str, raw: bytes) -> bytes:
        first, *lines = raw.decode("latin-1").rstrip("\r\n").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if only_in not in target or not _CONDITIONS.intersection(headers):
            return raw
        payload = headers["x-amz-content-sha256"]
        kept = {name: value for name, value in headers.items() if name not in _CONDITIONS | _MADE_ANEW}
        covered = {name: value for name, value in kept.items() if name.startswith("x-amz-") or name == "host"}
        path, _, query = target.partition("?")
        keys = Keys(server.access, server.secret)
        new = signed(Unsigned(method, path, query, covered, payload), keys, region=REGION, now=time.time())
        text = [
            first,
            *[f"{name}: {value}" for name, value in {**kept, **new}.items()],
            "",
            "",
        ]
        return "\r\n".join(text).encode("latin-1")

    return rewrite
