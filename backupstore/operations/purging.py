"""One run of purge: put the plan on record, hear what other purges delete, do each node's work, and say what came of it.

The record is written before the others' are read. So of two purges at once at least one sees the other, and does not
count as kept what that one deletes: they can never each keep what the other condemns. A record without an outcome belongs
to a purge that may still be at work; one that is older than the grace does not, for nothing is carried out so late.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from backupstore.core.documents import encode
from backupstore.core.events import Subject
from backupstore.core.purge_records import NodeResult, PlannedVerdict, PlannedWork, PurgeRecord
from backupstore.errors import BackupError, Conflict
from backupstore.operations.documents import read_own
from backupstore.operations.doomed import read_doomed
from backupstore.operations.index import IndexReport, index
from backupstore.operations.plan import Place, Plan
from backupstore.operations.planning import narrowed
from backupstore.operations.purge import NodeWork, purge_node
from backupstore.ports import ObjectStore

Telling = Callable[[NodeResult], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How a purge goes. ``name`` is its own; graces in seconds; ``revision`` gives a new random text with every call.

    ``running`` (``Clock.running``) tells how much time passes on the way. ``tell`` hears what became of each node.
    """

    name: str
    grace: float
    orphan_grace: float
    stock_is_idle: bool = False
    forced: bool = False
    revision: Callable[[], str]
    running: Callable[[], float] | None = None
    tell: Telling = lambda _: None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to. ``plan``: what was left of it after other purges were heard."""

    plan: Plan
    record: PurgeRecord
    indexed: IndexReport

    @property
    def objects(self) -> int:
        """How many were deleted."""
        return sum(result.objects for result in self.record.results)

    @property
    def size(self) -> int:
        """How many bytes they had."""
        return sum(result.bytes for result in self.record.results)

    @property
    def errors(self) -> tuple[str, ...]:
        """What went wrong, each with its node."""
        return tuple(f"{result.node}: {result.error}" for result in self.record.results if result.error)


def carry_out(at: Place, plan: Plan, run: Run, *, indexer: ObjectStore) -> Outcome:
    """Do what the plan says. ``indexer`` is the bucket with the rights of whoever keeps the catalog.

    Trouble with one node stands in its result, and the others are done; what cannot be put on record is raised.
    """
    running = run.running or (lambda: 0.0)
    begun = running()

    def now() -> float:
        return at.now + max(0.0, running() - begun)

    plan, record = _on_record(at, plan, run)
    results = []
    for result in at.each(partial(_work, at, run, now), plan.work):
        results.append(result)
        run.tell(result)
    subjects = [Subject(at.layout.prefix, work.node, name) for work in plan.work for name in work.backups]
    indexed = index(indexer, subjects, now=now(), revision=run.revision)
    record = record.model_copy(update={"finished": now(), "results": tuple(results)})
    return Outcome(plan, _rewrite(at, run, record), indexed)


def put_braked_on_record(at: Place, plan: Plan, run: Run) -> None:
    """Write down that this was not carried out, so that monitoring sees it. Nobody waits for it."""
    record = _record(plan, run, at.now).model_copy(update={"braked": True, "finished": at.now})
    at.store.create(at.layout.purge(run.name), encode(record))


def _on_record(at: Place, plan: Plan, run: Run) -> tuple[Plan, PurgeRecord]:
    """The plan that is left once the others have been heard, and its record as it stands in the bucket."""
    record = _record(plan, run, at.now)
    stored = at.store.create(at.layout.purge(run.name), encode(record))
    elsewhere = _deleted_elsewhere(at, run, stored.modified)
    begun = read_doomed(at.store, at.layout)
    elsewhere |= {name for name in begun.whole if name in plan.candidates and not plan.candidates[name].condemned}
    left = narrowed(at, plan, elsewhere)
    if left.verdicts == plan.verdicts:
        return left, record
    return left, _rewrite(at, run, _record(left, run, at.now))


def _record(plan: Plan, run: Run, now: float) -> PurgeRecord:
    return PurgeRecord(
        revision=run.revision(),
        run=run.name,
        created=now,
        forced=run.forced,
        verdicts=tuple(
            PlannedVerdict(name=verdict.name, delete=verdict.delete, reason=verdict.reason) for verdict in plan.verdicts
        ),
        work=plan.work,
    )


def _deleted_elsewhere(at: Place, run: Run, since: float) -> frozenset[str]:
    """What purges that may be at work want to delete. Times are the store's own."""
    own, found = at.layout.purge(run.name), set[str]()
    for stored in at.store.list(at.layout.purges()):
        if stored.key == own or stored.modified < since - run.grace:
            continue
        other = read_own(at.store, PurgeRecord, stored.key)
        if other and other.finished is None:
            found |= other.deletes
    return frozenset(found)


def _work(at: Place, run: Run, now: Callable[[], float], work: PlannedWork) -> NodeResult:
    """One node. It may be hours after the plan: how old a condemned document is, is judged by then."""
    try:
        outcome = purge_node(
            at.store,
            at.layout,
            NodeWork(run.name, work.node, work.backups),
            now=now(),
            grace=run.grace,
            orphan_grace=run.orphan_grace,
            stock_is_idle=run.stock_is_idle,
            revision=run.revision,
            running=run.running,
        )
    except BackupError as error:
        return NodeResult(node=work.node, done=False, error=error.message)
    return NodeResult(
        node=work.node, objects=outcome.objects, bytes=outcome.bytes, done=outcome.done, notes=outcome.notes
    )


def _rewrite(at: Place, run: Run, record: PurgeRecord) -> PurgeRecord:
    """Write our record again; nobody else ever writes it."""
    key = at.layout.purge(run.name)
    fresh = record.model_copy(update={"revision": run.revision()})
    found = at.store.read(key)
    try:
        at.store.replace(key, encode(fresh), found.version)
    except Conflict:
        if at.store.read(key).body != encode(fresh):  # else an answer was lost
            raise
    return fresh
