"""What Prometheus gets from ``serve``: the report of every cluster, from one read each, however often it asks.

What cannot be read is told in the numbers; nobody who asks can make the bucket be read more often than now and then.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from backupstore.core.layout import Layout
from backupstore.core.measures import Sample
from backupstore.core.reporting import samples_of_failure
from backupstore.errors import BackupError
from backupstore.metrics.prometheus import exposition
from backupstore.operations.reconcile import prefixes
from backupstore.operations.report import measure
from backupstore.ports import Clock, ObjectStore

_FRESH = 15.0
_SAME_CLUSTERS = 300.0  # to find out which there are takes a listing for each node


@dataclass(slots=True)
class Scrape:
    """``prefix`` None: all clusters of the bucket. ``store`` should not wait long: whoever scrapes does not either."""

    store: ObjectStore
    clock: Clock
    prefix: str | None
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _text: bytes = field(default=b"", init=False)
    _read: float | None = field(default=None, init=False)
    _clusters: tuple[str, ...] = field(default=(), init=False)
    _looked: float | None = field(default=None, init=False)

    def text(self) -> bytes:
        """The numbers, at most 15 seconds old; safe to call from several threads."""
        with self._lock:
            if self._read is None or self.clock.running() - self._read >= _FRESH:
                self._text = exposition(self._samples())
                self._read = self.clock.running()
            return self._text

    def _samples(self) -> list[Sample]:
        try:
            clusters = self._known_clusters() if self.prefix is None else (self.prefix,)
        except BackupError:
            return samples_of_failure("")
        now = self.clock.now()
        return [sample for prefix in clusters or ("",) for sample in measure(self.store, Layout(prefix), now=now)]

    def _known_clusters(self) -> tuple[str, ...]:
        if not self._clusters or self._looked is None or self.clock.running() - self._looked >= _SAME_CLUSTERS:
            self._clusters = prefixes(self.store)
            self._looked = self.clock.running()
        return self._clusters
