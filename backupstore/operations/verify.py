"""Verify cluster backups: look at each node's part, then at the whole, and put down what was found.

Levels: ``listing`` compares manifests with listings and reads no data; ``structure`` also asks whether each SSTable is
whole and whether the node backups together hold the whole ring; ``content`` also reads the data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from backupstore.core import layout as grammar
from backupstore.core import tokenmap
from backupstore.core.catalog import line_of
from backupstore.core.completion import completion, is_finished
from backupstore.core.coverage import Holder, gaps
from backupstore.core.documents import ClusterBackup, Findings, Found, NodeFact
from backupstore.core.key_parsing import data_key
from backupstore.core.layout import Layout
from backupstore.core.replication import Replication, replications
from backupstore.core.tokenmap import RingMember
from backupstore.core.verification import (
    MISMATCH,
    UNCHECKED,
    UNCOVERED,
    UNTOLD,
    Subset,
    Tally,
    of_completion,
    sstable_name,
)
from backupstore.errors import BackupError, Corrupt
from backupstore.operations.each import Each
from backupstore.operations.findings import read_findings
from backupstore.operations.reading import read_backup, survey_backups
from backupstore.operations.verify_node import Wanted, verify_node
from backupstore.ports import ObjectStore

_DOCUMENT = 64 << 20


@dataclass(frozen=True, slots=True)
class Verified:
    """One cluster backup: what there is of it, how it was looked at, and what was found in so many node backups."""

    document: ClusterBackup
    wanted: Wanted
    nodes: int
    tally: Tally

    def findings(self, *, now: float, revision: str) -> Findings:
        """The same as it is put down."""
        return Findings(
            revision=revision,
            backup=self.document.name,
            level=self.wanted.level,
            at=now,
            ok=self.tally.ok,
            nodes=self.nodes,
            objects=self.tally.objects,
            size=self.tally.size,
            read=self.tally.read,
            by_size=self.tally.by_size,
            subset=str(self.wanted.subset) if self.wanted.subset else None,
            counts=dict(sorted(self.tally.counts.items())),
            findings=self.tally.findings,
        )


def verify(
    store: ObjectStore, layout: Layout, backups: Iterable[str], wanted: Wanted, each: Each = map
) -> tuple[Verified, ...]:
    """Look at these cluster backups, in their order, those left out of which there is nothing. Nothing is written.

    ``each`` spreads the nodes; each node's data is listed once. What a node's part came to is a finding, not an error;
    an error is that the backups themselves cannot be found.
    """
    found = survey_backups(store, layout, backups, each)
    documents = {document.name: document for document in found if line_of(document)}
    work: dict[str, dict[str, NodeFact]] = {}
    for name, document in documents.items():
        for node in _finished(document):
            work.setdefault(node, {})[name] = document.nodes[node]
    nodes = sorted(work)
    looked = each(lambda node: verify_node(store, layout, node, work[node], wanted), nodes)
    tallies = dict(zip(nodes, looked, strict=True))
    return tuple(
        judge(store, layout, document, wanted, {node: tallies[node][name] for node in _finished(document)})
        for name, document in documents.items()
    )


def judge(
    store: ObjectStore, layout: Layout, document: ClusterBackup, wanted: Wanted, parts: Mapping[str, Tally]
) -> Verified:
    """What its node backups and the whole come to. A finished one of which there is no part was not checked."""
    finished = _finished(document)
    tally = Tally()
    for finding in of_completion(completion(document.nodes, document.rings)):
        tally.add(_explained(finding, document.nodes))
    for node in finished:
        if node in parts:
            tally.merge(parts[node])
        else:
            tally.add(Found(kind=UNCHECKED, node=node, why="its backup was not finished when it was to be looked at"))
    if wanted.level != "listing":
        _cover(store, layout, document, wanted, tally)
    verified = Verified(document, wanted, sum(node in parts for node in finished), tally)
    if wanted.subset is not None:
        _carry(store, layout, verified, wanted.subset)
    return verified


def _finished(document: ClusterBackup) -> list[str]:
    return sorted(node for node, fact in document.nodes.items() if is_finished(fact))


def _explained(finding: Found, nodes: Mapping[str, NodeFact]) -> Found:
    """Why a backup that looks finished does not count."""
    fact = nodes.get(finding.node)
    return finding.model_copy(update={"why": fact.problem}) if fact and fact.problem else finding


def _cover(store: ObjectStore, layout: Layout, document: ClusterBackup, wanted: Wanted, tally: Tally) -> None:
    """Whether the finished node backups hold the whole ring."""
    order = sorted(_finished(document), key=lambda node: (document.nodes[node].started, node))
    try:
        rings = {node: _ring(store, layout, node, document.name) for node in order}
        schemas = {node: _schema(store, layout, node, document.name) for node in order}
    except BackupError as error:
        if wanted.gives_up(error):
            raise
        why = f"whether the whole ring is there cannot be told: {error.message}"
        tally.add(Found(kind=UNCHECKED, path=error.key, why=why))
        return
    first: dict[str, dict[str, RingMember]] = {}
    for node in order:
        for dc in {member.dc for member in rings[node].values()}:
            first.setdefault(dc, rings[node])
    holders = [Holder(node, _whole_ring(rings[node], first), schemas[node]) for node in order]
    for gap in gaps(holders):
        why = f"keyspace {gap.keyspace}: {gap.why}" if gap.keyspace else gap.why
        tally.add(Found(kind=UNCOVERED if gap.known else UNCHECKED, why=why))


def _whole_ring(own: dict[str, RingMember], first: Mapping[str, Mapping[str, RingMember]]) -> Mapping[str, RingMember]:
    """A node's own datacenter as it saw it, the others as their first ones did."""
    seen = {member.dc for member in own.values()}
    others = {
        name: member
        for dc, ring in first.items()
        if dc not in seen
        for name, member in ring.items()
        if member.dc == dc and name not in own
    }
    return {**others, **own} if others else own


def _ring(store: ObjectStore, layout: Layout, node: str, backup: str) -> dict[str, RingMember]:
    key = layout.meta(node, backup, grammar.TOKENMAP)
    return tokenmap.parse(store.read(key, limit=_DOCUMENT).body, key)


def _schema(store: ObjectStore, layout: Layout, node: str, backup: str) -> dict[str, Replication]:
    key = layout.meta(node, backup, grammar.SCHEMA)
    return replications(store.read(key, limit=_DOCUMENT).body.decode("utf-8", "replace"))


def _carry(store: ObjectStore, layout: Layout, verified: Verified, subset: Subset) -> None:
    """What reading found before, in the part of the data that is not read now, is still so."""
    name, tally = verified.document.name, verified.tally
    try:
        before = read_findings(store, layout, name, verified.wanted.level)
    except Corrupt as error:
        tally.add(Found(kind=UNTOLD, path=error.key, why=f"what was found before cannot be read: {error.message}"))
        return
    if before is None:
        return
    for found in before.findings:
        key = data_key(layout, found.path)
        of_reading = found.kind in {MISMATCH, UNCHECKED} and key and not subset.takes(sstable_name(key))
        if of_reading or found.kind == UNTOLD:
            tally.add(found)
    untold = sum(before.counts.values()) - len(before.findings)
    if untold > 0:
        tally.add(Found(kind=UNTOLD, why=f"{untold} findings of the run at {before.at:.0f} were not put down"))


def sweep_findings(store: ObjectStore, layout: Layout, known: AbstractSet[str], *, before: float) -> int:
    """Delete what was put down before that time about backups that the catalog does not know; how many objects.

    ``known``: the backups in the head, which need no look. If it only does not know one yet, nothing is lost that the next
    verification does not find again.
    """
    count = 0
    for folder in store.entries(layout.all_findings()).folders:
        name = folder[len(layout.all_findings()) : -1]
        if name in known:
            continue
        try:
            is_gone = read_backup(store, layout, name) is None
        except Corrupt:
            continue
        old = [stored.key for stored in store.list(folder) if is_gone and stored.modified < before]
        store.delete(old)
        count += len(old)
    return count
