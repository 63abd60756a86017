"""Doubts: which node backups of the catalog have to be looked into, from listings that cost little.

A catalog that was complete once is compared with folders (``F/N/``), with stock's index and with the list of findings, a
few requests however many backups there are. What a listing contradicts is in doubt, and so is whatever still goes on:

- a node backup that the catalog does not know, or whose folder is gone;
- one that is not finished, or of which something could not be read;
- one of ours whose rows are not exactly those that it should have: purge takes them away before anything else;
- a cluster backup with other findings than the catalog knows, or newer ones.

What happens *inside* of a finished node backup is not seen by this: that it is given up, that ``damaged`` is put beside it,
that somebody deletes a part of it by hand. Who looks at doubts alone has to look into everything now and then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from backupstore.core.completion import is_finished
from backupstore.core.documents import ClusterBackup, NodeFact
from backupstore.core.events import CLUSTER
from backupstore.core.key_parsing import parse_in
from backupstore.core.keys import OwnKey, RowKey
from backupstore.core.layout import Layout
from backupstore.operations.rows import wanted
from backupstore.operations.truth import Truth
from backupstore.ports import ObjectStore

_JSON = ".json"


@dataclass(frozen=True, slots=True)
class Seen:
    """What the listings show. ``folders``: nodes by backup; ``rows``: keys by node by backup; ``findings``: by backup, level.

    ``documents``: when each document of the catalog was written; times are the store's.
    """

    folders: Mapping[str, AbstractSet[str]]
    rows: Mapping[str, Mapping[str, AbstractSet[str]]]
    documents: Mapping[str, float]
    findings: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def names(self) -> frozenset[str]:
        """Every cluster backup that any of them names, but for those of which there are findings alone."""
        return frozenset({*self.folders, *self.rows, *self.documents})

    def nodes(self, backup: str) -> set[str]:
        """The nodes that may have a node backup of this name."""
        return {*self.folders.get(backup, ()), *self.rows.get(backup, ())}


def rows_by_backup(store: ObjectStore, layout: Layout) -> dict[str, dict[str, set[str]]]:
    """The keys of stock's index, by backup and node. One listing."""
    found: dict[str, dict[str, set[str]]] = {}
    for stored in store.list(layout.all_rows()):
        row = parse_in(layout, stored.key)
        if isinstance(row, RowKey):
            found.setdefault(row.backup, {}).setdefault(row.node, set()).add(stored.key)
    return found


def findings_by_backup(store: ObjectStore, layout: Layout) -> dict[str, dict[str, float]]:
    """When each level's findings were written, by backup. One listing."""
    found: dict[str, dict[str, float]] = {}
    for stored in store.list(layout.all_findings()):
        key = parse_in(layout, stored.key)
        backup, _, file = key.rest.partition("/") if isinstance(key, OwnKey) else ("", "", "")
        if file.endswith(_JSON):
            found.setdefault(backup, {})[file.removesuffix(_JSON)] = stored.modified
    return found


def doubts(layout: Layout, document: ClusterBackup, seen: Seen) -> frozenset[str]:
    """The nodes to look at; ``CLUSTER`` for the findings. ``document`` was read before anything was listed."""
    rows = seen.rows.get(document.name, {})
    found = set(seen.folders.get(document.name, set()) ^ document.nodes.keys())
    found |= rows.keys() - document.nodes.keys()
    for node, fact in document.nodes.items():
        if not _is_settled(layout, document, node, fact, rows.get(node, set())):
            found.add(node)
    if document.nodes and any(_unlike(document, seen)):
        found.add(CLUSTER)
    return frozenset(found)


def _is_settled(layout: Layout, document: ClusterBackup, node: str, fact: NodeFact, rows: AbstractSet[str]) -> bool:
    """Whether nothing is expected to happen to it, and its rows are as they should be."""
    if fact.abandoned:
        return not rows
    if not is_finished(fact):
        return False
    if fact.writer == "stock":
        return bool(rows)  # its own business, but the last thing that stock takes away
    truth = Truth(fact, document.rings.get(fact.ring or ""))
    should = {row: layout.row(row) for group in wanted(document.name, node, truth) for row in group}
    # The copy of a very long manifest is left out.
    without = {key for row, key in should.items() if row.kind != "manifest"}
    return without <= rows <= set(should.values())


def _unlike(document: ClusterBackup, seen: Seen) -> Iterator[bool]:
    found = seen.findings.get(document.name, {})
    known = {each.level for each in document.verified}
    written = seen.documents.get(document.name, 0.0)
    yield bool(known - found.keys())
    for level, at in found.items():
        yield level not in known or at > written
