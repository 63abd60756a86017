"""Where the requests for one bucket go: host, and the paths of Google's JSON API."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from backupstore.stores.http.address import authority_of, usual_port

GOOGLE = "storage.googleapis.com"
BATCH = "/batch/storage/v1"


@dataclass(frozen=True, slots=True)
class Place:
    """One bucket on one server."""

    bucket: str
    host: str = GOOGLE
    port: int = usual_port(secure=True)
    secure: bool = True

    @property
    def authority(self) -> str:
        """The Host header."""
        return authority_of(self.host, self.port, secure=self.secure)

    @property
    def root(self) -> str:
        """The path of the bucket."""
        return f"/storage/v1/b/{quote(self.bucket, safe='')}"

    @property
    def objects(self) -> str:
        """The path of its listings."""
        return f"{self.root}/o"

    @property
    def uploads(self) -> str:
        """The path to which objects are sent."""
        return f"/upload{self.objects}"

    def object(self, key: str) -> str:
        """The path of an object."""
        return f"{self.objects}/{quote(key, safe='')}"

    def __str__(self) -> str:
        """As a person knows it."""
        return f"{'https' if self.secure else 'http'}://{self.authority}/{self.bucket}"


def own(bucket: str, host: str, port: int | None, *, secure: bool) -> Place:
    """The bucket on a server of one's own, or at an address of one's own for Google's."""
    return Place(bucket, host.strip("[]"), port or usual_port(secure=secure), secure)
