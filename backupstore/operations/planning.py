"""The plan of a purge: which cluster backups go and why, and what that is for each node. Nothing here writes.

Candidates come from the catalog, but nothing is decided by it alone: whatever the plan counts as kept, and whatever it
deletes, is looked at in the bucket first, and judged anew by what is seen there. A backup that the catalog believes in and
the bucket does not have makes nothing go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import partial

from backupstore.core.catalog import empty_backup, line_of, with_facts
from backupstore.core.completion import Complete, completion
from backupstore.core.documents import ClusterBackup, NodeFact
from backupstore.core.purge_records import AcceptedRing, PlannedWork
from backupstore.core.retention import Candidate, NodeBackup, Policy, Verdict, given_up, unended, verdicts
from backupstore.core.ring_chain import Chain, SeenRing, follow
from backupstore.core.tokenmap import ring_id
from backupstore.errors import NotFound, Refused
from backupstore.operations.accepted_rings import read_accepted
from backupstore.operations.doomed import Doomed, read_doomed
from backupstore.operations.findings import read_verified
from backupstore.operations.holds import held_names, read_holds
from backupstore.operations.plan import Place, Plan
from backupstore.operations.reading import read_backup, read_head
from backupstore.operations.truth import GONE, Truth, child_names, read_fact


def make_plan(at: Place, policy: Policy, *, also_accepted: tuple[AcceptedRing, ...] = ()) -> Plan:
    """Judge every cluster backup, as if these rings had been accepted too.

    NotFound without a catalog; Corrupt when a document that matters cannot be read.
    """
    documents = _catalogued(at)
    everyone = _everyone(documents.values())
    known = _Known.read(at, also_accepted)
    confirmed: set[str] = set()
    while True:
        candidates = known.candidates(documents)
        judged = verdicts(candidates.values(), policy, at.now)
        leavings = {name for name, one in candidates.items() if given_up(one, policy, at.now)}
        wanted = sorted((_matter(judged, candidates) | leavings) - confirmed)
        if not wanted:
            break
        confirmed.update(wanted)
        seen = at.each(partial(look_again, at, nodes=everyone), [documents[name] for name in wanted])
        documents |= dict(zip(wanted, seen, strict=True))
    plan = Plan(
        policy=policy,
        now=at.now,
        candidates=candidates,
        documents={name: documents[name] for name in candidates},
        verdicts=judged,
        work=(),
        doomed=known.doomed,
    )
    return with_work(at, plan)


def narrowed(at: Place, plan: Plan, elsewhere: AbstractSet[str]) -> Plan:
    """The plan when other purges delete these: none of them counts as kept any more, and so more of ours may stay.

    Only what was in the plan before is deleted: that is what the others were told. What others delete too is deleted if it
    would be without them: a purge that has died deletes nothing any more.
    """
    if plan.asked:
        return plan
    left = [one for name, one in plan.candidates.items() if name not in elsewhere]
    again = {verdict.name: verdict for verdict in verdicts(left, plan.policy, plan.now)}
    for name in plan.deletes & elsewhere:
        found = verdicts([*left, plan.candidates[name]], plan.policy, plan.now)
        again |= {verdict.name: verdict for verdict in found if verdict.name == name}
    changed = (again.get(verdict.name, verdict) if verdict.delete else verdict for verdict in plan.verdicts)
    return with_work(at, replace(plan, verdicts=tuple(changed)))


def asked_for(plan: Plan, name: str) -> Plan:
    """The plan of deleting this one, and nothing else. NotFound; Refused while it is held."""
    document = plan.documents.get(name)
    one = plan.candidates.get(name)
    if document is None or one is None:
        raise NotFound(
            f"There is no backup {name}.",
            hint="list-backups --show-all shows what there is.",
            operation="delete-backup",
            key=name,
        )
    held = unended(one.holds, plan.now)
    if held:
        raise Refused(
            f"{name} is held by {held[0].by}: {held[0].why}.",
            hint=f"Ask there. 'release --backup-name {name}' ends the hold.",
            operation="delete-backup",
            key=name,
        )
    verdict = Verdict(name, delete=True, reason="asked for by delete-backup")
    work = tuple(PlannedWork(node=node, backups=(name,)) for node in sorted(document.nodes))
    others = tuple(
        Verdict(each.name, delete=False, reason="not asked for") for each in plan.verdicts if each.name != name
    )
    return replace(plan, verdicts=(*others, verdict), work=work, asked=True)


def ring_of_backup(at: Place, name: str) -> SeenRing | None:
    """The ring of one cluster backup as the bucket has it now; None unless all of its nodes have finished."""
    document = read_backup(at.store, at.layout, name)
    return ring_of(look_again(at, document)) if document else None


def with_work(at: Place, plan: Plan) -> Plan:
    """What the plan is for each node: what goes of it, and what it has given up on; its orphans are swept in any case."""
    nodes_known = _nodes(at, plan)
    work: dict[str, set[str]] = {node: set() for node in nodes_known if plan.nodes is None or node in plan.nodes}
    for name, one in plan.candidates.items():
        nodes = one.nodes.keys() if name in plan.deletes else given_up(one, plan.policy, plan.now)
        for node in work.keys() & nodes:
            work[node].add(name)
    return replace(
        plan, work=tuple(PlannedWork(node=node, backups=tuple(sorted(names))) for node, names in sorted(work.items()))
    )


def look_again(at: Place, document: ClusterBackup, *, nodes: Iterable[str] = ()) -> ClusterBackup:
    """One cluster backup as the bucket has it now; one listing for each node, and no more where nothing changed.

    ``nodes``: looked at too, for the catalog may not know yet that they have a part of it.
    """
    fresh = empty_backup(document.name)
    for node in sorted({*document.nodes, *nodes}):
        fact = document.nodes.get(node)
        known = Truth(fact, document.rings.get(fact.ring or "")) if fact else GONE
        found = read_fact(at.store, at.layout, node=node, backup=document.name, known=known)
        rings = {ring_id(found.ring): found.ring} if found.ring is not None else {}
        fresh = with_facts(fresh, {node: found.fact}, rings)
    verified = read_verified(at.store, at.layout, document.name)
    return fresh.model_copy(update={"verified": verified})


def _everyone(documents: Iterable[ClusterBackup]) -> frozenset[str]:
    """Every node of which the catalog knows, by its backups or from those of others."""
    found = set[str]()
    for document in documents:
        found.update(document.nodes, *document.rings.values())
    return frozenset(found)


def ring_of(document: ClusterBackup) -> SeenRing | None:
    """The nodes of a cluster backup that all of them have finished, by their host ids, or names where stock wrote none.

    None of any other. Corrupt components make the data bad, and not what is known of the ring.
    """
    line, judged = line_of(document), completion(document.nodes, document.rings)
    if line is None or line.state not in {"complete", "corrupt"} or not isinstance(judged, Complete):
        return None
    hosts: dict[str, set[str]] = {}
    for node in judged.nodes:
        fact = document.nodes[node]
        place = document.rings.get(fact.ring or "", {}).get(node)
        hosts.setdefault(place.dc if place else "", set()).add(fact.host_id or node)
    return SeenRing(document.name, line.started, {dc: frozenset(ids) for dc, ids in hosts.items()})


@dataclass(frozen=True, slots=True)
class _Known:
    """What is said about backups beside the catalog, read once."""

    at: Place
    doomed: Doomed
    held: frozenset[str]
    accepted: tuple[AcceptedRing, ...]

    @classmethod
    def read(cls, at: Place, also_accepted: tuple[AcceptedRing, ...]) -> _Known:
        store, layout = at.store, at.layout
        accepted = (*read_accepted(store, layout), *also_accepted)
        return cls(at, read_doomed(store, layout), held_names(store, layout), accepted)

    def candidates(self, documents: Mapping[str, ClusterBackup]) -> dict[str, Candidate]:
        found = {name: self._candidate(document) for name, document in documents.items() if document.nodes}
        # A corrupt one, or one with findings, counts for nothing, but knows how large the ring was.
        rings = (ring_of(documents[name]) for name, one in found.items() if not one.condemned)
        said = (
            SeenRing(one.backup, one.started, {dc: frozenset(ids) for dc, ids in one.hosts.items()}, accepted=True)
            for one in self.accepted
        )
        chain = follow([*(ring for ring in rings if ring), *said])
        return {name: _measured(one, chain) for name, one in found.items()}

    def _candidate(self, document: ClusterBackup) -> Candidate:
        line = line_of(document)
        name, store, layout = document.name, self.at.store, self.at.layout
        return Candidate(
            name=name,
            started=line.started if line else min(fact.started for fact in document.nodes.values()),
            finished=line.finished if line else None,
            state=line.state if line else "incomplete",
            nodes={node: _node_backup(fact) for node, fact in document.nodes.items()},
            holds=read_holds(store, layout, name) if name in self.held else (),
            open_findings=any(verified.harm for verified in document.verified),
            condemned=_is_going(document, self.doomed),
        )


def _catalogued(at: Place) -> dict[str, ClusterBackup]:
    head = read_head(at.store, at.layout)
    if head is None:
        raise NotFound(
            "There is no catalog, so nobody knows what there is to purge.",
            hint="Run 'medusa-shipper serve' beside the bucket, or 'medusa-shipper build-index' once.",
            operation="purge",
            key=at.layout.head(),
        )
    listed = at.store.list(at.layout.catalog_backups())  # those that are in no line too: all of their nodes gave up
    names = sorted(name for name in (at.layout.catalog_name(stored.key) for stored in listed) if name)
    found = at.each(lambda name: read_backup(at.store, at.layout, name), names)
    return {name: document for name, document in zip(names, found, strict=True) if document}


def _matter(judged: Iterable[Verdict], candidates: Mapping[str, Candidate]) -> set[str]:
    """What must be seen in the bucket: nothing, as long as nothing goes; else that, and all that counts."""
    gone = {verdict.name for verdict in judged if verdict.delete}
    return gone | {name for name, one in candidates.items() if one.counts} if gone else set()


def _is_going(document: ClusterBackup, doomed: Doomed) -> bool:
    """Whether its deletion has begun; what a node has given up on is deleted out of backups that stay."""
    there = (document.nodes.get(node) for node in doomed.nodes.get(document.name, ()))
    return document.name in doomed.whole or any(fact and not fact.abandoned for fact in there)


def _measured(one: Candidate, chain: Chain) -> Candidate:
    lacks = chain.lacking.get(one.name)
    return replace(one, covers_ring=False, lacks=lacks) if lacks is not None else one


def _node_backup(fact: NodeFact) -> NodeBackup:
    return NodeBackup(
        started=fact.started,
        finished=fact.finished,
        abandoned=fact.abandoned,
    )


def _nodes(at: Place, plan: Plan) -> set[str]:
    """Every node of which there may be something: also of those whose last backup is gone, orphans may be left.

    Without a prefix the folders of other clusters look like nodes, so only the catalog is believed then.
    """
    known = {node for one in plan.candidates.values() for node in one.nodes}
    known |= {node for nodes in plan.doomed.nodes.values() for node in nodes}
    if at.layout.prefix:
        known |= {node for node in child_names(at.store, at.layout.root) if node != "index"}
    return known
