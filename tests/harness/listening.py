"""A small server of a test's own: a port of loopback, a thread for each connection, and TLS where it is asked for."""

from __future__ import annotations

import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any


class HttpHandler(BaseHTTPRequestHandler):
    """HTTP/1.1 that writes no log."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base's name
        """Nothing."""


@contextmanager
def listening(handler: type[socketserver.BaseRequestHandler], context: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port that it listens on until the end."""

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

        def get_request(self) -> tuple[Any, Any]:
            accepted, address = super().get_request()
            return (context.wrap_socket(accepted, server_side=True) if context else accepted), address

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that hangs up is none of a test's business."""

    with Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def tls(folder: Path, *, mutual: bool) -> ssl.SSLContext:
    """TLS by ``cert.pem`` and ``key.pem`` there. ``mutual``: clients must bring a certificate that ``cert.pem`` has signed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    if mutual:
        context.load_verify_locations(folder / "cert.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # there a client learns in the handshake that it is refused
    return context
