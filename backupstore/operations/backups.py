"""One cluster backup: its document in the catalog, and stock's index rows of its node backups."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from backupstore.core.catalog import content, empty_backup, with_facts
from backupstore.core.documents import ClusterBackup
from backupstore.core.events import CLUSTER
from backupstore.core.tokenmap import ring_id
from backupstore.operations.findings import read_verified
from backupstore.operations.passes import Indexing, until_quiet
from backupstore.operations.rows import Rows, rows_of, settle_rows
from backupstore.operations.truth import GONE, Truth, read_fact


def settle_backup(at: Indexing, backup: str, nodes: AbstractSet[str], *, whole: bool = False) -> ClusterBackup:
    """Make the document and the rows say of these nodes what is true; ``whole``: of all nodes that they name as well.

    A node without a name stands for the cluster backup itself, of which only the findings are looked at.
    Returns the document. Corrupt when the one in the bucket cannot be read, and this is no rebuild.
    """
    known: dict[str, Truth] = {}
    removed: set[str] = set()
    key = at.layout.catalog_backup(backup)
    result = empty_backup(backup)

    def look() -> bool:
        nonlocal result
        stored = at.stored(ClusterBackup, key)
        document = stored.document or empty_backup(backup)
        rows = rows_of(at, backup)
        named = document.nodes.keys() | rows.keys() if whole else set()
        # Only now the truth: the document must not be older than what is written over it, and a row of stock's that
        # was listed before its schema.cql was looked for, in vain, is dangling (stock writes the schema first).
        for node in sorted((nodes | named) - {CLUSTER}):
            believed = known.get(node) or (GONE if at.rebuild else _believed(document, node))
            known[node] = read_fact(at.store, at.layout, node=node, backup=backup, known=believed)
        result = _with(document, known)
        verified = read_verified(at.store, at.layout, backup) if result.nodes else ()
        result = result.model_copy(update={"verified": verified})
        # A document that names nobody stays and says that the backup is gone: few stores can delete by version.
        quiet = content(result) == content(document) and stored.why is None
        if not quiet and not at.swap(key, result, stored):
            return False
        for node, truth in known.items():
            found = Rows(backup, node, rows.get(node, frozenset()))
            quiet = settle_rows(at, found, truth, removed) and quiet
        return quiet

    until_quiet(look, key)
    return result


def _believed(document: ClusterBackup, node: str) -> Truth:
    fact = document.nodes.get(node)
    return Truth(fact, document.rings.get(fact.ring or "")) if fact else GONE


def _with(document: ClusterBackup, found: dict[str, Truth]) -> ClusterBackup:
    rings = {ring_id(truth.ring): truth.ring for truth in found.values() if truth.ring is not None}
    return with_facts(document, {node: truth.fact for node, truth in found.items()}, rings)
