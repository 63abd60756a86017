"""A receiver of metrics: a real UDP socket on loopback."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager


class Receiver:
    """Gives what has come."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self.port = int(sock.getsockname()[1])

    def taken(self) -> list[str]:
        """Every datagram so far. What was sent on loopback before is there by now."""
        found = []
        while True:
            try:
                found.append(self._socket.recv(1 << 16, socket.MSG_DONTWAIT).decode())
            except BlockingIOError:
                return found


@contextmanager
def receiver(port: int = 0) -> Iterator[Receiver]:
    """The receiver; ``port`` 0 is any free one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", port))
        yield Receiver(sock)
