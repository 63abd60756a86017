"""What a port says before anyone logs in: whether it takes connections, and whether CQL is spoken there.

A port that is open proves little: Cassandra opens it before it can answer, and something else may listen there. The
smallest question of the native protocol, OPTIONS, needs no login and is answered with what the server supports.
"""

from __future__ import annotations

import socket
import ssl
import struct
from dataclasses import dataclass

from backupstore.errors import NodeTrouble

# Frame of the native protocol: version, flags, stream, operation, length of the body. Version 4 is what every server
# from 2.2 to 5.0 answers; the answer comes with the highest bit of the version set.
_HEADER = struct.Struct(">BBhBi")
_QUESTION = _HEADER.pack(4, 0, 0, 5, 0)
_SUPPORTED = 6
_LARGEST = 1 << 16


@dataclass(frozen=True, slots=True)
class Address:
    """Where something listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def accepts(address: Address, timeout: float) -> bool:
    """Whether the port takes TCP connections. One that does not answer in time may be filtered: it does not."""
    try:
        with socket.create_connection((address.host, address.port), timeout):
            return True
    except OSError:
        return False


def options(address: Address, timeout: float, tls: ssl.SSLContext | None = None) -> dict[str, tuple[str, ...]]:
    """What the server supports. NodeTrouble when no CQL server answers in time."""
    try:
        with socket.create_connection((address.host, address.port), timeout) as plain:
            plain.settimeout(timeout)
            if tls is None:
                return _ask(plain)
            with tls.wrap_socket(plain, server_hostname=address.host) as secured:
                return _ask(secured)
    except ssl.SSLError as error:
        raise NodeTrouble(
            f"{address} refused or failed TLS: {error.reason or error}.",
            hint="Compare certfile, usercert and userkey in [cassandra] of medusa.ini with client_encryption_options in"
            " cassandra.yaml.",
            operation="cql",
        ) from error
    except (_NoCql, struct.error, UnicodeDecodeError, ConnectionResetError, BrokenPipeError) as error:
        # A server that wants TLS hangs up, or resets the connection.
        raise _stranger(address) from error
    except OSError as error:
        raise NodeTrouble(
            f"CQL at {address} does not answer: {error.strerror or error}.",
            hint="Is Cassandra running? See 'nodetool status' and system.log. If it is, compare rpc_address and"
            " native_transport_port in cassandra.yaml with this address.",
            operation="cql",
        ) from error


def _ask(connection: socket.socket) -> dict[str, tuple[str, ...]]:
    connection.sendall(_QUESTION)
    _, _, _, operation, length = _HEADER.unpack(_read(connection, _HEADER.size))
    if operation != _SUPPORTED or not 0 <= length <= _LARGEST:
        raise _NoCql
    return _multimap(_read(connection, length))


def _read(connection: socket.socket, size: int) -> bytes:
    body = b""
    while len(body) < size:
        piece = connection.recv(size - len(body))
        if not piece:
            raise _NoCql
        body += piece
    return body


def _multimap(body: bytes) -> dict[str, tuple[str, ...]]:
    """The protocol's [string multimap]: every length and count in two bytes."""
    place = 0

    def number() -> int:
        nonlocal place
        (value,) = struct.unpack_from(">H", body, place)
        place += 2
        return int(value)

    def text() -> str:
        nonlocal place
        length = number()
        place += length
        if place > len(body):
            raise _NoCql
        return body[place - length : place].decode("utf-8")

    return {text(): tuple(text() for _ in range(number())) for _ in range(number())}


def _stranger(address: Address) -> NodeTrouble:
    return NodeTrouble(
        f"{address} takes connections, but does not speak CQL.",
        hint="If client_encryption_options are enabled in cassandra.yaml, set certfile in [cassandra] of medusa.ini;"
        " else look what listens there (ss -ltnp).",
        operation="cql",
    )


class _NoCql(Exception):
    """The answer is not the native protocol's."""
