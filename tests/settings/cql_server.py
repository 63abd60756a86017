"""As much of a CQL server as it takes to see who logs in, and whether with a certificate: it refuses every login."""

from __future__ import annotations

import socketserver
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

_HEADER = struct.Struct(">BBhBi")
_OPTIONS, _STARTUP, _AUTH_RESPONSE = 5, 1, 15
_ERROR, _AUTHENTICATE, _SUPPORTED = 0, 3, 6
_BAD_CREDENTIALS = 0x0100


@dataclass
class CqlServer:
    """Where it listens, and the logins that it was sent."""

    port: int
    logins: list[tuple[str, str]] = field(default_factory=list)


@contextmanager
def cql_server(folder: Path | None = None) -> Iterator[CqlServer]:
    """The server on loopback. With a folder it speaks TLS by ``cert.pem`` and ``key.pem`` there.

    Clients then must bring a certificate that ``cert.pem`` has signed.
    """

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with suppress(OSError, struct.error):
                while head := self.rfile.read(_HEADER.size):
                    version, _, stream, operation, length = _HEADER.unpack(head)
                    kind, body = _answer(operation, self.rfile.read(length), kept.logins)
                    self.wfile.write(_HEADER.pack(0x80 | version, 0, stream, kind, len(body)) + body)

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

        def get_request(self) -> tuple[ssl.SSLSocket, tuple[str, int]]:
            accepted, address = super().get_request()
            return (context.wrap_socket(accepted, server_side=True) if context else accepted), address  # type: ignore[return-value]

    context = _mutual(folder) if folder else None
    with Server(("127.0.0.1", 0), Handler) as server:
        kept = CqlServer(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield kept
        finally:
            server.shutdown()
            thread.join()


def _mutual(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    context.load_verify_locations(folder / "cert.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # there a client learns in the handshake that it is refused
    return context


def _answer(operation: int, body: bytes, logins: list[tuple[str, str]]) -> tuple[int, bytes]:
    if operation == _OPTIONS:
        offered = {"PROTOCOL_VERSIONS": "4/v4", "CQL_VERSION": "3.4.7", "COMPRESSION": "none"}
        entries = (_text(name) + struct.pack(">H", 1) + _text(value) for name, value in offered.items())
        return _SUPPORTED, struct.pack(">H", len(offered)) + b"".join(entries)
    if operation == _STARTUP:
        return _AUTHENTICATE, _text("org.apache.cassandra.auth.PasswordAuthenticator")
    if operation == _AUTH_RESPONSE:
        _, user, password = body[4:].split(b"\0")
        logins.append((user.decode(), password.decode()))
    return _ERROR, struct.pack(">i", _BAD_CREDENTIALS) + _text("no")


def _text(text: str) -> bytes:
    return struct.pack(">H", len(text)) + text.encode()
