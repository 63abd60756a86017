"""Reconcile: compare everything derived with the bucket, and repair it. Events may be lost; this finds what they told.

It is cheap, so that it can be done every few minutes: one delimiter listing for each node, three listings, and a read of
each document of the catalog tell what is in ``doubts``, and only that is looked into. Now and then (``trust``) the meta
folder of every node backup is listed instead, which also finds what no listing of folders shows.

With ``everything`` it is a rebuild from nothing (``build-index``): no fact, document or row is believed, what cannot be
read is replaced, and stock's rows are written for stock's backups too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from backupstore.core import layout as grammar
from backupstore.core.catalog import empty_backup
from backupstore.core.documents import ClusterBackup, Head, decode
from backupstore.core.events import CLUSTER
from backupstore.core.key_parsing import parse_in
from backupstore.core.keys import RowKey
from backupstore.core.layout import Layout
from backupstore.errors import Corrupt, NotFound
from backupstore.operations.backups import settle_backup
from backupstore.operations.doubts import Seen, doubts, findings_by_backup, rows_by_backup
from backupstore.operations.each import Each
from backupstore.operations.head import confirm_head
from backupstore.operations.markers import doubtful_markers, settle_markers
from backupstore.operations.passes import Indexing
from backupstore.operations.truth import child_names, node_backups, top_names
from backupstore.ports import ObjectStore

TOMBSTONE_AGE = 86_400
TRUST = 43_200.0
"""Seconds for which hosts that reconcile often believe what they have looked into."""
META = "meta"
_TOMBSTONE_SIZE = 4096


@dataclass(frozen=True, slots=True)
class ReconcileReport:
    """What was looked at, what was repaired (by key), and why documents of the catalog cannot be read.

    ``deep``: every node backup was looked into. ``repaired``: the cluster backups to which those keys belong.
    """

    backups: int
    nodes: int
    written: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    repaired: tuple[str, ...] = ()
    deep: bool = True


@dataclass(frozen=True, slots=True)
class _Settled:
    """A cluster backup that is as it should be, and its nodes that were looked at."""

    document: ClusterBackup
    looked: frozenset[str]


def reconcile(  # noqa: PLR0913 -- what there is to choose
    store: ObjectStore,
    layout: Layout,
    *,
    now: float,
    revision: Callable[[], str],
    everything: bool = False,
    trust: float = 0.0,
    each: Each = map,
) -> ReconcileReport:
    """Repair one cluster's catalog, stock's index and markers.

    ``trust``: seconds for which it is believed that nothing has changed in what was looked into and is not in doubt, since
    somebody last looked into everything; 0 looks into everything now. ``each`` spreads nodes and backups.
    """
    at = Indexing(store, layout, now, revision, rebuild=everything)
    deep = everything or not trust or now - _looked(at) >= trust
    documents = _catalogued(at)
    known = {} if deep else _read(at, documents, each)
    # The truth after that: when an indexer filled a document that was just dropped as empty, its backup is found here.
    folders = node_backups(store, layout, each)
    findings = {} if deep else findings_by_backup(store, layout)
    seen = Seen(folders, rows_by_backup(store, layout), documents, findings)

    def settle(name: str) -> _Settled | None:
        nodes = frozenset(seen.nodes(name)) if deep else doubts(layout, known.get(name) or empty_backup(name), seen)
        if not deep and not nodes:
            return _Settled(known.get(name) or empty_backup(name), nodes)
        try:
            return _Settled(settle_backup(at, name, nodes, whole=deep), nodes)
        except Corrupt as error:
            at.changes.unreadable[layout.catalog_backup(name)] = error
            return None

    settled = [one for one in each(settle, sorted(seen.names)) if one]
    confirm_head(at, looked=now if deep else None)
    nodes = {node for one in settled for node in one.document.nodes}
    _settle_markers(at, nodes if deep else {node for one in settled for node in one.looked}, deep=deep)
    written = tuple(sorted(key for key in at.changes.written if key != layout.head()))
    removed = tuple(sorted(at.changes.removed))
    return ReconcileReport(
        backups=sum(bool(one.document.nodes) for one in settled),
        nodes=len(nodes),
        written=written,
        removed=removed,
        unreadable=tuple(error.message for _, error in sorted(at.changes.unreadable.items())),
        repaired=_names(layout, (*written, *removed)),
        deep=deep,
    )


def _looked(at: Indexing) -> float:
    """When somebody last looked into everything."""
    head = at.stored(Head, at.layout.head()).document
    return head.looked if head else 0.0


def _read(at: Indexing, names: Iterable[str], each: Each) -> dict[str, ClusterBackup]:
    """The documents of the catalog. One that cannot be read is as good as none: looking at its backup will tell."""

    def read(name: str) -> ClusterBackup | None:
        try:
            return at.stored(ClusterBackup, at.layout.catalog_backup(name)).document
        except Corrupt:
            return None

    return {document.name: document for document in each(read, names) if document}


def _settle_markers(at: Indexing, nodes: set[str], *, deep: bool) -> None:
    if deep:
        settle_markers(at, nodes.union(child_names(at.store, at.layout.all_latest())))
    else:
        settle_markers(at, nodes.union(doubtful_markers(at)) - {CLUSTER})


def _names(layout: Layout, keys: Iterable[str]) -> tuple[str, ...]:
    """The cluster backups whose documents or rows these are."""
    found = set()
    for key in keys:
        parsed = parse_in(layout, key)
        name = parsed.backup if isinstance(parsed, RowKey) else layout.catalog_name(key)
        if name is not None:
            found.add(name)
    return tuple(sorted(found))


def _catalogued(at: Indexing) -> dict[str, float]:
    """When the document of each backup was written. Those that say "gone" for a day are dropped, as is, by a rebuild, what is none.

    Not all stores can delete by version; what was written into such a document just now is lost, and found again by
    the listing of the bucket that comes after.
    """
    kept = {}
    dropped = []
    for stored in at.store.list(at.layout.catalog_backups()):
        name = at.layout.catalog_name(stored.key)
        old = at.rebuild or stored.modified < at.now - TOMBSTONE_AGE
        if (name is None and at.rebuild) or (old and stored.size <= _TOMBSTONE_SIZE and _says_gone(at, stored.key)):
            dropped.append(stored.key)
        elif name is not None:
            kept[name] = stored.modified
    at.delete(dropped)
    return kept


def _says_gone(at: Indexing, key: str) -> bool:
    try:
        return not decode(ClusterBackup, at.store.read(key).body, key).nodes
    except (NotFound, Corrupt):
        return False


def prefixes(store: ObjectStore) -> tuple[str, ...]:
    """The clusters in the bucket, by prefix, sorted; the empty one for a cluster without a prefix."""
    found = announced(store)
    for top in top_names(store):
        if top not in found:
            found |= clusters_at(store, top)
    return tuple(sorted(found))


def announced(store: ObjectStore) -> set[str]:
    """The prefixes of the clusters whose nodes have announced anything: where they do so no other cluster's node may write."""
    names = (folder[len(grammar.ANNOUNCED) : -1] for folder in store.entries(grammar.ANNOUNCED).folders)
    return {"" if name == grammar.NO_PREFIX else name for name in names}


def clusters_at(store: ObjectStore, top: str) -> set[str]:
    """What a folder at the root of the bucket proves: that it is a cluster, or a node of the one without a prefix.

    A node's folder holds ``N/meta/``, a cluster's ``F/N/meta/``; one of them is enough. Before them counts an index: into
    that of a cluster its nodes cannot write, while each of them can call a backup ``meta``. Stock's can be called ``index``.
    """
    children = list(child_names(store, Layout().node(top)))
    if grammar.INDEX in children and META not in child_names(store, Layout().backup(top, grammar.INDEX)):
        return {top}
    for child in children:
        inner = set(child_names(store, Layout().backup(top, child)))
        if META in inner:
            return {""}
        if any(META in child_names(store, Layout(top).backup(child, name)) for name in inner):
            return {top}
    return set()
