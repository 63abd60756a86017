"""libcloud's drivers for one container: made as they are needed, each used by one call at a time.

A driver keeps the state of its request in itself, so threads must not share one. Its streamed requests have no time limit
of their own: without one, a server that goes silent holds a backup for ever.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from libcloud.storage.base import Container, StorageDriver
from requests.adapters import HTTPAdapter

from backupstore.stores.libcloud.faults import told

_MOST_IDLE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Which driver, with what arguments, for which container. ``timeout``: seconds without a byte; ``ca_file`` as in the settings."""

    provider: str
    make: Callable[..., StorageDriver]
    arguments: Mapping[str, object]
    container: str
    timeout: float = 60.0
    ca_file: Path | None = None

    @property
    def where(self) -> str:
        """As a person knows it."""
        return f"{self.container} at {self.arguments.get('host') or self.provider}"


class Drivers:
    """Drivers that wait to be used again."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._idle: deque[tuple[StorageDriver, Container]] = deque()

    @contextmanager
    def call(self, operation: str, key: str) -> Iterator[tuple[StorageDriver, Container]]:
        """A driver for a call, and the container as it knows it. After an error nobody uses that driver again.

        What it raises becomes Again, or an error of ours; ``operation`` and ``key`` are for those.
        """
        with told(self.access.where, operation, key):
            try:
                made = self._idle.pop()
            except IndexError:
                made = self._made()
            done = False
            try:
                yield made
                done = len(self._idle) < _MOST_IDLE
            finally:
                if done:
                    self._idle.append(made)
                else:
                    _close(made[0])

    def _made(self) -> tuple[StorageDriver, Container]:
        access = self.access
        driver = access.make(**access.arguments)
        connection: Any = driver.connection
        usual = connection.conn_class

        def limited(**named: object) -> Any:  # noqa: ANN401 -- any driver's own
            return self._limited(usual(**named))

        connection.conn_class = limited  # some drivers connect anew when they have logged in
        self._limited(connection.connection)
        return driver, driver.get_container(access.container)

    def _limited(self, connection: Any) -> Any:  # noqa: ANN401 -- any driver's own
        session = getattr(connection, "session", None)
        if isinstance(session, requests.Session):
            for scheme in ("http://", "https://"):
                session.mount(scheme, _Limited(self.access.timeout))
            if self.access.ca_file is not None:
                connection.ca_cert = str(self.access.ca_file)
        return connection


def _close(driver: StorageDriver) -> None:
    """Drop its connection, with an answer that nobody reads to its end."""
    connection: Any = getattr(driver.connection, "connection", None)
    for each in (getattr(connection, "response", None), getattr(connection, "session", None)):
        if isinstance(each, (requests.Response, requests.Session)):
            each.close()


class _Limited(HTTPAdapter):
    """Sends requests that end."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        super().__init__()

    def send(self, request: requests.PreparedRequest, *arguments: Any, **named: Any) -> requests.Response:  # noqa: ANN401
        """As requests calls it, with one of its own arguments set."""
        named["timeout"] = self._timeout
        return super().send(request, *arguments, **named)
