"""A socket that an S3 store talks to, and that keeps what it was sent. It answers as S3 does, and stores nothing."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from tests.harness.listening import HttpHandler, listening, tls

_MULTIPART = "<{0}Result><Bucket>b</Bucket><Key>k</Key><UploadId>u</UploadId><ETag>&quot;e&quot;</ETag></{0}Result>"
_EMPTY = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
_ABSENT = "<Error><Code>NoSuchKey</Code><Message>no</Message></Error>"


@dataclass(frozen=True)
class Sent:
    """A request as it came."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    size: int


@dataclass
class Recorder:
    """``gate`` is passed by each part of an upload before its answer."""

    port: int
    requests: list[Sent] = field(default_factory=list)
    gate: threading.Barrier = field(default_factory=lambda: threading.Barrier(1))

    @property
    def parts(self) -> list[Sent]:
        return [each for each in self.requests if "partNumber" in each.query]

    def only(self, method: str) -> Sent:
        (found,) = (each for each in self.requests if each.method == method)
        return found


@contextmanager
def recorder(certificate: Path | None = None) -> Iterator[Recorder]:
    """The recorder on a port of loopback; with TLS if there is a certificate."""

    class Handler(HttpHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            kept.requests.append(Sent(self.command, parts.path, parts.query, headers, len(body)))
            if "partNumber" in parts.query:
                kept.gate.wait(20)
            status, text = self._reply(parts.query)
            self.send_response(status)
            self.send_header("etag", f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"')
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(text)

        def _reply(self, query: str) -> tuple[int, bytes]:
            if self.command == "POST":
                name = "CompleteMultipartUpload" if "uploadId" in query else "InitiateMultipartUpload"
                return 200, _MULTIPART.format(name).encode()
            if self.command == "GET" and "list-type" in query:
                return 200, _EMPTY.encode()
            return (404, _ABSENT.encode()) if self.command in {"GET", "HEAD"} else (200, b"")

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer  # noqa: N815 -- the base's names

    with listening(Handler, tls(certificate.parent, mutual=False) if certificate else None) as port:
        kept = Recorder(port)
        yield kept
