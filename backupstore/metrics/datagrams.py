"""Sending UDP datagrams to a receiver that may not be there: nothing waits for it, and nothing fails because of it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable


class Datagrams:
    """``warn`` is told once when nothing can be sent; a receiver that does not listen shows no sign, and is not told."""

    def __init__(self, host: str, port: int, warn: Callable[[str], None]) -> None:
        self._host = host
        self._port = port
        self._warn = warn
        self._has_warned = False

    def send(self, bodies: Iterable[bytes]) -> bool:
        """One datagram each. False when one could not be sent."""
        sent = [self._send(body) for body in bodies]
        return all(sent)

    def _send(self, body: bytes) -> bool:
        try:
            found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_DGRAM)
            # "localhost" is often two addresses, and agents mostly listen on the one of IPv4.
            family, kind, protocol, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
            with socket.socket(family, kind, protocol) as sender:
                sender.sendto(body, address)
        except (OSError, OverflowError, UnicodeError) as error:
            if not self._has_warned:
                self._has_warned = True
                self._warn(f"metrics cannot be sent to {self._host}:{self._port}: {error}; the work goes on")
            return False
        return True
