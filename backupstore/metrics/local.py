"""Metrics for a machine without an agent: a line of JSON each, with the fields of stock's ``metrics.json``, or nothing."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable


class Lines:
    """``ports.Metrics``. ``say`` takes each line, for the log."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._count = itertools.count()

    def send(self, key: str, what: str, value: float, *, backup: str) -> None:
        """One line."""
        metric = {"seq": next(self._count), "tags": [key, what, backup], "value": value}
        self._say(f"metric {json.dumps(metric, ensure_ascii=False)}")


class Nowhere:
    """``ports.Metrics`` of those who want none."""

    def send(self, key: str, what: str, value: float, *, backup: str) -> None:
        """Nothing."""
