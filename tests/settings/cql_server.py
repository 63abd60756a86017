"""As much of a CQL server as it takes to see who logs in, and whether with a certificate: it refuses every login."""

from __future__ import annotations

import socketserver
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.harness.listening import listening, tls

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

    with listening(Handler, tls(folder, mutual=True) if folder else None) as port:
        kept = CqlServer(port)
        yield kept


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
