"""A real server that speaks as Google Cloud Storage does, on loopback: fake-gcs-server, its objects in memory.

What it does not do as Google: it believes any token or none, ignores conditions of deletions and downloads, appends a piece of a
resumable upload that is sent twice, and does not compare the checksum that goes with the last piece.
"""

from __future__ import annotations

import json
import ssl
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from backupstore.clock import SystemClock
from backupstore.ports import Clock
from backupstore.stores.gcs.options import Storing
from backupstore.stores.gcs.place import own
from backupstore.stores.gcs.store import GcsStore
from backupstore.stores.gcs.tokens import NoTokens, Tokens
from backupstore.stores.http.pool import Wire
from backupstore.stores.http.retry import Patience
from tests.harness.go_tools import FAKE_GCS, installed
from tests.harness.s3_servers import certificate, running

HOST = "127.0.0.1"

_LITTLE = Patience(seconds=5.0, least=4, first_pause=0.01, longest_pause=0.5)


@dataclass(frozen=True, slots=True)
class GcsServer:
    """A server that answers. ``authority``: the certificate to trust, if it speaks TLS."""

    port: int
    authority: Path | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self.authority else 'http'}://{HOST}:{self.port}"

    def bucket(self, name: str) -> str:
        """Make a bucket."""
        body = json.dumps({"name": name}).encode()
        request = urllib.request.Request(f"{self.url}/storage/v1/b?project=lab", body)  # noqa: S310 -- loopback
        request.add_header("Content-Type", "application/json")
        trusted = ssl.create_default_context(cafile=str(self.authority)) if self.authority else None
        with urllib.request.urlopen(request, context=trusted) as answer:  # noqa: S310 -- the same
            answer.read()
        return name

    def settings(self, bucket: str) -> dict[str, str]:
        """What an environment says to reach a bucket."""
        return {
            "MEDUSA_STORAGE_STORAGE_PROVIDER": "google_storage",
            "MEDUSA_STORAGE_BUCKET_NAME": bucket,
            "STORAGE_EMULATOR_HOST": self.url,
        }


@contextmanager
def fake_gcs(folder: Path, *, tls: bool = False, topic: str = "", emulator: str = "") -> Iterator[GcsServer]:
    """The server. ``topic`` of the project ``lab`` at the Pub/Sub ``emulator`` is told of every object that changes."""
    binary = installed(FAKE_GCS)
    authority = certificate(folder) if tls else None

    def command(port: int) -> list[str]:
        options = ["-backend", "memory", "-host", HOST, "-port", str(port), "-log-level", "warn"]
        options += ["-scheme", "https" if authority else "http", "-public-host", f"{HOST}:{port}"]
        if authority:
            options += ["-cert-location", str(authority)]
            options += ["-private-key-location", str(authority.with_name("key.pem"))]
        if topic:
            options += ["-event.pubsub-project-id", "lab", "-event.pubsub-topic", topic]
            options += ["-event.list", "finalize,delete,metadataUpdate"]
        return [str(binary), *options]

    environment = {"PUBSUB_EMULATOR_HOST": emulator} if emulator else {}
    with running(command, environment, folder / "log") as port:
        yield GcsServer(port, authority)


def refusal(status: int, reason: str, message: str = "as arranged", *, headers: Sequence[str] = ()) -> bytes:
    """An answer as Google gives it when it will not."""
    error = {"code": status, "message": message, "errors": [{"reason": reason, "message": message}]}
    body = json.dumps({"error": error}).encode()
    lines = [f"HTTP/1.1 {status} no", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """How a test opens a store, where it matters. ``port``: of a proxy before the server."""

    port: int | None = None
    tokens: Tokens | None = None
    storing: Storing | None = None
    clock: Clock | None = None
    wire: Wire | None = None


def opened(server: GcsServer, bucket: str, how: How | None = None) -> GcsStore:
    """Our store over a bucket of the server, of little patience."""
    how = how or How()
    return GcsStore(
        own(bucket, HOST, how.port or server.port, secure=server.authority is not None),
        how.tokens or NoTokens(),
        how.clock or SystemClock(),
        wire=replace(how.wire or Wire(ca_file=server.authority, read_timeout=20.0), patience=_LITTLE),
        storing=how.storing,
    )
