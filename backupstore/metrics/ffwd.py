"""Metrics for Spotify's ffwd in its JSON form, with the names that Medusa of 2019 gave them."""

from __future__ import annotations

import json
from collections.abc import Callable

from backupstore.metrics.datagrams import Datagrams

_HOST, _PORT = "127.0.0.1", 19000


class Ffwd:
    """``ports.Metrics``. The agent listens on this machine, always there."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._datagrams = Datagrams(_HOST, _PORT, warn)

    def send(self, key: str, what: str, value: float, *, backup: str) -> None:
        """One metric; the backup's name is an attribute of it."""
        metric = {"type": "metric", "key": key, "attributes": {"what": what, "backupname": backup}, "value": value}
        self._datagrams.send(json.dumps(metric).encode())
