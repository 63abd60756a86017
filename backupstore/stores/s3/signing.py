"""AWS Signature Version 4 of one request, and no more of it than S3 needs: pure, so that botocore can be its oracle.

The signing key of a day is kept: a signature is then two digests, some 20 µs.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import quote

UNSIGNED = "UNSIGNED-PAYLOAD"

_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Keys:
    """Who asks."""

    access: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Unsigned:
    """What is signed: ``path`` and ``query`` as they are sent; names of headers in lower case, ``host`` among them."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    payload: str


def query_string(parameters: Mapping[str, str]) -> str:
    """The query as it is both sent and signed: sorted, every value encoded."""
    return "&".join(f"{quote(name, safe='-_.~')}={quote(parameters[name], safe='-_.~')}" for name in sorted(parameters))


def signed(request: Unsigned, keys: Keys, *, region: str, now: float) -> dict[str, str]:
    """The headers of the request with those that make it valid for some minutes from ``now`` (epoch seconds)."""
    stamp = _stamp(int(now))
    headers = {**request.headers, "x-amz-date": stamp, "x-amz-content-sha256": request.payload}
    if keys.token:
        headers["x-amz-security-token"] = keys.token
    names = sorted(headers)
    listed = ";".join(names)
    lines = "".join([f"{name}:{_trimmed(headers[name])}\n" for name in names])
    canonical = f"{request.method}\n{request.path}\n{request.query}\n{lines}\n{listed}\n{request.payload}"
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    text = f"{_ALGORITHM}\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.digest(_signing_key(keys.secret, stamp[:8], region), text.encode(), "sha256").hex()
    headers["authorization"] = (
        f"{_ALGORITHM} Credential={keys.access}/{scope}, SignedHeaders={listed}, Signature={signature}"
    )
    return headers


def _trimmed(value: str) -> str:
    return " ".join(value.split()) if "  " in value else value.strip()


@lru_cache(maxsize=4)
def _stamp(now: int) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))


@lru_cache(maxsize=4)
def _signing_key(secret: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
