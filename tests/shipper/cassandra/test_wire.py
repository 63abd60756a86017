"""Ports that speak CQL, that speak something else, and that keep silent."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from backupstore.errors import NodeTrouble
from shipper.cassandra.wire import Address, accepts, options

MULTIMAP = b"\x00\x01\x00\x11PROTOCOL_VERSIONS\x00\x02\x00\x043/v3\x00\x044/v4"


def frame(body: bytes, operation: int = 6) -> bytes:
    return struct.pack(">BBhBi", 0x84, 0, 0, operation, len(body)) + body


@contextmanager
def server(answer: Callable[[socket.socket], object]) -> Iterator[Address]:
    """Something on a port of its own that treats each connection so."""

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(64)
                answer(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield Address("127.0.0.1", listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def test_what_a_server_supports_is_told() -> None:
    with server(lambda connection: connection.sendall(frame(MULTIMAP))) as address:
        assert options(address, 5) == {"PROTOCOL_VERSIONS": ("3/v3", "4/v4")}
        assert accepts(address, 5)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x84\x00",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        frame(MULTIMAP, operation=0),
        frame(MULTIMAP[:-3]),
        frame(MULTIMAP)[:-3],
        frame(b"\x00\x01\x00\x01\xff\x00\x00"),
        struct.pack(">BBhBi", 0x84, 0, 0, 6, -1),
        struct.pack(">BBhBi", 0x84, 0, 0, 6, 1 << 30),
    ],
)
def test_one_that_speaks_something_else_is_told_apart(answer: bytes) -> None:
    with server(lambda connection: connection.sendall(answer)) as address:
        with pytest.raises(NodeTrouble, match="does not speak CQL") as failure:
            options(address, 5)
        assert "certfile" in failure.value.hint


def test_one_that_keeps_silent_is_not_waited_for() -> None:
    with server(lambda connection: connection.recv(1)) as address, pytest.raises(NodeTrouble, match="does not answer"):
        options(address, 0.2)


def test_a_closed_port_is_told() -> None:
    with server(lambda _: None) as address:
        pass
    assert not accepts(address, 1)
    with pytest.raises(NodeTrouble, match=f"CQL at {address} does not answer: Connection refused") as failure:
        options(address, 1)
    assert "Is Cassandra running?" in failure.value.hint


def test_addresses_are_written_so_that_the_port_can_be_told() -> None:
    assert (str(Address("10.0.0.1", 9042)), str(Address("::1", 9042))) == ("10.0.0.1:9042", "[::1]:9042")
