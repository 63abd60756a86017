"""Where the requests for one bucket go: host, path and the Host header, in path or in virtual-host style."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from backupstore.stores.http.address import authority_of, usual_port

Style = Literal["auto", "path", "virtual"]

_HOST_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """``authority`` is the Host header, ``base`` what stands before a key in the path, ``root`` the bucket's own path."""

    bucket: str
    region: str
    host: str
    port: int
    secure: bool
    authority: str
    root: str

    def path(self, key: str = "") -> str:
        """The path of a key as it is sent and signed; of the bucket itself without one."""
        if not key:
            return self.root
        return f"{self.root.rstrip('/')}/{quote(key, safe='/-_.~')}"

    def __str__(self) -> str:
        """As a person knows it."""
        return f"{'https' if self.secure else 'http'}://{self.authority}{self.root}"


def amazon(bucket: str, region: str, *, style: Style = "auto") -> Endpoint:
    """The bucket at Amazon. ``auto``: virtual-host style where the certificate covers it, so not with dots in the name."""
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    host = f"s3.{region}.{domain}"
    virtual = style == "virtual" or (style == "auto" and _HOST_LABEL.fullmatch(bucket) is not None)
    return _placed(bucket, region, (host, usual_port(secure=True)), secure=True, virtual=virtual)


def own(
    bucket: str, region: str, address: tuple[str, int | None], *, secure: bool = True, style: Style = "auto"
) -> Endpoint:
    """The bucket on a server of one's own. ``auto`` is path style there, as it is in boto3 and so in stock Medusa."""
    host, port = address
    where = (host.strip("[]"), port or usual_port(secure=secure))
    return _placed(bucket, region, where, secure=secure, virtual=style == "virtual")


def _placed(bucket: str, region: str, address: tuple[str, int], *, secure: bool, virtual: bool) -> Endpoint:
    host, port = address
    if virtual:
        host = f"{bucket}.{host}"
    root = "/" if virtual else f"/{quote(bucket, safe='-_.~')}"
    return Endpoint(bucket, region, host, port, secure, authority_of(host, port, secure=secure), root)
