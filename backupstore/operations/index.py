"""Index: bring the catalog and stock's index up to date for the node backups that events spoke of.

Events only say where to look; everything written follows from what is read in the bucket (``operations.passes`` tells
why that ends right in any order). Documents first, then the head, then stock's markers: each step reads what the one
before wrote, so that a run which dies between them is finished by the same events coming again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from backupstore.core.events import CLUSTER, Subject
from backupstore.core.layout import Layout
from backupstore.errors import BackupError, Corrupt, Denied
from backupstore.operations.backups import settle_backup
from backupstore.operations.head import settle_head
from backupstore.operations.markers import settle_markers
from backupstore.operations.passes import Indexing
from backupstore.ports import ObjectStore


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What a run changed, by key; both empty when everything was up to date. ``failed``: what is still to be done, and why."""

    written: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    failed: Mapping[Subject, BackupError] = field(default_factory=dict)


def index(store: ObjectStore, subjects: Iterable[Subject], *, now: float, revision: Callable[[], str]) -> IndexReport:
    """Look at these node backups, each document once. ``revision`` gives a new random text with every call.

    Nothing is raised for the bucket's sake: what could not be brought up to date stands in ``failed``. A document that
    cannot be read (only a rebuild may replace it) or not be written fails its own backup; any other trouble, such as a
    store that does not answer, fails the rest of its cluster at once.
    """
    report = IndexReport()
    for prefix, backups in sorted(_grouped(subjects).items()):
        at = Indexing(store, Layout(prefix), now, revision)
        failed = _index_cluster(at, backups)
        report = IndexReport(
            (*report.written, *at.changes.written),
            (*report.removed, *at.changes.removed),
            {**report.failed, **{Subject(prefix, node, name): why for (node, name), why in failed.items()}},
        )
    return report


def _grouped(subjects: Iterable[Subject]) -> dict[str, dict[str, set[str]]]:
    """Nodes by backup by prefix."""
    grouped: dict[str, dict[str, set[str]]] = {}
    for prefix, node, backup in subjects:
        grouped.setdefault(prefix, {}).setdefault(backup, set()).add(node)
    return grouped


def _index_cluster(at: Indexing, backups: dict[str, set[str]]) -> dict[tuple[str, str], BackupError]:
    """What failed, by node and backup."""
    failed: dict[tuple[str, str], BackupError] = {}
    settled: dict[str, set[str]] = {}
    try:
        for backup, nodes in sorted(backups.items()):
            try:
                settle_backup(at, backup, nodes)
                settled[backup] = nodes
            except (Corrupt, Denied) as error:
                failed |= dict.fromkeys(((node, backup) for node in nodes), error)
        settle_head(at, settled.keys())
        settle_markers(at, set().union(*settled.values()) - {CLUSTER})
    except BackupError as error:
        everything = ((node, backup) for backup, nodes in backups.items() for node in nodes)
        failed = {**dict.fromkeys(everything, error), **failed}
    return failed
