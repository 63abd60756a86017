"""A server that says what it is told to, byte for byte, whatever it is asked: for answers that no real server gives."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)


@dataclass(slots=True)
class Scripted:
    """``connections``: for each one, its answers in turn; then it is closed.

    ``heads``: what was asked, on all of them; ``bodies``: how many bytes came with it.
    ``deaf``: bodies are not read, so that a connection with half a body in it is reset after its answers.
    """

    connections: list[Sequence[bytes]]
    host: str
    port: int = 0
    deaf: bool = False
    heads: list[bytes] = field(default_factory=list)
    bodies: list[int] = field(default_factory=list)
    opened: int = 0

    def serve(self, listener: socket.socket) -> None:
        """Until the listener is closed."""
        for answers in self.connections:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            self.opened += 1
            with sock, suppress(OSError):
                for answer in answers:
                    if not self._hear(sock):
                        break
                    sock.sendall(answer)

    def _hear(self, sock: socket.socket) -> bool:
        held = b""
        while b"\r\n\r\n" not in held:
            more = sock.recv(65536)
            if not more:
                return False
            held += more
        head, _, body = held.partition(b"\r\n\r\n")
        self.heads.append(head)
        found = _LENGTH.search(head + b"\r\n")
        size = len(body)
        while found and not self.deaf and size < int(found[1]) and (more := sock.recv(65536)):
            size += len(more)
        self.bodies.append(size)
        return True


@contextmanager
def scripted_server(*connections: Sequence[bytes], host: str = "127.0.0.1", deaf: bool = False) -> Iterator[Scripted]:
    """The server, on a port of its own."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.bind((host, 0))
        listener.listen()
        script = Scripted(list(connections), host, listener.getsockname()[1], deaf)
        serving = threading.Thread(target=script.serve, args=(listener,), daemon=True)
        serving.start()
        try:
            yield script
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            serving.join(10)
