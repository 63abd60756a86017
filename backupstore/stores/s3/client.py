"""One request to S3: signed, sent, its answer read, its error translated.

Everything here is about a request. What the requests of one upload or one download have to do with each other stands in
``uploads`` and ``downloads``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from backupstore.errors import BackupError, Denied, Misconfigured
from backupstore.ports import Clock
from backupstore.stores.http import client as http
from backupstore.stores.http.client import OK, UNCHANGED, Answer, Taker
from backupstore.stores.http.connection import Request
from backupstore.stores.http.pool import Wire
from backupstore.stores.http.retry import Again
from backupstore.stores.s3 import faults
from backupstore.stores.s3.credentials import KeySource
from backupstore.stores.s3.endpoint import Endpoint
from backupstore.stores.s3.integrity import Body, Integrity
from backupstore.stores.s3.signing import UNSIGNED, Keys, Unsigned, query_string, signed

_SERVER_ERROR = 500
_WITHOUT_REASON = frozenset({400, 401, 403})
_FAILED_LATE = re.compile(rb"\s*(?:<\?xml[^>]*>)?\s*<Error[\s>]")  # CompleteMultipartUpload fails with 200
_LARGE = 64 << 10
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

    def is_good(self, status: int) -> bool:
        """Whether it is the status of an answer to this, and of no error."""
        return status < OK or (status == UNCHANGED and self.method == "GET" and "if-none-match" in self.headers)


class Client(http.Client[Ask]):
    """Sends requests to one endpoint."""

    def __init__(self, endpoint: Endpoint, keys: KeySource, clock: Clock, *, wire: Wire) -> None:
        super().__init__(endpoint, faults.HINTS, wire, clock)
        self.endpoint = endpoint
        self.integrity = Integrity()
        self._keys = keys
        self._clock = clock

    def once(self, ask: Ask, taker: Taker | None = None) -> Answer:
        """One attempt. Again, or an error of ours; what the taker raises passes through."""
        keys = self._keys.current()
        head, body = self._exchange(self._request(ask, keys), ask.operation, ask.key or ask.folder, taker)
        if ask.is_good(head.status) and not _FAILED_LATE.match(body):
            return Answer(head.status, head.headers, body)
        fault = faults.fault_of(_SERVER_ERROR if head.status < OK else head.status, head.headers, body)
        if ask.method == "HEAD" and fault.status in _WITHOUT_REASON:
            self.once(replace(ask, method="GET", headers={**ask.headers, "range": "bytes=0-0"}))  # says why
        raise self._error(ask, fault, keys)

    def _request(self, ask: Ask, keys: Keys) -> Request:
        pieces = ask.body.pieces if ask.guard is None else _guarded(ask.body.pieces, ask.guard)
        return Request(
            head=self._text(ask, keys),
            body=pieces,
            size=ask.body.size,
            head_only=ask.method == "HEAD",
            asks_first=ask.asks_first,
        )

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
        return _encoded(self._lines(ask.method, f"{path}?{query}" if query else path, headers))

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
