"""A purge in pieces, for one process that does all of it, and for many workers that do a node each.

    begin (``opening``) → ``work_on`` each node, what was done put down → ``end`` (``answers``) when all have answered

``carry_out`` is all of them in one process. A queue has a planner that begins, and sends a message for each node; a worker that
works on its node, and ends the purge when it was the last. Each piece may be done twice, late, and beside itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from backupstore.core.events import Subject
from backupstore.core.purge_records import NodeAnswer, NodeResult, PlannedWork, PurgeRecord, PurgeRules
from backupstore.errors import BackupError, Corrupt
from backupstore.operations import opening
from backupstore.operations.answers import (
    end,
    forget_answers,
    is_open,
    is_over,
    put_down,
    read_answer,
    read_answers,
)
from backupstore.operations.index import IndexReport, index
from backupstore.operations.opening import Opening, begin
from backupstore.operations.plan import Place, Plan
from backupstore.operations.purge import Means, NodeWork, purge_node
from backupstore.operations.upkeep import tidy
from backupstore.ports import ObjectStore

Telling = Callable[[NodeResult], None]


def _no_time() -> float:
    return 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How a purge goes. ``name`` is its own; graces in seconds; ``revision`` gives a new random text with every call.

    ``running`` (``Clock.running``) tells how much time passes on the way. ``tell`` hears what became of each node.
    """

    name: str
    grace: float
    orphan_grace: float
    stock_is_idle: bool = False
    cached_mount: bool = False
    forced: bool = False
    scheduled: bool = False
    revision: Callable[[], str]
    running: Callable[[], float] = _no_time
    tell: Telling = lambda _: None

    @property
    def opening(self) -> Opening:
        """How it begins."""
        rules = PurgeRules(
            grace=self.grace,
            orphan_grace=self.orphan_grace,
            stock_is_idle=self.stock_is_idle,
            cached_mount=self.cached_mount,
        )
        return Opening(
            name=self.name, rules=rules, revision=self.revision, forced=self.forced, scheduled=self.scheduled
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to. ``plan``: what was left of it after other purges were heard.

    ``untidied``: why what older purges left could not be removed; it will be by the next.
    """

    plan: Plan
    record: PurgeRecord
    indexed: IndexReport
    untidied: BackupError | None = None

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


@dataclass(frozen=True, slots=True)
class Worker:
    """Whoever works on nodes. ``late``: the place with some time left when that of ``at`` is over, to put things down."""

    at: Place
    revision: Callable[[], str]
    running: Callable[[], float] = _no_time
    late: Place | None = None

    @property
    def end_place(self) -> Place:
        """Where what was done is put down."""
        return self.late or self.at


def carry_out(at: Place, plan: Plan, run: Run, *, indexer: ObjectStore) -> Outcome:
    """Do what the plan says. ``indexer`` is the bucket with the rights of whoever keeps the catalog.

    Trouble with one node stands in its result, and the others are done; what cannot be put on record is raised.
    """
    began = run.running()

    def now() -> float:
        return at.now + max(0.0, run.running() - began)

    begun = begin(at, plan, run.opening)
    for result in at.each(partial(_result, at, begun.record, run, now), begun.left):
        run.tell(result)
    indexed = index(indexer, subjects_of(at, begun.left), now=now(), revision=run.revision)
    record = end(at, begun.record.run, run.revision, now())
    return Outcome(begun.plan, record, indexed, try_to_tidy(at, begun.record))


def put_braked_on_record(at: Place, plan: Plan, run: Run) -> None:
    """Write down that this was not carried out, so that monitoring sees it. Nobody waits for it."""
    opening.put_braked_on_record(at, plan, run.opening)


def work_on(worker: Worker, record: PurgeRecord, node: str) -> NodeAnswer:
    """Do one node's work of a purge that is on record; nothing where that was done. Corrupt where it is none of the purge's.

    What was deleted is put down also when the rest fails, and the error passes on: another call goes on from there.
    """
    at, rules = worker.at, record.rules
    if node not in record.by_node or rules is None:
        raise Corrupt(
            f"{at.layout.purge(record.run)} has no work for {node}",
            hint="Something else than a purge has sent this. Nothing was deleted.",
            operation="purge",
            key=at.layout.purge(record.run),
        )
    before = read_answer(at.store, at.layout.purge_answer(record.run, node))
    if before and before.ended:
        return before
    means = Means(
        now=at.now,
        revision=worker.revision,
        running=worker.running,
        is_open=lambda: is_open(at.store, at.layout, record.run),
    )
    work = NodeWork(record.run, node, record.by_node[node])
    try:
        outcome = purge_node(at.store, at.layout, work, rules, means)
    except BackupError as error:
        freed = means.freed
        so_far = NodeResult(node=node, objects=freed.objects, bytes=freed.bytes, done=False, error=error.message)
        with suppress(BackupError):  # the one that matters is on its way
            put_down(worker.end_place, _answer(worker, record, so_far, ended=False))
        raise
    result = NodeResult(node=node, objects=outcome.objects, bytes=outcome.bytes, done=outcome.done, notes=outcome.notes)
    return put_down(worker.end_place, _answer(worker, record, result, ended=True))


def end_if_answered(at: Place, record: PurgeRecord, revision: Callable[[], str]) -> PurgeRecord | None:
    """End the purge when each of its nodes has answered; None while some have not. One listing as long as they are few.

    One that another has ended since leaves few as well: what its slower workers put down, which goes.
    """
    listed = list(at.store.list(at.layout.purge_answers(record.run)))
    has_all = len(listed) >= len(record.work) and record.by_node.keys() <= read_answers(at, record.run).ended
    if record.ending or has_all:
        return end(at, record.run, revision, at.now)
    if is_over(at.store, at.layout, record.run):
        forget_answers(at, record.run)
    return None


def subjects_of(at: Place, works: Iterable[PlannedWork]) -> list[Subject]:
    """What has to be looked at by the indexer afterwards."""
    return [Subject(at.layout.prefix, work.node, name) for work in works for name in work.backups]


def try_to_tidy(at: Place, record: PurgeRecord) -> BackupError | None:
    """Remove what older purges left; why not, where that cannot be done: it takes space, and does no harm."""
    try:
        tidy(at, record)
    except BackupError as error:
        return error
    return None


def _result(at: Place, record: PurgeRecord, run: Run, now: Callable[[], float], work: PlannedWork) -> NodeResult:
    """One node. It may be hours after the plan: how old a condemned document is, is judged by then."""
    try:
        return work_on(Worker(replace(at, now=now()), run.revision, run.running), record, work.node).result
    except BackupError as error:
        return NodeResult(node=work.node, done=False, error=error.message)


def _answer(worker: Worker, record: PurgeRecord, result: NodeResult, *, ended: bool) -> NodeAnswer:
    return NodeAnswer(revision=worker.revision(), run=record.run, ended=ended, result=result)
