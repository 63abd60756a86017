"""One request after the other: signed, sent, its answer read, its error translated; and the one layer of retries.

Everything here is about a request. What the requests of one upload or one download have to do with each other stands in
``uploads`` and ``downloads``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from backupstore.errors import BackupError, Corrupt, Denied, Misconfigured
from backupstore.ports import Clock
from backupstore.stores.http.connection import Broken, Connection, Request
from backupstore.stores.http.head import BadAnswer, Head
from backupstore.stores.http.pool import Pool, Wire, proxy_authorization
from backupstore.stores.http.retry import Again, Retrying
from backupstore.stores.s3 import faults
from backupstore.stores.s3.credentials import KeySource
from backupstore.stores.s3.endpoint import Endpoint
from backupstore.stores.s3.integrity import Body, Integrity
from backupstore.stores.s3.signing import UNSIGNED, Keys, Unsigned, query_string, signed

T = TypeVar("T")

_OK = 300
_SERVER_ERROR = 500
_WITHOUT_REASON = frozenset({400, 401, 403})
_FAILED_LATE = re.compile(rb"\s*(?:<\?xml[^>]*>)?\s*<Error[\s>]")  # CompleteMultipartUpload fails with 200
_LARGE = 64 << 10
_DOCUMENT_LIMIT = 32 << 20
_EMPTY = Body([])
_NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # sha256 of no bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request. ``operation`` and ``key``, or the ``folder`` of a listing, are those of the port: they go into errors."""

    operation: str
    method: str
    key: str = ""
    folder: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body = _EMPTY
    careful: bool = False  # an attempt has failed: ask the store whether it wants a large body, before it is sent
    whole: bool = False  # the signature covers the body too, over plain HTTP
    guard: Callable[[], None] | None = None  # asked before each piece goes out; raises when nobody wants it any more

    @property
    def asks_first(self) -> bool:
        """Whether the body waits for a go-ahead."""
        return self.careful and self.body.size > _LARGE


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is no error."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def etag(self) -> str:
        """Without its quotes."""
        return self.headers.get("etag", "").strip('"')


Taker = Callable[[Head, Iterator[bytes]], None]
"""Takes the body of an answer as it comes."""


class Client:
    """Sends requests to one endpoint. Safe to use from several threads."""

    def __init__(self, endpoint: Endpoint, keys: KeySource, clock: Clock, *, wire: Wire, retrying: Retrying) -> None:
        self.endpoint = endpoint
        self.integrity = Integrity()
        self._keys = keys
        self._clock = clock
        self._retrying = retrying
        self._pool = Pool(endpoint, wire, clock)
        self._before_path = ""
        self._proxy_headers: Mapping[str, str] = {}
        if wire.proxy and not endpoint.secure:
            self._before_path = f"http://{endpoint.authority}"
            self._proxy_headers = proxy_authorization(wire.proxy)

    def close(self) -> None:
        """Close idle connections."""
        self._pool.close()

    def run(self, attempt: Callable[[], T]) -> T:
        """Retry what raises ``Again``."""
        return self._retrying.run(attempt)

    def send(self, ask: Ask) -> Answer:
        """The answer to a request that may be sent twice without harm."""
        return self._retrying.run(lambda: self.once(ask))

    def document(self, ask: Ask, read: Callable[[bytes], T]) -> T:
        """What an answer says. One that cannot be read is asked for again: a byte of it may have flipped on its way."""

        def attempt() -> T:
            body = self.once(ask).body
            try:
                return read(body)
            except Corrupt as error:
                raise Again(error, most=faults.DAMAGED_TRIES) from error

        return self.run(attempt)

    def once(self, ask: Ask, taker: Taker | None = None) -> Answer:
        """One attempt. Again, or an error of ours; what the taker raises passes through."""
        keys = self._keys.current()
        head, body = self._exchange(ask, self._text(ask, keys), taker)
        if head.status < _OK and not _FAILED_LATE.match(body):
            return Answer(head.headers, body)
        fault = faults.fault_of(_SERVER_ERROR if head.status < _OK else head.status, head.headers, body)
        if ask.method == "HEAD" and fault.status in _WITHOUT_REASON:
            self.once(replace(ask, method="GET", headers={**ask.headers, "range": "bytes=0-0"}))  # says why
        raise self._error(ask, fault, keys)

    def _text(self, ask: Ask, keys: Keys) -> bytes:
        endpoint = self.endpoint
        path, query = endpoint.path(ask.key), query_string(ask.query) if ask.query else ""
        payload = UNSIGNED if ask.body.size else _NOTHING
        if ask.whole and not endpoint.secure:
            payload = ask.body.sha256
        request = Unsigned(ask.method, path, query, {"host": endpoint.authority, **ask.headers}, payload)
        headers = signed(request, keys, region=endpoint.region, now=self._clock.now())
        if ask.body.size or ask.method in {"PUT", "POST"}:
            headers["content-length"] = str(ask.body.size)
        if ask.asks_first:
            headers["expect"] = "100-continue"
        headers.update(self._proxy_headers)
        target = f"{self._before_path}{path}?{query}" if query else f"{self._before_path}{path}"
        lines = [f"{ask.method} {target} HTTP/1.1", *[f"{name}: {value}" for name, value in headers.items()]]
        return _encoded(lines)

    def _exchange(self, ask: Ask, text: bytes, taker: Taker | None) -> tuple[Head, bytes]:
        try:
            connection, reused = self._pool.take()
        except OSError as error:
            raise faults.unreachable(self.endpoint, ask.operation, ask.key or ask.folder, error) from error
        try:
            pieces = ask.body.pieces if ask.guard is None else _guarded(ask.body.pieces, ask.guard)
            request = Request(
                head=text, body=pieces, size=ask.body.size, head_only=ask.method == "HEAD", asks_first=ask.asks_first
            )
            head = connection.ask(request)
            body = self._body(connection, head, taker)
        except Broken as broken:
            sorry = faults.lost(self.endpoint, ask.operation, ask.key or ask.folder, broken.error)
            raise Again(sorry, unsure=True, at_once=reused) from broken.error
        finally:
            if not connection.usable:
                connection.close()
            else:
                self._pool.put(connection)
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

    def _error(self, ask: Ask, fault: faults.Fault, keys: Keys) -> BackupError | Again:
        error = faults.error_of(fault, ask.operation, ask.key, self.endpoint, folder=ask.folder)
        if fault.code not in faults.DAMAGED and self.integrity.doubts(fault.code, fault.message):
            return Again(_plain(error), at_once=True)
        if fault.code in faults.EXPIRED and isinstance(error, Denied) and self._keys.renewed(keys) != keys:
            return Again(error, at_once=True)
        return error


def _guarded(pieces: Iterable[bytes], guard: Callable[[], None]) -> Iterator[bytes]:
    for piece in pieces:
        guard()
        yield piece


def _plain(error: BackupError | Again) -> BackupError:
    return error.error if isinstance(error, Again) else error


def _encoded(lines: list[str]) -> bytes:
    text = "\r\n".join([*lines, "", ""])
    if text.count("\n") != len(lines) + 1:
        raise Misconfigured(
            ("A setting in [storage] has a line break in it.",), hint="Look at kms_id and storage_class."
        )
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError as error:
        raise Misconfigured(
            (f"A setting in [storage] is no plain text: {error.object[error.start : error.end]!r}.",)
        ) from error
