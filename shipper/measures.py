"""What monitoring is told of a backup: stock's numbers under stock's names, and ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from backupstore.core import measures
from backupstore.core.measures import Sample
from backupstore.ports import Metrics
from shipper.backup import Report

Tell = Callable[[Report], None]


@contextmanager
def purging(metrics: Metrics, cluster: str) -> Iterator[None]:
    """Tell at the end whether a purge ended well."""
    failed = 1
    try:
        yield
        failed = 0
    finally:
        metrics.send([Sample(measures.PURGE_ERROR, failed, cluster)])


@contextmanager
def measured(metrics: Metrics, backup: str, *, cluster: str = "", node: str = "") -> Iterator[Tell]:
    """Tell everything at the end: what is said inside, and whether it ended well.

    Whatever ends it early is an error, a signal too: there is no backup.
    """
    told: list[Sample] = []
    failed = 1

    def tell(report: Report) -> None:
        totals = report.totals
        for measure, value in (
            (measures.BACKUP_DURATION, report.seconds),
            (measures.BACKUP_SIZE, totals.size),
            (measures.BACKUP_CORRUPT, totals.corrupt),
            (measures.BACKUP_NEW, totals.new_size),
        ):
            told.append(Sample(measure, value, cluster, node, report.backup))

    try:
        yield tell
        failed = 0
    finally:
        metrics.send([*told, Sample(measures.BACKUP_ERROR, failed, cluster, node, backup)])
