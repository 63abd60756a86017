"""What ``serve`` does when ``report_schedule`` says so: send the report of each cluster to where ``[monitoring]`` says."""

from __future__ import annotations

from dataclasses import dataclass

from backupstore.core.layout import Layout
from backupstore.errors import Refused
from backupstore.operations.report import measure
from backupstore.ports import Clock, Metrics, ObjectStore


@dataclass(frozen=True, slots=True)
class Reporter:
    """``scheduled.Job``. What was not told at its time is told at the next one: the bucket remembers nothing of it."""

    metrics: Metrics
    clock: Clock
    name: str = "report"

    def last(self, prefix: str) -> float | None:  # noqa: ARG002 -- the protocol's
        """Nobody knows."""
        return None

    def run(self, prefix: str, store: ObjectStore) -> None:
        """Tell all numbers of one cluster; what cannot be read is told in them. Refused when the receiver does not take them."""
        if not self.metrics.send(measure(store, Layout(prefix), now=self.clock.now())):
            raise Refused("the metrics were not taken", hint="The line above says why.", operation="report")
