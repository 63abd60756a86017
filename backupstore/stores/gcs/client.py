"""One request after the other: sent with its token, its answer read, its error translated; and the one layer of retries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlencode

from backupstore.errors import BackupError, Corrupt, Misconfigured
from backupstore.ports import Clock
from backupstore.stores.gcs import faults
from backupstore.stores.gcs.place import Place
from backupstore.stores.gcs.tokens import Tokens
from backupstore.stores.http.connection import Broken, Connection, Request
from backupstore.stores.http.head import BadAnswer, Head
from backupstore.stores.http.pool import Pool, Wire, proxy_authorization
from backupstore.stores.http.retry import Again, Retrying
from backupstore.stores.s3.faults import DAMAGED_TRIES

T = TypeVar("T")

GOES_ON = 308

_OK = 300
_UNSIGNED = 401
_DOCUMENT_LIMIT = 32 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request. ``operation`` and ``key``, or the ``folder`` of a listing, are those of the port: they go into errors.

    ``writes`` is the key of an object that need not be there.
    """

    operation: str
    method: str
    path: str
    key: str = ""
    folder: str = ""
    writes: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Sequence[bytes] = ()

    @property
    def about(self) -> str:
        """What errors name."""
        return self.key or self.writes or self.folder


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is no error."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Taker = Callable[[Head, Iterator[bytes]], None]
"""Takes the body of an answer as it comes."""


class Client:
    """Sends requests for one bucket. Safe to use from several threads."""

    def __init__(self, place: Place, tokens: Tokens, clock: Clock, *, wire: Wire, retrying: Retrying) -> None:
        self.place = place
        self._tokens = tokens
        self._retrying = retrying
        self._pool = Pool(place, wire, clock)
        self._proxy_headers: Mapping[str, str] = {}
        self._before_path = ""
        if wire.proxy and not place.secure:
            self._before_path = f"http://{place.authority}"
            self._proxy_headers = proxy_authorization(wire.proxy)

    def close(self) -> None:
        """Close idle connections."""
        self._pool.close()

    def run(self, attempt: Callable[[], T]) -> T:
        """Retry what raises ``Again``."""
        return self._retrying.run(attempt)

    def send(self, ask: Ask) -> Answer:
        """The answer to a request that may be sent twice without harm."""
        return self.run(lambda: self.once(ask))

    def document(self, ask: Ask, read: Callable[[bytes], T]) -> T:
        """What an answer says. One that cannot be read is asked for again: a byte of it may have flipped on its way."""

        def attempt() -> T:
            body = self.once(ask).body
            try:
                return read(body)
            except Corrupt as error:
                raise Again(error, most=DAMAGED_TRIES) from error

        return self.run(attempt)

    def once(self, ask: Ask, taker: Taker | None = None) -> Answer:
        """One attempt. Again, or an error of ours; what the taker raises passes through."""
        token = self._tokens.current()
        head, body = self._exchange(ask, self._text(ask, token), taker)
        if head.status < _OK or head.status == GOES_ON:
            return Answer(head.status, head.headers, body)
        fault = faults.fault_of(head.status, head.headers, body)
        error = faults.error_of(fault, ask.operation, ask.about, self.place, reads=bool(ask.key))
        if fault.status == _UNSIGNED and isinstance(error, BackupError) and self._tokens.renewed(token) != token:
            raise Again(error, at_once=True)
        raise error

    def _text(self, ask: Ask, token: str) -> bytes:
        headers = {"host": self.place.authority, **ask.headers}
        if token:
            headers["authorization"] = f"Bearer {token}"
        if ask.body or ask.method in {"PUT", "POST"}:
            headers["content-length"] = str(_size(ask.body))
        headers.update(self._proxy_headers)
        query = f"?{urlencode(ask.query)}" if ask.query else ""
        lines = [f"{ask.method} {self._before_path}{ask.path}{query} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        text = "\r\n".join([*lines, "", ""])
        if text.count("\n") != len(lines) + 1 or not text.isascii():
            raise Misconfigured(("A setting in [storage] is no plain text on one line.",), hint="Look at host.")
        return text.encode()

    def _exchange(self, ask: Ask, text: bytes, taker: Taker | None) -> tuple[Head, bytes]:
        try:
            connection, reused = self._pool.take()
        except OSError as error:
            raise faults.unreachable(self.place, ask.operation, ask.about, error) from error
        try:
            head = connection.ask(Request(head=text, body=ask.body, size=_size(ask.body)))
            body = self._body(connection, head, taker)
        except Broken as broken:
            sorry = faults.lost(self.place, ask.operation, ask.about, broken.error)
            raise Again(sorry, unsure=True, at_once=reused) from broken.error
        finally:
            if connection.usable:
                self._pool.put(connection)
            else:
                connection.close()
        return head, body

    def _body(self, connection: Connection, head: Head, taker: Taker | None) -> bytes:
        pieces = connection.body(head)
        if taker is not None and head.status < _OK:
            taker(head, pieces)
            return b""
        taken, size = [], 0
        for piece in pieces:
            taken.append(piece)
            size += len(piece)
            if size > _DOCUMENT_LIMIT:
                raise Broken(BadAnswer("a document without an end"))
        return b"".join(taken)


def _size(pieces: Sequence[bytes]) -> int:
    return sum(map(len, pieces))
