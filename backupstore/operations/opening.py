"""The begin of a purge: its plan on record, the others heard, and what died before gone on with or ended.

The record is written before the others' are read. So of two purges at once at least one sees the other, and does not
count as kept what that one deletes: they can never each keep what the other condemns. A purge of which there has been no
sign for long has died: it is ended by whoever comes next, after which none of its workers deletes anything (``answers``).
Where it would do just what is planned now, it is gone on with instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from backupstore.core.documents import encode
from backupstore.core.purge_records import PlannedVerdict, PlannedWork, PurgeRecord, PurgeRules
from backupstore.operations.answers import end, read_answers, rewrite
from backupstore.operations.documents import read_own
from backupstore.operations.doomed import read_doomed
from backupstore.operations.plan import Place, Plan
from backupstore.operations.planning import narrowed
from backupstore.ports import StoredObject

SILENCE = 12 * 3600.0
"""Seconds without any sign after which a purge is taken for dead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """How a purge begins. ``name`` is its own, unless it goes on with another; ``revision`` gives random text."""

    name: str
    rules: PurgeRules
    revision: Callable[[], str]
    forced: bool = False
    scheduled: bool = False


@dataclass(frozen=True, slots=True)
class Begun:
    """A purge that is on record. ``plan``: what was left of it; ``left``: the nodes that nobody has answered for yet.

    ``given_up``: the records of purges that had died, and were ended.
    """

    plan: Plan
    record: PurgeRecord
    left: tuple[PlannedWork, ...]
    given_up: tuple[PurgeRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class _Other:
    """A purge that is not over."""

    stored: StoredObject
    record: PurgeRecord


def begin(at: Place, plan: Plan, opening: Opening) -> Begun:
    """Put the plan on record, or go on with a purge that does the same. Corrupt when another's record cannot be read."""
    for other in _others(at, opening):
        if other.record.is_open and _agrees(other.record, plan, opening.rules):
            answered = read_answers(at, other.record.run).ended
            heard = _hear(at, plan, _others(at, opening), other.record)
            if heard.verdicts == plan.verdicts and _continues(other.record, answered, plan):
                left = (work for work in other.record.work if work.node not in answered)
                return Begun(plan, other.record, tuple(left))
    return _on_record(at, plan, opening)


def put_braked_on_record(at: Place, plan: Plan, opening: Opening) -> None:
    """Write down that this was not carried out, so that monitoring sees it. Nobody waits for it."""
    record = _record(plan, opening, at.now).model_copy(update={"braked": True, "finished": at.now, "documents": ()})
    at.store.create(at.layout.purge(opening.name), encode(record))


def _on_record(at: Place, plan: Plan, opening: Opening) -> Begun:
    record = _record(plan, opening, at.now)
    stored = at.store.create(at.layout.purge(opening.name), encode(record))
    alive, given_up = [], []
    for other in _others(at, opening):
        if _last_sign(at, other) < stored.modified - SILENCE:
            given_up.append(end(at, other.record.run, opening.revision, at.now))
        else:
            alive.append(other)
    left = _hear(at, plan, alive, record)
    if left.verdicts != plan.verdicts:
        record = rewrite(at, record, _record(left, opening, at.now))
    return Begun(left, record, record.work if record.is_open else (), tuple(given_up))


def _record(plan: Plan, opening: Opening, now: float) -> PurgeRecord:
    return PurgeRecord(
        revision=opening.revision(),
        run=opening.name,
        created=now,
        forced=opening.forced,
        scheduled=opening.scheduled,
        verdicts=tuple(
            PlannedVerdict(name=verdict.name, delete=verdict.delete, reason=verdict.reason) for verdict in plan.verdicts
        ),
        work=plan.work,
        rules=opening.rules,
    )


def _others(at: Place, opening: Opening) -> list[_Other]:
    """Those that are not over."""
    own = at.layout.purge(opening.name)
    listed = [stored for stored in at.store.list(at.layout.purges()) if stored.key != own]
    found = at.each(lambda stored: read_own(at.store, PurgeRecord, stored.key), listed)
    return [
        _Other(stored, record)
        for stored, record in zip(listed, found, strict=True)
        if record and record.finished is None
    ]


def _hear(at: Place, plan: Plan, others: Iterable[_Other], own: PurgeRecord) -> Plan:
    """The plan that is left when what others want to delete, or have begun to, is not counted as kept."""
    elsewhere = {name for other in others if other.record.run != own.run for name in other.record.deletes}
    begun = read_doomed(at.store, at.layout)
    elsewhere |= {name for name in begun.whole if name in plan.candidates and not plan.candidates[name].condemned}
    return narrowed(at, plan, elsewhere)


def _last_sign(at: Place, other: _Other) -> float:
    """When somebody was last seen at work on it, by the store's time."""
    return max(other.stored.modified, read_answers(at, other.record.run).last_sign)


def _agrees(record: PurgeRecord, plan: Plan, rules: PurgeRules) -> bool:
    """Whether it decided as this plan does, by the same rules, and may still be carried out."""
    kept = {verdict.name for verdict in plan.verdicts if not verdict.delete}
    is_young = plan.now - record.created <= rules.grace / 2
    return is_young and record.rules == rules and plan.deletes <= record.deletes and kept.isdisjoint(record.deletes)


def _continues(record: PurgeRecord, answered: AbstractSet[str], plan: Plan) -> bool:
    """Whether what is left of it is what this plan would do, node by node."""
    planned: Mapping[str, tuple[str, ...]] = {work.node: work.backups for work in plan.work}
    theirs = record.by_node
    if not planned.keys() <= theirs.keys():
        return False
    for node, backups in theirs.items():
        ours = set(planned.get(node, ()))
        if node in answered:
            if ours:
                return False
        elif not ours <= set(backups) or any(_is_there(plan, name, node) for name in set(backups) - ours):
            return False
    return True


def _is_there(plan: Plan, name: str, node: str) -> bool:
    return name in plan.documents and node in plan.documents[name].nodes
