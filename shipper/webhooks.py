"""The HTTP door of ``serve``: webhooks of MinIO, Ceph RGW and versitygw when an object changed, and Prometheus' scrapes.

A message is answered with a success as soon as its hint waits in the inbox, and never worked on here. Strangers get
nothing: one request for each connection, read within a few seconds, of a bounded size, and so many at once. What cannot
be understood is told in the log and answered with a success all the same: to send it again would not mend it, and some
senders hold everything else back until it is taken.

The secret may come in any form that some sender is capable of: as a bearer token (MinIO), as the password in the URL
(versitygw, Ceph), as ``?secret=`` or as the last part of the path. It is never logged, nor is any URL, which may hold it.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import io
import logging
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, unquote

from backupstore.core.notifications import Notified, read_notification_text
from backupstore.errors import Misconfigured
from backupstore.metrics.prometheus import CONTENT_TYPE
from backupstore.ports import Clock
from backupstore.settings.kinds import ListenAddress
from shipper.inbox import Inbox

_log = logging.getLogger("medusa-shipper")
_HEALTH = "/healthz"
_METRICS = "/metrics"
_PATIENCE = 0.5  # seconds that a sender may have to wait for another one to end
_CLOSING = 0.1  # seconds that closing may take
_PIECE = 64 << 10


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one sender may use up: seconds for a whole request, bytes of its body, connections at once."""

    seconds: float = 10.0
    body: int = 1 << 20
    connections: int = 64


@dataclass(frozen=True, slots=True)
class Door:
    """Where to listen, who may come in, and whose events count (``bucket``; empty: all)."""

    address: ListenAddress
    secret: str | None = None
    bucket: str = ""
    bounds: Bounds = Bounds()

    def opens_for(self, authorization: str, target: str) -> bool:
        """Whether the request brings the secret in one of its forms."""
        if self.secret is None:
            return True
        known = False
        for offered in _offered(authorization, target):
            known |= hmac.compare_digest(offered, self.secret.encode())
        return known


class Webhooks:
    """Listens from ``open`` until ``close``; hints go to the inbox, and ``scrape`` says what Prometheus is told."""

    def __init__(self, door: Door, inbox: Inbox, clock: Clock, scrape: Callable[[], bytes] | None = None) -> None:
        self._door = door
        self._inbox = inbox
        self._clock = clock
        self._scrape = scrape
        self._server: _Server | None = None

    def open(self) -> None:
        """Begin to listen. Misconfigured when that cannot be done at this address."""
        address = self._door.address
        try:
            family = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)[0][0]
            self._server = _Server(address, family, self._door, self._inbox, self._clock)
            self._server.scrape = self._scrape
        except OSError as error:
            raise Misconfigured(
                (f"[shipper] listen = {address.host}:{address.port}: {error.strerror or error}",),
                hint="Another program may listen there ('ss -ltnp' tells), or this machine has no such address.",
            ) from error
        threading.Thread(target=self._server.serve_forever, args=(_CLOSING,), name="webhooks", daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        server, self._server = self._server, None
        if server:
            server.shutdown()
            server.server_close()


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self, address: ListenAddress, family: socket.AddressFamily, door: Door, inbox: Inbox, clock: Clock
    ) -> None:
        self.address_family = family
        self.door = door
        self.inbox = inbox
        self.clock = clock
        self.scrape: Callable[[], bytes] | None = None
        self._room = threading.BoundedSemaphore(door.bounds.connections)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 -- as socketserver has it
        if self._room.acquire(timeout=_PATIENCE):
            try:
                super().process_request(request, client_address)
            except RuntimeError:  # no further thread can be started
                self._room.release()
                raise
        else:
            _log.warning("webhook of %s refused: too many connections at once", client_address[0])
            request.settimeout(0)
            with suppress(OSError):
                request.send(b"HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 -- the same
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002 -- the same
        _log.warning("webhook of %s was cut off", client_address[0])
        _log.debug("raised here:", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    """One request, and the end of the connection: some senders never close theirs."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        self._bounds = self.server.door.bounds
        end = self.server.clock.running() + self._bounds.seconds
        self.rfile.close()
        self.rfile = io.BufferedReader(_Timed(self.connection, self.server.clock, end))

    def handle(self) -> None:
        self.handle_one_request()

    def do_POST(self) -> None:
        length = self._length()
        if length is None:
            return
        if not self.server.door.opens_for(self.headers.get("Authorization", ""), self.path):
            self._refuse(HTTPStatus.UNAUTHORIZED, "the secret is missing or wrong")
            self._drain(length)
            return
        body = self.rfile.read(length)
        if len(body) < length:
            self._refuse(HTTPStatus.BAD_REQUEST, "it ended too early")
        elif self._taken(read_notification_text(body, self.server.door.bucket)):
            self._answer(HTTPStatus.NO_CONTENT)
        else:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "too many hints are waiting")

    def do_GET(self) -> None:
        path, scrape = self.path.partition("?")[0], self.server.scrape
        if path == _HEALTH:
            self._answer(HTTPStatus.OK, b"ok\n")
        elif path != _METRICS or scrape is None:
            self._refuse(HTTPStatus.NOT_FOUND, f"only {_HEALTH} and {_METRICS} can be read")
        elif not self.server.door.opens_for(self.headers.get("Authorization", ""), self.path):
            self._refuse(HTTPStatus.UNAUTHORIZED, "the secret is missing or wrong")
        else:
            self._answer(HTTPStatus.OK, scrape(), CONTENT_TYPE)

    def do_HEAD(self) -> None:
        self.do_GET()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """What http.server refuses. Its own texts quote the request, which may hold the secret."""
        self._refuse(code, HTTPStatus(code).phrase)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002, ARG002 -- http.server's names
        """http.server would log the URL. Only its word for a request that took too long is missed."""
        if "timed out" in format:
            _log.warning("webhook of %s refused: it took too long", self.client_address[0])

    def version_string(self) -> str:
        """What the header ``Server`` says."""
        return "medusa-shipper"

    def _length(self) -> int | None:
        """The length of the body, or None after a refusal."""
        text = self.headers.get("Content-Length", "")
        if self.headers.get("Transfer-Encoding") or not text.isdecimal():
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "it does not tell its length")
        elif len(text) > len(str(self._bounds.body)) or int(text) > self._bounds.body:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"it is larger than {self._bounds.body} bytes")
        else:
            return int(text)
        return None

    def _drain(self, length: int) -> None:
        """Drop the body, a piece at a time: to close while it is being sent would break the answer off as well."""
        while length > 0 and (piece := self.rfile.read1(min(length, _PIECE))):
            length -= len(piece)

    def _taken(self, notified: Notified) -> bool:
        if notified.unreadable:
            first, *more = notified.unreadable
            also = f" (and {len(more)} parts more)" if more else ""
            _log.error("a webhook of %s %s%s", self.client_address[0], first, also)
        for bucket in notified.elsewhere:
            _log.debug("a webhook of %s tells of another bucket, %s", self.client_address[0], ascii(bucket))
        return self.server.inbox.put(notified.events)

    def _refuse(self, code: int, why: str) -> None:
        _log.warning("webhook of %s refused: %s", self.client_address[0], why)
        self._answer(code, f"{why}\n".encode())

    def _answer(self, code: int, body: bytes = b"", kind: str = "text/plain; charset=utf-8") -> None:
        self.close_connection = True
        self.request_version = self.protocol_version  # a request of no version gets headers all the same
        self.send_response(code)
        self.send_header("Connection", "close")
        if code != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class _Timed(io.RawIOBase):
    """A connection that can be read until a moment, however little comes at a time."""

    def __init__(self, connection: socket.socket, clock: Clock, end: float) -> None:
        self._connection = connection
        self._clock = clock
        self._end = end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 -- as io has it
        left = self._end - self._clock.running()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)


def _offered(authorization: str, target: str) -> Iterator[bytes]:
    """All that may be meant as the secret."""
    scheme, _, value = authorization.strip().partition(" ")
    yield (value.strip() or scheme).encode(errors="replace")
    if scheme.lower() == "basic":
        with suppress(binascii.Error, ValueError):
            yield base64.b64decode(value.strip(), validate=True).partition(b":")[2]
    path, _, query = target.partition("?")
    for name, offered in parse_qsl(query):
        if name == "secret":
            yield offered.encode(errors="replace")
    yield unquote(path.rpartition("/")[2]).encode(errors="replace")
