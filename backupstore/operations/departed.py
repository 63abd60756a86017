"""Nodes that have left the ring, and what of theirs may go.

A node has left when neither its name nor its host id is in the ring of the newest complete backup: in none of its
tokenmaps, and in none of its attempts, which know the nodes of all datacenters. Its backups are parts of cluster backups,
and go when these go: taking them out of one that stays would spoil it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import takewhile

from backupstore.core.documents import Attempt, ClusterBackup, decode
from backupstore.core.purge_records import AcceptedRing
from backupstore.core.ring_chain import lack
from backupstore.errors import NotFound, Refused
from backupstore.operations.plan import Place, Plan
from backupstore.operations.planning import look_again, ring_of


@dataclass(frozen=True, slots=True)
class Departed:
    """One node, its last known host id, and its cluster backups: those that go, and those that stay for now."""

    node: str
    host_id: str | None
    going: tuple[str, ...]
    staying: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NewestRing:
    """What the newest complete backup shows: ``backup`` is its name, ``accepted`` the ring as somebody would accept it."""

    backup: str
    accepted: AcceptedRing


def newest_ring(at: Place, plan: Plan, *, by: str) -> NewestRing:
    """The ring of the newest complete backup, seen in the bucket. Refused without one.

    It is accepted from the oldest on of the backups that do not count yet and are as large.
    """
    newest_first = sorted(plan.candidates.values(), key=lambda one: (one.started, one.name), reverse=True)
    sound = [one for one in newest_first if one.state == "complete" and not one.open_findings and not one.condemned]
    if not sound:
        raise Refused(
            "There is no complete backup, so nobody knows which nodes are in the ring now.",
            hint="Back all nodes up first.",
            operation="purge-decommissioned",
        )
    since = [one.name for one in takewhile(lambda one: not one.covers_ring, sound)] or [sound[0].name]
    rings = [ring for name in since if (ring := ring_of(look_again(at, plan.documents[name])))]
    if not rings or rings[0].name != sound[0].name:
        raise Refused(f"{sound[0].name} is no longer complete.", hint="Run it again.", operation="purge-decommissioned")
    first = min((ring for ring in rings if not lack(rings[0], ring)), key=lambda ring: (ring.started, ring.name))
    hosts = {dc: tuple(sorted(ids)) for dc, ids in first.hosts.items()}
    accepted = AcceptedRing(backup=first.name, started=first.started, hosts=hosts, by=by, created=at.now)
    return NewestRing(sound[0].name, accepted)


def departed_nodes(at: Place, plan: Plan, ring: NewestRing) -> tuple[Departed, ...]:
    """Who has left, by name. Corrupt when an attempt of the newest backup cannot be read: somebody may stand in it."""
    nodes, hosts = _present(at, plan.documents[ring.backup])
    known: dict[str, set[str]] = {}
    for document in plan.documents.values():
        for node, fact in document.nodes.items():
            known.setdefault(node, set()).update({fact.host_id} if fact.host_id else ())
    return tuple(
        _departed(plan, node, ids) for node, ids in sorted(known.items()) if node not in nodes and ids.isdisjoint(hosts)
    )


def only_departed(plan: Plan, gone: Iterable[Departed]) -> Plan:
    """The plan with the work of these nodes only. What is left of these cluster backups goes with the next purge."""
    names = {one.node for one in gone}
    touched = {name for work in plan.work if work.node in names for name in work.backups}
    verdicts = tuple(
        replace(verdict, delete=False, reason=f"no node of it has left; else: {verdict.reason}")
        if verdict.delete and verdict.name not in touched
        else verdict
        for verdict in plan.verdicts
    )
    work = tuple(work for work in plan.work if work.node in names)
    return replace(plan, verdicts=verdicts, work=work, nodes=frozenset(names))


def _present(at: Place, document: ClusterBackup) -> tuple[set[str], set[str]]:
    """Names and host ids of everybody whom the newest complete backup knows."""
    nodes = {node for ring in document.rings.values() for node in ring} | document.nodes.keys()
    hosts = {fact.host_id for fact in document.nodes.values() if fact.host_id}
    attempts = [(node, fact.attempts) for node, fact in document.nodes.items() if fact.attempts]
    for attempt in at.each(lambda one: _attempt(at, document.name, *one), attempts):
        nodes |= {member.name for member in attempt.ring}
        hosts |= {member.host_id for member in attempt.ring}
    return nodes, hosts


def _attempt(at: Place, backup: str, node: str, number: int) -> Attempt:
    key = at.layout.attempt(node, backup, number)
    try:
        return decode(Attempt, at.store.read(key).body, key)
    except NotFound as error:
        raise Refused(
            f"{key} is gone: the newest complete backup is being deleted.",
            hint="Run it again.",
            operation="purge-decommissioned",
            key=key,
        ) from error


def _departed(plan: Plan, node: str, ids: set[str]) -> Departed:
    there = sorted(name for name, document in plan.documents.items() if node in document.nodes)
    going = {name for work in plan.work if work.node == node for name in work.backups}
    return Departed(
        node,
        min(ids) if ids else None,
        tuple(name for name in there if name in going),
        tuple(name for name in there if name not in going),
    )
