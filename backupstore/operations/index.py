"""Index: bring the catalog and stock's index up to date for the node backups that events spoke of.

Events only say where to look; everything written follows from what is read in the bucket (``operations.passes`` tells
why that ends right in any order). Documents first, then the head, then stock's markers: each step reads what the one
before wrote, so that a run which dies between them is finished by the same events coming again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from backupstore.core.events import Subject
from backupstore.core.layout import Layout
from backupstore.errors import Corrupt
from backupstore.operations.backups import settle_backup
from backupstore.operations.head import settle_head
from backupstore.operations.markers import settle_markers
from backupstore.operations.passes import Indexing
from backupstore.ports import ObjectStore


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What a run changed, by key; both empty when everything was up to date."""

    written: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


def index(store: ObjectStore, subjects: Iterable[Subject], *, now: float, revision: Callable[[], str]) -> IndexReport:
    """Look at these node backups, each document once. ``revision`` gives a new random text with every call.

    Retryable when others write all the time. Corrupt, after everything else was done, when a document of the catalog
    cannot be read: only a rebuild may replace that.
    """
    report = IndexReport()
    troubles: list[Corrupt] = []
    for prefix, backups in sorted(_grouped(subjects).items()):
        at = Indexing(store, Layout(prefix), now, revision)
        troubles += _index_cluster(at, backups)
        report = IndexReport((*report.written, *at.changes.written), (*report.removed, *at.changes.removed))
    if troubles:
        raise troubles[0]
    return report


def _grouped(subjects: Iterable[Subject]) -> dict[str, dict[str, set[str]]]:
    """Nodes by backup by prefix."""
    grouped: dict[str, dict[str, set[str]]] = {}
    for prefix, node, backup in subjects:
        grouped.setdefault(prefix, {}).setdefault(backup, set()).add(node)
    return grouped


def _index_cluster(at: Indexing, backups: dict[str, set[str]]) -> list[Corrupt]:
    troubles = []
    settled = {}
    for backup, nodes in sorted(backups.items()):
        try:
            settle_backup(at, backup, nodes)
            settled[backup] = nodes
        except Corrupt as error:
            troubles.append(error)
    settle_head(at, settled.keys())
    settle_markers(at, set().union(*settled.values()))
    return troubles
