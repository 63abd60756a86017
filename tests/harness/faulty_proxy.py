"""A proxy that does what networks and overloaded servers do: cuts, delays, flips bytes, loses answers, says 503.

It understands just enough of HTTP to know where a request and an answer begin and end, and counts both. Each fault is
for the next requests that it matches, and then used up.
"""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import BinaryIO

_PIECE = 64 << 10


class _Over(Exception):
    """This connection has ended."""


@dataclass(slots=True)
class Fault:
    """What happens to ``times`` requests of this method whose target holds this text, after ``spared`` ones.

    ``answer``: given instead of asking the server. ``cut_request``, ``cut_answer``: the connection ends after so many
    bytes of the body. ``lose_request``: the server never hears of it. ``lose_answer``: it does it and nobody hears of it.
    ``flip_request``, ``flip_answer``: the byte at that place of the body is changed. ``delay``: seconds before anything
    happens. ``struck``: whether it happened, for a body may end before that byte. ``then``: called where the connection ends.
    """

    method: str = ""
    target: str = ""
    times: int = 1
    spared: int = 0
    answer: bytes | None = None
    cut_request: int | None = None
    cut_answer: int | None = None
    lose_request: bool = False
    lose_answer: bool = False
    flip_request: int | None = None
    flip_answer: int | None = None
    mask: int = 0x40  # which bits of it
    delay: float = 0.0
    then: Callable[[], None] | None = None
    struck: bool = False

    def strike(self) -> None:
        """It happens: the connection ends."""
        self.struck = True
        if self.then:
            self.then()
        raise _Over


def refusal(status: int, code: str, *headers: str, message: str = "as arranged") -> bytes:
    """An answer as S3 gives it when it will not."""
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
    lines = [f"HTTP/1.1 {status} {code}", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@dataclass(slots=True)
class FaultyProxy:
    """The faults to come, and the requests that came: (method, target, headers). A forward proxy too, with CONNECT."""

    port: int
    upstream: tuple[str, int]
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    hidden: str = ""  # headers of answers that begin like this are left out
    chance: Callable[[str, str, dict[str, str]], Fault | None] | None = None  # asked when no fault is arranged
    rewrite: Callable[[str, str, bytes], bytes] | None = None  # gives the head of a request that the server is to see
    lock: threading.Lock = field(default_factory=threading.Lock)

    def seen(self, method: str, target: str = "") -> int:
        """How many such requests there were."""
        return sum(one[0] == method and target in one[1] for one in self.requests)

    def note(self, method: str, target: str, headers: dict[str, str]) -> Fault:
        """Write a request down, and find what shall happen to it."""
        with self.lock:
            self.requests.append((method, target, headers))
            for fault in self.faults:
                if fault.method in {"", method} and fault.target in target:
                    if fault.spared:
                        fault.spared -= 1
                        continue
                    fault.times -= 1
                    if not fault.times:
                        self.faults.remove(fault)
                    return fault
            return (self.chance(method, target, headers) if self.chance else None) or Fault()


class _Pair:
    """A client's connection and the one to the server that goes with it."""

    def __init__(self, client: socket.socket, proxy: FaultyProxy) -> None:
        self._proxy = proxy
        self._client = client
        self._server = socket.create_connection(proxy.upstream)
        self._server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._from_client = client.makefile("rb")
        self._from_server = self._server.makefile("rb")

    def close(self) -> None:
        self._from_client.close()
        self._from_server.close()
        self._server.close()

    def serve_one(self) -> None:
        first, raw, headers = _head(self._from_client)
        method, target, _ = first.split(" ")
        fault = self._proxy.note(method, target, headers)
        if method == "CONNECT" and fault.answer is None:
            self._tunnel()
        if target.startswith("http://"):
            path = target.removeprefix("http://").partition("/")[2]
            raw = raw.replace(target.encode(), f"/{path}".encode(), 1)
        if self._proxy.rewrite:
            raw = self._proxy.rewrite(method, target, raw)
        size = int(headers.get("content-length", 0))
        if not self._answered_early(size, fault):
            self._forward(method, raw, headers, fault)

    def _answered_early(self, size: int, fault: Fault) -> bool:
        """Whatever happens before the server hears of a request. Whether it never will."""
        if fault.delay:
            fault.struck = True
            time.sleep(fault.delay)
        if fault.lose_request:
            fault.strike()
        if fault.answer is None:
            return False
        for _ in _body(self._from_client, size):
            pass
        fault.struck = True
        self._client.sendall(fault.answer)
        return True

    def _forward(self, method: str, raw: bytes, headers: dict[str, str], fault: Fault) -> None:
        size, go_ahead = int(headers.get("content-length", 0)), "HTTP/1.1 100 "
        self._server.sendall(raw)
        status = go_ahead
        if headers.get("expect") == "100-continue":
            status, raw, headers = _head(self._from_server)
            self._client.sendall(raw)
        if status.startswith(go_ahead):
            self._relay_request(size, fault)
            status, raw, headers = _head(self._from_server)
            if fault.lose_answer:
                fault.strike()
            self._client.sendall(_without(raw, self._proxy.hidden))
        if method != "HEAD" and " 204 " not in f"{status} " and " 304 " not in f"{status} ":
            self._relay_answer(headers, fault)

    def _relay_answer(self, headers: dict[str, str], fault: Fault) -> None:
        if headers.get("transfer-encoding") == "chunked":
            self._relay_chunks()
            return
        answer = _body(self._from_server, int(headers.get("content-length", 0)))
        _relay(answer, self._client, fault, cut=fault.cut_answer, flip=fault.flip_answer)

    def _relay_request(self, size: int, fault: Fault) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # the server has answered early, and listens no more
            _relay(_body(self._from_client, size), self._server, fault, cut=fault.cut_request, flip=fault.flip_request)

    def _tunnel(self) -> None:
        self._client.sendall(b"HTTP/1.1 200 Fine\r\n\r\n")
        back = threading.Thread(target=_pump, args=(self._server, self._client), daemon=True)
        back.start()
        _pump(self._client, self._server)
        back.join()
        raise _Over

    def _relay_chunks(self) -> None:
        while True:
            line = self._from_server.readline()
            self._client.sendall(line)
            size = int(line, 16)
            self._client.sendall(self._from_server.read(size + 2))
            if not size:
                return


def _head(stream: BinaryIO) -> tuple[str, bytes, dict[str, str]]:
    lines = []
    while (line := stream.readline()) not in {b"\r\n", b""}:
        lines.append(line)
    if not lines:
        raise _Over
    headers = {}
    for line in lines[1:]:
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    return lines[0].decode("latin-1").strip(), b"".join([*lines, b"\r\n"]), headers


def _body(stream: BinaryIO, size: int) -> Iterator[bytes]:
    while size:
        piece = stream.read(min(size, _PIECE))
        if not piece:
            raise _Over
        size -= len(piece)
        yield piece


def _relay(pieces: Iterator[bytes], to: socket.socket, fault: Fault, *, cut: int | None, flip: int | None) -> None:
    passed = 0
    for piece in pieces:
        out = bytearray(piece)
        if flip is not None and passed <= flip < passed + len(out):
            out[flip - passed] ^= fault.mask
            fault.struck = True
        if cut is not None and passed + len(out) > cut:
            to.sendall(out[: cut - passed])
            fault.strike()
        to.sendall(out)
        passed += len(out)


def _pump(source: socket.socket, to: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(_PIECE):
            to.sendall(piece)
        to.shutdown(socket.SHUT_WR)


def _without(raw: bytes, hidden: str) -> bytes:
    if not hidden:
        return raw
    lines = raw.split(b"\r\n")
    return b"\r\n".join(line for line in lines if not line.lower().startswith(hidden.encode()))


@contextmanager
def faulty_proxy(host: str, port: int) -> Iterator[FaultyProxy]:
    """A proxy in front of a server, on a port of its own."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with suppress(OSError, _Over):
                pair = _Pair(self.request, proxy)
                try:
                    while True:
                        pair.serve_one()
                finally:
                    pair.close()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 128

    with Server(("127.0.0.1", 0), Handler) as server:
        proxy = FaultyProxy(server.server_address[1], (host, port))
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield proxy
        finally:
            server.shutdown()
