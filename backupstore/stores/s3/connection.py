"""HTTP/1.1 on one socket, as little of it as S3 needs.

One request at a time, its body sent from the pieces it lies in, the answer's body handed on in pieces as they come. A
plain socket stays in blocking mode, its timeouts kept by the kernel: a read of 1 MiB is then one system call.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from backupstore.stores.s3.bandwidth import Bandwidth

_HEAD_LIMIT = 256 << 10
_READ = 64 << 10
_PIECE = 1 << 20
_TLS_PIECE = 256 << 10
_JOINED = 128 << 10  # head and body of this size go out in one piece
_NO_BODY = frozenset({204, 304})
_FINAL = 200


class BadAnswer(OSError):
    """What came is not HTTP as it should be, or not all of it."""


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers of an answer, names in lower case."""

    status: int
    headers: Mapping[str, str]
    has_body: bool
    last: bool  # the connection is of no use after it


class Connection:
    """A connection that is open, and stays so between requests unless ``usable`` says otherwise."""

    def __init__(self, sock: socket.socket, bandwidth: Bandwidth | None) -> None:
        self._sock = sock
        self._bandwidth = bandwidth
        self._plain = not isinstance(sock, ssl.SSLSocket)
        self._held = b""
        self._piece = _PIECE if self._plain else _TLS_PIECE
        if bandwidth is not None:
            self._piece = min(self._piece, bandwidth.piece)
        self._timeout: float | None = None
        self.usable = True
        self.put_aside = 0.0  # when

    def close(self) -> None:
        """Drop it."""
        self.usable = False
        self._sock.close()

    def is_stale(self) -> bool:
        """Whether the other side has closed it, or said something that nobody asked for."""
        self._sock.settimeout(0.0)
        try:
            self._sock.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:
            return True
        else:
            return True
        finally:
            if self._sock.fileno() >= 0:
                self._sock.settimeout(None if self._plain else self._timeout)

    def keep_time(self, seconds: float) -> None:
        """How long a read or a write may make no progress."""
        self._timeout = seconds
        if self._plain:
            self._sock.settimeout(None)
            value = struct.pack("@ll", int(seconds), int(seconds % 1 * 1_000_000))
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, value)
        else:
            self._sock.settimeout(seconds)

    def ask(self, head: bytes, body: Iterable[bytes] = (), size: int = 0, *, head_only: bool = False) -> Head:
        """Send a request with ``size`` bytes, and read the head of its answer. A server may answer early and not listen."""
        self.usable = False
        try:
            self._send(head, body, size)
        except OSError as error:
            try:
                return self._read_head(head_only=head_only, last=True)
            except OSError:
                raise error from None
        answer = self._read_head(head_only=head_only, last=False)
        self.usable = not answer.has_body and not answer.last
        return answer

    def body(self, head: Head) -> Iterator[bytes]:
        """The body of the answer, in pieces. What is not read to its end leaves a connection that is of no use."""
        if not head.has_body:
            return
        length = head.headers.get("content-length")
        if head.headers.get("transfer-encoding", "").lower() == "chunked":
            yield from self._chunks()
        elif length is None:
            while piece := self._more(_READ):
                yield piece
            return
        else:
            yield from self._exactly(int(length))
        self.usable = not head.last

    def _send(self, head: bytes, body: Iterable[bytes], size: int) -> None:
        if len(head) + size <= min(_JOINED, self._piece):
            self._send_piece(b"".join([head, *body]))
            return
        self._send_piece(head)
        for piece in body:
            if len(piece) <= self._piece:
                self._send_piece(piece)
                continue
            view = memoryview(piece)
            for start in range(0, len(view), self._piece):
                self._send_piece(view[start : start + self._piece])

    def _send_piece(self, piece: bytes | memoryview) -> None:
        if self._bandwidth is not None:
            self._bandwidth.up.take(len(piece))
        self._sock.sendall(piece)

    def _read_head(self, *, head_only: bool, last: bool) -> Head:
        while True:
            text = self._read_head_text()
            first, *lines = text.split("\r\n")
            status = int(first[9:12]) if first.startswith("HTTP/1.") and first[9:12].isdecimal() else 0
            if not status:
                raise BadAnswer(f"not an HTTP answer: {first[:40]!r}")
            if status >= _FINAL:  # those before it are about the way, not the answer
                break
        headers = {}
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon:
                raise BadAnswer("a header without a colon")
            headers[name.lower()] = value.strip()
        length = headers.get("content-length")
        if length is not None and not length.isdecimal():
            raise BadAnswer("a length that is no number")
        has_body = not head_only and status not in _NO_BODY and length != "0"
        endless = has_body and length is None and headers.get("transfer-encoding", "").lower() != "chunked"
        closing = "close" in headers.get("connection", "").lower() or first.startswith("HTTP/1.0")
        return Head(status, headers, has_body, last or closing or endless)

    def _read_head_text(self) -> str:
        held = self._held
        while (end := held.find(b"\r\n\r\n")) < 0:
            if len(held) > _HEAD_LIMIT:
                raise BadAnswer("a head without an end")
            more = self._sock.recv(_READ)
            if not more:
                raise BadAnswer("the connection was closed before the answer" if not held else "half an answer")
            held = held + more if held else more
        self._held = held[end + 4 :]
        return held[:end].decode("latin-1")

    def _more(self, most: int) -> bytes:
        if self._held:
            piece, self._held = self._held[:most], self._held[most:]
            return piece
        piece = self._sock.recv(most)
        if self._bandwidth is not None:
            self._bandwidth.down.take(len(piece))
        return piece

    def _exactly(self, left: int) -> Iterator[bytes]:
        while left:
            most = min(left, self._piece)
            if self._held:
                piece = self._more(most)
            elif self._plain:
                piece = self._sock.recv(most, socket.MSG_WAITALL)
            else:
                piece = self._gathered(most)
            if not piece:
                raise BadAnswer(f"the connection was closed {left} bytes before the end")
            if self._bandwidth is not None:
                self._bandwidth.down.take(len(piece))
            left -= len(piece)
            yield piece

    def _gathered(self, size: int) -> bytes:
        """TLS gives 16 KiB at a time; what is hashed and written should be more."""
        parts = []
        while size and (part := self._sock.recv(size)):
            parts.append(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _chunks(self) -> Iterator[bytes]:
        while size := _chunk_size(self._line()):
            yield from self._exactly(size)
            self._line()
        while self._line():
            pass

    def _line(self) -> bytes:
        while (end := self._held.find(b"\r\n")) < 0:
            more = self._sock.recv(_READ)
            if not more or len(self._held) > _HEAD_LIMIT:
                raise BadAnswer("half a chunk")
            self._held += more
        line, self._held = self._held[:end], self._held[end + 2 :]
        return line


def _chunk_size(line: bytes) -> int:
    try:
        return int(line.split(b";")[0], 16)
    except ValueError as error:
        raise BadAnswer("a chunk whose size is no number") from error
