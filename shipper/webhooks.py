"""The HTTP door of ``serve``: webhooks of MinIO, Ceph RGW and versitygw when an object changed, and Prometheus' scrapes.

A message is answered with a success as soon as its hint waits in the inbox, and never worked on here. Strangers get
nothing (``bounded_http``). What cannot be understood is told in the log and answered with a success all the same: to send
it again would not mend it, and some senders hold everything else back until it is taken.

The secret may come in any form that some sender is capable of: as a bearer token (MinIO), as the password in the URL
(versitygw, Ceph), as ``?secret=`` or as the last part of the path. It is never logged, nor is any URL, which may hold it.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote

from backupstore.core.notifications import Notified, read_notification_text
from backupstore.metrics.prometheus import CONTENT_TYPE
from backupstore.ports import Clock
from backupstore.settings.kinds import ListenAddress
from shipper.bounded_http import BoundedHandler, BoundedServer, Bounds, cannot_listen
from shipper.inbox import Inbox

_log = logging.getLogger("medusa-shipper")
_HEALTH = "/healthz"
_METRICS = "/metrics"
_PIECE = 64 << 10


@dataclass(frozen=True, slots=True)
class Door:
    """Where to listen, who may come in, and whose events count (``bucket``; empty: all)."""

    address: ListenAddress
    secret: str | None = None
    bucket: str = ""
    bounds: Bounds = field(default_factory=Bounds)

    def opens_for(self, authorization: str, target: str) -> bool:
        """Whether the request brings the secret in one of its forms."""
        if self.secret is None:
            return True
        known = False
        for offered in _offered(authorization, target):
            known |= hmac.compare_digest(offered, self.secret.encode())
        return known


class Webhooks:
    """Listens from ``open`` until ``close``; hints go to the inbox, and ``scrape`` says what Prometheus is told."""

    def __init__(self, door: Door, inbox: Inbox, clock: Clock, scrape: Callable[[], bytes] | None = None) -> None:
        self._door = door
        self._inbox = inbox
        self._clock = clock
        self._scrape = scrape
        self._server: _Server | None = None

    def open(self) -> None:
        """Begin to listen. Misconfigured when that cannot be done at this address."""
        try:
            self._server = _Server(self._door, self._inbox, self._clock, self._scrape)
        except OSError as error:
            raise cannot_listen("listen", self._door.address, error) from error
        self._server.started()

    def close(self) -> None:
        """Listen no more."""
        server, self._server = self._server, None
        if server:
            server.shutdown()
            server.server_close()


class _Server(BoundedServer):
    what = "webhook"

    def __init__(self, door: Door, inbox: Inbox, clock: Clock, scrape: Callable[[], bytes] | None = None) -> None:
        self.door = door
        self.inbox = inbox
        self.scrape = scrape
        super().__init__(door.address, _Handler, clock, door.bounds)


class _Handler(BoundedHandler):
    server: _Server

    def do_POST(self) -> None:  # noqa: N802 -- http.server's name
        length = self._length()
        if length is None:
            return
        if not self.server.door.opens_for(self.headers.get("Authorization", ""), self.path):
            self.refuse(HTTPStatus.UNAUTHORIZED, "the secret is missing or wrong")
            self._drain(length)
            return
        body = self.rfile.read(length)
        if len(body) < length:
            self.refuse(HTTPStatus.BAD_REQUEST, "it ended too early")
        elif self._taken(read_notification_text(body, self.server.door.bucket)):
            self.answer(HTTPStatus.NO_CONTENT)
        else:
            self.refuse(HTTPStatus.SERVICE_UNAVAILABLE, "too many hints are waiting")

    def do_GET(self) -> None:  # noqa: N802 -- http.server's name
        path, scrape = self.path.partition("?")[0], self.server.scrape
        if path == _HEALTH:
            self.answer(HTTPStatus.OK, b"ok\n")
        elif path != _METRICS or scrape is None:
            self.refuse(HTTPStatus.NOT_FOUND, f"only {_HEALTH} and {_METRICS} can be read")
        elif not self.server.door.opens_for(self.headers.get("Authorization", ""), self.path):
            self.refuse(HTTPStatus.UNAUTHORIZED, "the secret is missing or wrong")
        else:
            self.answer(HTTPStatus.OK, scrape(), CONTENT_TYPE)

    def do_HEAD(self) -> None:  # noqa: N802 -- http.server's name
        self.do_GET()

    def _length(self) -> int | None:
        """The length of the body, or None after a refusal."""
        text = self.headers.get("Content-Length", "")
        if self.headers.get("Transfer-Encoding") or not text.isdecimal():
            self.refuse(HTTPStatus.LENGTH_REQUIRED, "it does not tell its length")
        elif len(text) > len(str(self.server.bounds.body)) or int(text) > self.server.bounds.body:
            self.refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"it is larger than {self.server.bounds.body} bytes")
        else:
            return int(text)
        return None

    def _drain(self, length: int) -> None:
        """Drop the body, a piece at a time: to close while it is being sent would break the answer off as well."""
        while length > 0 and (piece := self.rfile.read1(min(length, _PIECE))):
            length -= len(piece)

    def _taken(self, notified: Notified) -> bool:
        if notified.unreadable:
            first, *more = notified.unreadable
            also = f" (and {len(more)} parts more)" if more else ""
            _log.error("a webhook of %s %s%s", self.client_address[0], first, also)
        for bucket in notified.elsewhere:
            _log.debug("a webhook of %s tells of another bucket, %s", self.client_address[0], ascii(bucket))
        return self.server.inbox.put(notified.events)


def _offered(authorization: str, target: str) -> Iterator[bytes]:
    """All that may be meant as the secret."""
    scheme, _, value = authorization.strip().partition(" ")
    yield (value.strip() or scheme).encode(errors="replace")
    if scheme.lower() == "basic":
        with suppress(binascii.Error, ValueError):
            yield base64.b64decode(value.strip(), validate=True).partition(b":")[2]
    path, _, query = target.partition("?")
    for name, offered in parse_qsl(query):
        if name == "secret":
            yield offered.encode(errors="replace")
    yield unquote(path.rpartition("/")[2]).encode(errors="replace")
