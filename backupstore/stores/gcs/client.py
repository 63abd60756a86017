"""One request to Google: sent with its token, its answer read, its error translated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

from backupstore.errors import BackupError, Misconfigured
from backupstore.ports import Clock
from backupstore.stores.gcs import faults
from backupstore.stores.gcs.place import Place
from backupstore.stores.gcs.tokens import Tokens
from backupstore.stores.http import client as http
from backupstore.stores.http.client import OK, UNCHANGED, Answer, Taker
from backupstore.stores.http.connection import Request
from backupstore.stores.http.pool import Wire
from backupstore.stores.http.retry import Again

GOES_ON = 308

_UNSIGNED = 401


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

    @property
    def size(self) -> int:
        """Bytes of the body."""
        return sum(map(len, self.body))

    def is_good(self, status: int) -> bool:
        """Whether it is the status of an answer to this, and of no error."""
        return status < OK or status == GOES_ON or (status == UNCHANGED and "ifGenerationNotMatch" in self.query)


class Client(http.Client[Ask]):
    """Sends requests for one bucket."""

    def __init__(self, place: Place, tokens: Tokens, clock: Clock, *, wire: Wire) -> None:
        super().__init__(place, faults.HINTS, wire, clock)
        self.place = place
        self._tokens = tokens

    def once(self, ask: Ask, taker: Taker | None = None) -> Answer:
        """One attempt. Again, or an error of ours; what the taker raises passes through."""
        token = self._tokens.current()
        request = Request(head=self._text(ask, token), body=ask.body, size=ask.size)
        head, body = self._exchange(request, ask.operation, ask.about, taker)
        if ask.is_good(head.status):
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
            headers["content-length"] = str(ask.size)
        query = f"?{urlencode(ask.query)}" if ask.query else ""
        lines = self._lines(ask.method, f"{ask.path}{query}", headers)
        text = "\r\n".join([*lines, "", ""])
        if text.count("\n") != len(lines) + 1 or not text.isascii():
            raise Misconfigured(("A setting in [storage] is no plain text on one line.",), hint="Look at host.")
        return text.encode()
