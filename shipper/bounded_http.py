"""An HTTP server that strangers cannot wear out: so many connections at once, one request each, read within a few seconds.

What the programs answer there differs; how they listen does not. No URL is ever logged, for it may hold a secret.
"""

from __future__ import annotations

import io
import logging
import socket
import socketserver
import threading
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

from backupstore.errors import Misconfigured
from backupstore.ports import Clock
from backupstore.settings.kinds import ListenAddress

_log = logging.getLogger("medusa-shipper")
_PATIENCE = 0.5  # seconds that a sender may have to wait for another one to end
_CLOSING = 0.1  # seconds that closing may take


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one sender may use up: seconds for a whole request, bytes of its body, connections at once."""

    seconds: float = 10.0
    body: int = 1 << 20
    connections: int = 64


class BoundedServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Listens as soon as it is made, and answers once it is ``started``. ``what``: how its requests are spoken of."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    what = "request"

    def __init__(
        self, address: ListenAddress, handler: type[BoundedHandler], clock: Clock, bounds: Bounds | None = None
    ) -> None:
        self.address_family = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)[0][0]
        self.clock = clock
        self.bounds = bounds or Bounds()
        self._room = threading.BoundedSemaphore(self.bounds.connections)
        super().__init__(address, handler)

    def started(self) -> None:
        """Answer from now on, in threads."""
        threading.Thread(target=self.serve_forever, args=(_CLOSING,), name=self.what, daemon=True).start()

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 -- as socketserver has it
        """Begin a thread, if there is room for one."""
        if self._room.acquire(timeout=_PATIENCE):
            try:
                super().process_request(request, client_address)
            except RuntimeError:  # no further thread can be started
                self._room.release()
                raise
        else:
            _log.warning("%s of %s refused: too many connections at once", self.what, client_address[0])
            request.settimeout(0)
            with suppress(OSError):
                request.send(b"HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 -- the same
        """Answer, and make room."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002 -- the same
        """Whoever asked went away."""
        _log.warning("%s of %s was cut off", self.what, client_address[0])
        _log.debug("raised here:", exc_info=True)


class BoundedHandler(BaseHTTPRequestHandler):
    """One request, and the end of the connection: some senders never close theirs."""

    protocol_version = "HTTP/1.1"
    server: BoundedServer

    def setup(self) -> None:
        """Give the whole request so much time."""
        super().setup()
        end = self.server.clock.running() + self.server.bounds.seconds
        self.rfile.close()
        self.rfile = io.BufferedReader(_Timed(self.connection, self.server.clock, end))

    def handle(self) -> None:
        """One request only."""
        self.handle_one_request()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """What http.server refuses. Its own texts quote the request, which may hold a secret."""
        self.refuse(code, HTTPStatus(code).phrase)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002, ARG002 -- http.server's names
        """http.server would log the URL. Only its word for a request that took too long is missed."""
        if "timed out" in format:
            _log.warning("%s of %s refused: it took too long", self.server.what, self.client_address[0])

    def version_string(self) -> str:
        """What the header ``Server`` says."""
        return "medusa-shipper"

    def refuse(self, code: int, why: str) -> None:
        """Say no, and why."""
        _log.warning("%s of %s refused: %s", self.server.what, self.client_address[0], why)
        self.answer(code, f"{why}\n".encode())

    def answer(self, code: int, body: bytes = b"", kind: str = "text/plain; charset=utf-8") -> None:
        """The answer, after which the connection is closed."""
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


def cannot_listen(option: str, address: ListenAddress, error: OSError) -> Misconfigured:
    """There is no listening at the address that this option of ``[shipper]`` names."""
    return Misconfigured(
        (f"[shipper] {option} = {address.host}:{address.port}: {error.strerror or error}",),
        hint="Another program may listen there ('ss -ltnp' tells), or this machine has no such address.",
    )


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
