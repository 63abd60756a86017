"""Open connections: how to make one, through a proxy and TLS or not, and those that wait to be used again."""

from __future__ import annotations

import base64
import socket
import ssl
import weakref
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from backupstore.errors import Misconfigured
from backupstore.ports import Clock
from backupstore.stores.bandwidth import Bandwidth
from backupstore.stores.http.address import Address
from backupstore.stores.http.connection import Broken, Connection, Request
from backupstore.stores.http.head import BadAnswer
from backupstore.stores.http.retry import PATIENT, Patience

_SMALL_BUFFER = 256 << 10
_TUNNEL_OPEN = 200
_IDLE_MOST = 64
_TRUSTED_IDLE = 1.0  # seconds; what waited longer is looked at before it is used
_LONGEST_IDLE = 20.0  # servers close theirs after some such time


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """How to connect, and how long to try. ``proxy``: a URL; ``verify`` and ``ca_file`` say whose certificates are believed."""

    verify: bool = True
    ca_file: Path | None = None
    proxy: str | None = None
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    bandwidth: Bandwidth | None = None
    patience: Patience = PATIENT


class Pool:
    """Connections to one endpoint: taken by a thread for one request, and put back after it."""

    def __init__(self, endpoint: Address, wire: Wire, clock: Clock) -> None:
        self._endpoint = endpoint
        self._wire = wire
        self._clock = clock
        self._context = tls_context(wire) if endpoint.secure else None
        self._idle: deque[Connection] = deque()
        weakref.finalize(self, _close_all, self._idle)  # when nobody has the store any more

    def take(self) -> tuple[Connection, bool]:
        """A connection, and whether it was used before. OSError when there is none to be had."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return connect(self._endpoint, self._wire, self._context), False
            idle = self._clock.running() - connection.put_aside
            if idle < _TRUSTED_IDLE or (idle < _LONGEST_IDLE and not connection.is_stale()):
                return connection, True
            connection.close()

    def put(self, connection: Connection) -> None:
        """The request is over."""
        if not connection.usable or len(self._idle) >= _IDLE_MOST:
            connection.close()
            return
        connection.put_aside = self._clock.running()
        self._idle.append(connection)

    def close(self) -> None:
        """Close what is idle."""
        _close_all(self._idle)


def _close_all(idle: deque[Connection]) -> None:
    while idle:
        idle.pop().close()


def tls_context(wire: Wire) -> ssl.SSLContext:
    """Whose certificates are believed. Misconfigured when the file of authorities cannot be used."""
    try:
        context = ssl.create_default_context(cafile=str(wire.ca_file) if wire.ca_file else None)
    except OSError as error:
        raise Misconfigured(
            (f"The certificate authorities in {wire.ca_file} cannot be used: {error}.",),
            hint="Give a file of certificates in PEM form.",
        ) from error
    if not wire.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def connect(endpoint: Address, wire: Wire, context: ssl.SSLContext | None) -> Connection:
    """Open a connection, through the proxy if there is one. OSError."""
    address = (endpoint.host, endpoint.port)
    proxy = urlsplit(wire.proxy) if wire.proxy else None
    if proxy is not None:
        address = (proxy.hostname or "", proxy.port or 80)
    sock: socket.socket = socket.create_connection(address, timeout=wire.connect_timeout)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if wire.bandwidth is not None:  # what waits in the kernel has passed the network without being counted
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER)
        if context is not None:
            if proxy is not None:
                _tunnel(sock, endpoint, proxy_authorization(wire.proxy))
            sock = context.wrap_socket(sock, server_hostname=endpoint.host)
        connection = Connection(sock, wire.bandwidth)
        connection.keep_time(wire.read_timeout)
    except OSError:
        sock.close()
        raise
    return connection


def proxy_authorization(proxy: str | None) -> dict[str, str]:
    """The header with the user of the proxy's URL, if it has one."""
    parts = urlsplit(proxy or "")
    if parts.username is None:
        return {}
    user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"proxy-authorization": f"Basic {base64.b64encode(user.encode()).decode()}"}


def _tunnel(sock: socket.socket, endpoint: Address, headers: Mapping[str, str]) -> None:
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    lines = [f"CONNECT {host}:{endpoint.port} HTTP/1.1", f"host: {host}:{endpoint.port}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    carrier = Connection(sock, None)
    try:
        answer = carrier.ask(Request(head="\r\n".join([*lines, "", ""]).encode(), head_only=True))
    except Broken as broken:
        raise broken.error from broken
    if answer.status != _TUNNEL_OPEN:
        raise BadAnswer(f"the proxy answered {answer.status} to CONNECT")
