"""Reading the catalog: what list, status and report look at. Nothing here writes.

Where there is no catalog, or it is behind, ``survey`` computes the same from the bucket; that costs a listing for each
node backup, so the callers say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from backupstore.core.catalog import empty_backup, empty_head, lines_of, with_facts, with_lines
from backupstore.core.documents import ClusterBackup, Head, decode
from backupstore.core.layout import Layout
from backupstore.core.tokenmap import ring_id
from backupstore.errors import Corrupt, NotFound
from backupstore.operations.each import Each
from backupstore.operations.findings import read_verified
from backupstore.operations.truth import GONE, Truth, node_backups, read_fact
from backupstore.ports import ObjectStore

_INTERVALS = 2


class Survey(NamedTuple):
    """What a rebuild would write: the head, and the cluster backups by name."""

    head: Head
    documents: dict[str, ClusterBackup]


def read_head(store: ObjectStore, layout: Layout) -> Head | None:
    """The head; None when there is no catalog yet. Corrupt when it cannot be read."""
    try:
        return decode(Head, store.read(layout.head()).body, layout.head())
    except NotFound:
        return None


def read_backup(store: ObjectStore, layout: Layout, backup: str) -> ClusterBackup | None:
    """One cluster backup; None when there is none, or it is gone. Corrupt when its document cannot be read."""
    key = layout.catalog_backup(backup)
    try:
        document = decode(ClusterBackup, store.read(key).body, key)
    except NotFound:
        return None
    return document if document.nodes else None


def is_behind(
    head: Head | None, *, now: float, interval: float, last_own: str | None = None, node: str = ""
) -> str | None:
    """Why the catalog cannot be relied on; None when it can.

    ``interval`` is the time between two reconciles; ``last_own`` the last backup that this node knows it made.
    """
    if head is None:
        return "there is no catalog yet"
    age = now - head.checked
    if age > _INTERVALS * interval:
        return f"the catalog was last confirmed {round(age / 60)} minutes ago"
    if last_own is not None and last_own not in {line.name for line in lines_of(head, node)}:
        return f"the catalog does not know {last_own} of {node} yet"
    return None


def survey(store: ObjectStore, layout: Layout, *, now: float, revision: Callable[[], str]) -> Survey:
    """Compute head and documents from the bucket. Facts in readable documents spare reading what has not changed."""
    documents = {}
    for backup, nodes in sorted(node_backups(store, layout).items()):
        document = _survey_backup(store, layout, backup, nodes)
        if document.nodes:
            documents[backup] = document.model_copy(update={"revision": revision()})
    head = with_lines(empty_head(), dict(documents))
    return Survey(head.model_copy(update={"revision": revision(), "checked": now}), documents)


def survey_backups(
    store: ObjectStore, layout: Layout, backups: Iterable[str], each: Each = map
) -> Iterator[ClusterBackup]:
    """Compute some documents from the bucket, those left out of which there is nothing. One listing for each node of each."""
    found = node_backups(store, layout, each)
    for document in each(lambda name: _survey_backup(store, layout, name, found.get(name, set())), backups):
        if document.nodes:
            yield document


def survey_backup(
    store: ObjectStore, layout: Layout, backup: str, nodes: Iterable[str] | None = None
) -> ClusterBackup | None:
    """Compute one document from the bucket; None when there is no such backup. One listing for each node.

    Its nodes are these, and those that the catalog knows; with None they are looked for, which takes another listing for each.
    """
    known = node_backups(store, layout).get(backup, set()) if nodes is None else set(nodes)
    document = _survey_backup(store, layout, backup, known)
    return document if document.nodes else None


def _survey_backup(store: ObjectStore, layout: Layout, backup: str, nodes: set[str]) -> ClusterBackup:
    try:
        stored = read_backup(store, layout, backup) or empty_backup(backup)
    except Corrupt:
        stored = empty_backup(backup)
    document = empty_backup(backup)
    for node in sorted(nodes | stored.nodes.keys()):
        fact = stored.nodes.get(node)
        known = Truth(fact, stored.rings.get(fact.ring or "")) if fact else GONE
        found = read_fact(store, layout, node=node, backup=backup, known=known)
        rings = {ring_id(found.ring): found.ring} if found.ring is not None else {}
        document = with_facts(document, {node: found.fact}, rings)
    verified = read_verified(store, layout, backup) if document.nodes else ()
    return document.model_copy(update={"verified": verified})
