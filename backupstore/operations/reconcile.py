"""Reconcile: compare everything derived with the bucket, and repair it. Events may be lost; this finds what they told.

With ``everything`` it is a rebuild from nothing (``build-index``): no fact, document or row is believed, what cannot be
read is replaced, and stock's rows are written for stock's backups too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from backupstore.core import layout as grammar
from backupstore.core.documents import ClusterBackup, decode
from backupstore.core.key_parsing import parse_in
from backupstore.core.keys import RowKey
from backupstore.core.layout import Layout
from backupstore.errors import Corrupt, NotFound
from backupstore.operations.backups import settle_backup
from backupstore.operations.head import confirm_head
from backupstore.operations.markers import settle_markers
from backupstore.operations.passes import Indexing
from backupstore.operations.truth import child_names, node_backups
from backupstore.ports import ObjectStore

TOMBSTONE_AGE = 86_400
META = "meta"
_TOMBSTONE_SIZE = 4096


@dataclass(frozen=True, slots=True)
class ReconcileReport:
    """What was looked at, what was repaired (by key), and why documents of the catalog cannot be read."""

    backups: int
    nodes: int
    written: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()


def reconcile(
    store: ObjectStore, layout: Layout, *, now: float, revision: Callable[[], str], everything: bool = False
) -> ReconcileReport:
    """Repair one cluster's catalog, stock's index and markers."""
    at = Indexing(store, layout, now, revision, rebuild=everything)
    catalogued = _catalogued(at)
    # The truth after that: when an indexer filled a document that was just dropped as empty, its backup is found here.
    found = node_backups(store, layout)
    for backup, nodes in _rows(at).items():
        found.setdefault(backup, set()).update(nodes)
    settled = []
    for backup in sorted(found.keys() | catalogued):
        try:
            settled.append(settle_backup(at, backup, found.get(backup, set()), whole=True))
        except Corrupt as error:
            at.changes.unreadable[layout.catalog_backup(backup)] = error
    confirm_head(at)
    nodes = {node for document in settled for node in document.nodes}
    settle_markers(at, nodes.union(child_names(store, layout.all_latest())))
    return ReconcileReport(
        backups=sum(bool(document.nodes) for document in settled),
        nodes=len(nodes),
        written=tuple(key for key in at.changes.written if key != layout.head()),
        removed=tuple(at.changes.removed),
        unreadable=tuple(error.message for error in at.changes.unreadable.values()),
    )


def _catalogued(at: Indexing) -> set[str]:
    """The backups that have a document. Those that say "gone" for a day are dropped, as is, by a rebuild, what is none.

    Not all stores can delete by version; what was written into such a document just now is lost, and found again by
    the listing of the bucket that comes after.
    """
    kept = set()
    dropped = []
    for stored in at.store.list(at.layout.catalog_backups()):
        name = at.layout.catalog_name(stored.key)
        old = at.rebuild or stored.modified < at.now - TOMBSTONE_AGE
        if (name is None and at.rebuild) or (old and stored.size <= _TOMBSTONE_SIZE and _says_gone(at, stored.key)):
            dropped.append(stored.key)
        elif name is not None:
            kept.add(name)
    at.delete(dropped)
    return kept


def _says_gone(at: Indexing, key: str) -> bool:
    try:
        return not decode(ClusterBackup, at.store.read(key).body, key).nodes
    except (NotFound, Corrupt):
        return False


def _rows(at: Indexing) -> dict[str, set[str]]:
    """The nodes that stock's index names, by backup."""
    found: dict[str, set[str]] = {}
    for stored in at.store.list(at.layout.all_rows()):
        row = parse_in(at.layout, stored.key)
        if isinstance(row, RowKey):
            found.setdefault(row.backup, set()).add(row.node)
    return found


def prefixes(store: ObjectStore) -> tuple[str, ...]:
    """The clusters in the bucket, by prefix, sorted; the empty one for a cluster without a prefix."""
    announced = (folder[len(grammar.ANNOUNCED) : -1] for folder in store.entries(grammar.ANNOUNCED).folders)
    found = {"" if name == grammar.NO_PREFIX else name for name in announced}
    for top in child_names(store, ""):
        if top not in found:
            found |= _clusters_at(store, top)
    return tuple(sorted(found))


def _clusters_at(store: ObjectStore, top: str) -> set[str]:
    """What a folder at the root of the bucket proves: that it is a cluster, or a node of the one without a prefix.

    A node's folder holds ``N/meta/``, a cluster's ``F/N/meta/``; one of them is enough.
    """
    for child in child_names(store, Layout().node(top)):
        inner = set(child_names(store, Layout().backup(top, child)))
        if META in inner:
            return {""}
        if any(META in child_names(store, Layout(top).backup(child, name)) for name in inner):
            return {top}
    return set()
