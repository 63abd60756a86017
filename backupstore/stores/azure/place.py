"""Where the requests for one container go: host, and the paths of the Blob service."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from backupstore.stores.http.address import authority_of, usual_port

PUBLIC = "windows.net"


@dataclass(frozen=True, slots=True)
class Place:
    """One container of one account. ``in_path``: the account stands in the path, as emulators have it, not in the host."""

    account: str
    container: str
    host: str
    port: int = usual_port(secure=True)
    secure: bool = True
    in_path: bool = False

    @property
    def authority(self) -> str:
        """The Host header."""
        return authority_of(self.host, self.port, secure=self.secure)

    @property
    def root(self) -> str:
        """The path of the container."""
        name = quote(self.container, safe="")
        return f"/{self.account}/{name}" if self.in_path else f"/{name}"

    def object(self, key: str) -> str:
        """The path of a blob."""
        return f"{self.root}/{quote(key)}"

    def __str__(self) -> str:
        """As a person knows it."""
        return f"{'https' if self.secure else 'http'}://{self.authority}{self.root}"


def at_azure(account: str, container: str, domain: str = PUBLIC, port: int | None = None) -> Place:
    """In the public cloud, or in the one of that domain, such as ``chinacloudapi.cn``."""
    return Place(account, container, f"{account}.blob.core.{domain}", port or usual_port(secure=True))


def own(account: str, container: str, host: str, port: int | None, *, secure: bool) -> Place:
    """On a server that has the account in its paths, such as the emulator."""
    return Place(account, container, host.strip("[]"), port or usual_port(secure=secure), secure, in_path=True)
