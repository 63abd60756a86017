"""What clients of all stores over HTTP do alike: an answer for a request, by a connection of the pool; the one layer of retries.

What a request looks like, and what its answer means, is the business of each store: ``Client.once``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from backupstore.errors import Corrupt
from backupstore.ports import Clock
from backupstore.stores.http.address import Address
from backupstore.stores.http.connection import Broken, Connection, Request
from backupstore.stores.http.faults import DAMAGED_TRIES, Hints, lost, unreachable
from backupstore.stores.http.head import BadAnswer, Head
from backupstore.stores.http.pool import Pool, Wire, proxy_authorization
from backupstore.stores.http.retry import Again, Retrying

A = TypeVar("A")
T = TypeVar("T")

OK = 300
"""Below it, an answer is no error."""
UNCHANGED = 304
"""The answer without a body to who asks for an object unless it is still the one that he knows."""

_DOCUMENT_LIMIT = 32 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is no error."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def etag(self) -> str:
        """Without its quotes."""
        return self.headers.get("etag", "").strip('"')


Taker = Callable[[Head, Iterator[bytes]], None]
"""Takes the body of an answer as it comes."""


class Client(ABC, Generic[A]):
    """Sends requests to one server. Safe to use from several threads. ``A`` is what a store asks with."""

    def __init__(self, address: Address, hints: Hints, wire: Wire, clock: Clock) -> None:
        self._address = address
        self._hints = hints
        self._retrying = Retrying(clock, wire.patience)
        self._pool = Pool(address, wire, clock)
        self._before_path = ""
        self._proxy_headers: Mapping[str, str] = {}
        if wire.proxy and not address.secure:
            self._before_path = f"http://{address.authority}"
            self._proxy_headers = proxy_authorization(wire.proxy)

    @abstractmethod
    def once(self, ask: A, taker: Taker | None = None) -> Answer:
        """One attempt. Again, or an error of ours; what the taker raises passes through."""

    def close(self) -> None:
        """Close idle connections."""
        self._pool.close()

    def run(self, attempt: Callable[[], T]) -> T:
        """Retry what raises ``Again``."""
        return self._retrying.run(attempt)

    def send(self, ask: A) -> Answer:
        """The answer to a request that may be sent twice without harm."""
        return self.run(lambda: self.once(ask))

    def document(self, ask: A, read: Callable[[bytes], T]) -> T:
        """What an answer says. One that cannot be read is asked for again: a byte of it may have flipped on its way."""

        def attempt() -> T:
            body = self.once(ask).body
            try:
                return read(body)
            except Corrupt as error:
                raise Again(error, most=DAMAGED_TRIES) from error

        return self.run(attempt)

    def _lines(self, method: str, target: str, headers: Mapping[str, str]) -> list[str]:
        """The lines of a request's head, in the form that the proxy wants if there is one."""
        headers = {**headers, **self._proxy_headers}
        first = f"{method} {self._before_path}{target} HTTP/1.1"
        return [first, *[f"{name}: {value}" for name, value in headers.items()]]

    def _exchange(self, request: Request, operation: str, key: str, taker: Taker | None) -> tuple[Head, bytes]:
        """Head and body of the answer; the body is empty where the taker had it. ``operation``, ``key``: for errors."""
        try:
            connection, reused = self._pool.take()
        except OSError as error:
            raise unreachable(self._address, self._hints, operation, key, error) from error
        try:
            head = connection.ask(request)
            body = _body(connection, head, taker)
        except Broken as broken:
            sorry = lost(self._address, self._hints, operation, key, broken.error)
            raise Again(sorry, unsure=True, at_once=reused) from broken.error
        finally:
            self._pool.put(connection)
        return head, body


def _body(connection: Connection, head: Head, taker: Taker | None) -> bytes:
    pieces = connection.body(head)
    if taker is not None and head.status < OK:
        taker(head, pieces)
        return b""
    taken, size = [], 0
    for piece in pieces:
        taken.append(piece)
        size += len(piece)
        if size > _DOCUMENT_LIMIT:
            raise Broken(BadAnswer("a document without an end"))
    return b"".join(taken)
