"""Metrics for a machine without an agent: a line of JSON each, with the fields of stock's ``metrics.json``, or nothing."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence

from backupstore.core.measures import Sample


class Lines:
    """``ports.Metrics``. ``say`` takes each line, for the log."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._count = itertools.count()

    def send(self, samples: Sequence[Sample]) -> bool:
        """A line each."""
        for sample in samples:
            tags = [sample.measure.key, sample.measure.what, sample.backup]
            metric = {"seq": next(self._count), "tags": tags, "value": sample.value, **sample.beside}
            self._say(f"metric {json.dumps(metric, ensure_ascii=False)}")
        return True


class Nowhere:
    """``ports.Metrics`` of those who want none."""

    def send(self, samples: Sequence[Sample]) -> bool:
        """Nothing, which has arrived nowhere."""
        return not samples
