"""What monitoring is told of a backup: stock's numbers under stock's names, and one of ours for corrupt components."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from backupstore.ports import Metrics
from shipper.backup import Report

_KEY = "medusa-node-backup"


@contextmanager
def measured(metrics: Metrics, backup: str) -> Iterator[None]:
    """Tell whether what is inside ended well. Whatever ends it early is an error, a signal too: there is no backup."""
    failed = 1
    try:
        yield
        failed = 0
    finally:
        metrics.send(_KEY, "backup-error", failed, backup=backup)


def tell(metrics: Metrics, report: Report) -> None:
    """Seconds, bytes of all files, and how many components the disk has spoilt."""
    metrics.send(_KEY, "backup-duration", report.seconds, backup=report.backup)
    metrics.send(_KEY, "backup-size", report.totals.size, backup=report.backup)
    metrics.send(_KEY, "backup-corrupt", report.totals.corrupt, backup=report.backup)
