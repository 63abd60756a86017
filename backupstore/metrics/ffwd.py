"""Metrics for Spotify's ffwd in its JSON form, with the names that Medusa of 2019 gave them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from backupstore.core.measures import Sample
from backupstore.metrics.datagrams import Datagrams

_HOST, _PORT = "127.0.0.1", 19000


class Ffwd:
    """``ports.Metrics``. The agent listens on this machine, always there."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._datagrams = Datagrams(_HOST, _PORT, warn)

    def send(self, samples: Sequence[Sample]) -> bool:
        """A metric each; the names of backup, cluster and node are attributes of it."""
        return self._datagrams.send(_metric(sample) for sample in samples)


def _metric(sample: Sample) -> bytes:
    attributes = {"what": sample.measure.what, "backupname": sample.backup, **sample.beside}
    return json.dumps(
        {"type": "metric", "key": sample.measure.key, "attributes": attributes, "value": sample.value}
    ).encode()
