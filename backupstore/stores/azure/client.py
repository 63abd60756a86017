"""One request to Azure: signed, sent, its answer read, its error translated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from urllib.parse import quote, urlencode

from backupstore.errors import Misconfigured
from backupstore.ports import Clock
from backupstore.stores.azure import faults
from backupstore.stores.azure.place import Place
from backupstore.stores.azure.signing import AccountKey
from backupstore.stores.http import client as http
from backupstore.stores.http.client import OK, UNCHANGED, Answer, Taker
from backupstore.stores.http.connection import Request
from backupstore.stores.http.pool import Wire

_VERSION = "2021-12-02"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request. ``operation`` and ``key``, or the ``folder`` of a listing, are those of the port: they go into errors.

    ``writes`` is the key of a blob that need not be there. Names of headers are in lower case.
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

    @property
    def size(self) -> int:
        """Bytes of the body."""
        return sum(map(len, self.body))

    def is_good(self, status: int) -> bool:
        """Whether it is the status of an answer to this, and of no error."""
        return status < OK or (status == UNCHANGED and "if-none-match" in self.headers)


class Client(http.Client[Ask]):
    """Sends requests for one container."""

    def __init__(self, place: Place, key: AccountKey, clock: Clock, *, wire: Wire) -> None:
        super().__init__(place, faults.HINTS, wire, clock)
        self.place = place
        self._key = key
        self._clock = clock

    def once(self, ask: Ask, taker: Taker | None = None) -> Answer:
        """One attempt. Again, or an error of ours; what the taker raises passes through."""
        request = Request(head=self._text(ask), body=ask.body, size=ask.size, head_only=ask.method == "HEAD")
        head, body = self._exchange(request, ask.operation, ask.about, taker)
        if ask.is_good(head.status):
            return Answer(head.status, head.headers, body)
        fault = faults.fault_of(head.status, head.headers, body)
        raise faults.error_of(fault, ask.operation, ask.about, self.place, reads=bool(ask.key))

    def _text(self, ask: Ask) -> bytes:
        headers = {**ask.headers, "x-ms-date": formatdate(self._clock.now(), usegmt=True), "x-ms-version": _VERSION}
        if ask.method == "PUT":
            headers["content-length"] = str(ask.size)
        headers["authorization"] = self._key.authorization(ask.method, ask.path, ask.query, headers)
        query = f"?{urlencode(ask.query, quote_via=quote)}" if ask.query else ""
        lines = self._lines(ask.method, f"{ask.path}{query}", {"host": self.place.authority, **headers})
        text = "\r\n".join([*lines, "", ""])
        if text.count("\n") != len(lines) + 1 or not text.isascii():
            raise Misconfigured(("A setting in [storage] is no plain text on one line.",), hint="Look at host.")
        return text.encode()
