"""HTTP/1.1 on one socket, as little of it as object stores need.

One request at a time, its body sent from the pieces it lies in, the answer's body handed on in pieces as they come. A
plain socket stays in blocking mode, its timeouts kept by the kernel: a read of 1 MiB is then one system call.
"""

from __future__ import annotations

import re
import socket
import ssl
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from backupstore.stores.bandwidth import Bandwidth
from backupstore.stores.http.head import BadAnswer, Head, read_head

_HEAD_LIMIT = 256 << 10
_READ = 64 << 10
_PIECE = 256 << 10  # hashed and written while it is in the cache of the processor
_TLS_PIECE = 256 << 10
_TLS_RECORD = 16 << 10
_JOINED = 128 << 10  # head and body of this size go out in one piece
_FINAL = 200
_CHUNK_SIZE = re.compile(rb"[0-9a-fA-F]{1,15}")
_GO_AHEAD_WAIT = 1.0


class Broken(Exception):  # never leaves this package
    """The connection is of no use, and there is no answer. Not an OSError: what a sink raises must not be taken for it."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to send. ``asks_first``: the head has ``Expect: 100-continue``, and the body waits for a go-ahead."""

    head: bytes
    body: Iterable[bytes] = ()
    size: int = 0
    head_only: bool = False  # the answer has no body
    asks_first: bool = False


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
        self._timeout = 0.0
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

    def ask(self, request: Request) -> Head:
        """Send a request, and read the head of its answer. Broken."""
        self.usable = False
        try:
            answer = self._exchange(request)
        except OSError as error:
            raise Broken(error) from error
        self.usable = not (answer.has_body or answer.last or self._held)
        return answer

    def body(self, head: Head) -> Iterator[bytes]:
        """The body of the answer, in pieces. Broken. If it is not read to its end, the connection is of no use."""
        if not head.has_body:
            return
        try:
            yield from self._body(head)
        except OSError as error:
            raise Broken(error) from error
        self.usable = not (head.last or self._held)

    def _exchange(self, request: Request) -> Head:
        try:
            if request.asks_first:
                self._send_piece(request.head)
                refusal = self._refusal(request)
                if refusal is not None:
                    return refusal
                self._send(b"", request.body, request.size)
            else:
                self._send(request.head, request.body, request.size)
        except OSError as error:
            try:  # a server may answer early, and not listen to the end
                return self._read_head(request, last=True)
            except OSError:
                raise error from None
        return self._read_head(request, last=False)

    def _refusal(self, request: Request) -> Head | None:
        """The answer of a server that does not want the body; None when it does, or does not know the question."""
        before = self._timeout
        self.keep_time(_GO_AHEAD_WAIT)
        try:
            head = self._read_one_head(request, last=True)
        except (TimeoutError, BlockingIOError):
            return None
        finally:
            self.keep_time(before)
        return head if head.status >= _FINAL else None

    def _body(self, head: Head) -> Iterator[bytes]:
        length = head.headers.get("content-length")
        if head.headers.get("transfer-encoding", "").lower() == "chunked":
            yield from self._chunks()
        elif length is not None:
            yield from self._exactly(int(length))
        else:
            while piece := self._more(_READ):
                yield piece

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

    def _read_head(self, request: Request, *, last: bool) -> Head:
        while True:
            head = self._read_one_head(request, last=last)
            if head.status >= _FINAL:  # those before it are about the way, not the answer
                return head

    def _read_one_head(self, request: Request, *, last: bool) -> Head:
        return read_head(self._read_head_text(), head_only=request.head_only, last=last)

    def _read_head_text(self) -> str:
        while (end := self._held.find(b"\r\n\r\n")) < 0:
            if len(self._held) > _HEAD_LIMIT:
                raise BadAnswer("a head without an end")
            more = self._sock.recv(_READ)
            if not more:
                raise BadAnswer("half an answer" if self._held else "the connection was closed before the answer")
            self._held += more
        text, self._held = self._held[:end], self._held[end + 4 :]
        return text.decode("latin-1")

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
        while size and (part := self._sock.recv(min(size, _TLS_RECORD))):
            parts.append(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _chunks(self) -> Iterator[bytes]:
        while size := _chunk_size(self._line()):
            yield from self._exactly(size)
            if self._line():
                raise BadAnswer("a chunk longer than it says")
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
    size = line.partition(b";")[0].rstrip()
    if not _CHUNK_SIZE.fullmatch(size):
        raise BadAnswer("a chunk whose size is no number")
    return int(size, 16)
