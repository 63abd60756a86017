"""The HTTP door of the agent: ``/health`` and ``/metrics``, at a loopback address unless it is set otherwise.

Whoever can come there may read both: they hold names and numbers, and no secret.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from backupstore.metrics.prometheus import CONTENT_TYPE
from backupstore.ports import Clock
from backupstore.settings.kinds import ListenAddress
from shipper.agent.view import View
from shipper.bounded_http import BoundedHandler, BoundedServer, Bounds, cannot_listen

_log = logging.getLogger("medusa-shipper")
_HEALTH = "/health"
_METRICS = "/metrics"


@contextmanager
def listening(address: ListenAddress, view: View, clock: Clock) -> Iterator[None]:
    """Answer there meanwhile. Misconfigured when that address cannot be had."""
    try:
        server = _Server(address, view, clock)
    except OSError as error:
        raise cannot_listen("agent_listen", address, error) from error
    server.started()
    try:
        _log.info("answering %s and %s at %s port %d", _HEALTH, _METRICS, *address)
        if not address.is_loopback:
            _log.warning("agent_listen is no loopback address: other machines can ask this node how it is")
        yield
    finally:
        server.shutdown()
        server.server_close()


class _Server(BoundedServer):
    what = "question"

    def __init__(self, address: ListenAddress, view: View, clock: Clock) -> None:
        self.view = view
        super().__init__(address, _Handler, clock, Bounds(connections=8))


class _Handler(BoundedHandler):
    server: _Server

    def do_GET(self) -> None:  # noqa: N802 -- http.server's name
        """One of the two."""
        path = self.path.partition("?")[0]
        if path == _METRICS:
            self.answer(HTTPStatus.OK, self.server.view.metrics(), CONTENT_TYPE)
        elif path == _HEALTH:
            good, body = self.server.view.health()
            self.answer(HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE, body, "application/json")
        else:
            self.refuse(HTTPStatus.NOT_FOUND, f"only {_HEALTH} and {_METRICS} can be read")

    def do_HEAD(self) -> None:  # noqa: N802 -- the same
        """The same, without its body."""
        self.do_GET()
