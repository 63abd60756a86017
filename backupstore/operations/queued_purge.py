"""Purge by a queue: one who plans and sends a message for each node, and many who do a node each.

What a message says is where to look. What may be deleted, and by which rules, stands in the record of the purge: a message
that comes after its purge is over, or from somebody else, deletes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backupstore.core.purge_records import NodeResult, PurgeRecord
from backupstore.core.retention import Policy
from backupstore.core.work import PurgeWork, encode_work
from backupstore.errors import BackupError, Retryable
from backupstore.operations.answers import end
from backupstore.operations.brake import why_braked
from backupstore.operations.doomed import read_record
from backupstore.operations.index import IndexReport, index
from backupstore.operations.opening import Opening, begin, put_braked_on_record
from backupstore.operations.plan import Place, Plan
from backupstore.operations.planning import make_plan
from backupstore.operations.purging import Worker, end_if_answered, subjects_of, try_to_tidy, work_on
from backupstore.ports import ObjectStore, WorkQueue


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a plan. ``braked``: why it was not begun, else empty. ``nodes``: for whom a message was sent.

    ``given_up``: purges that had died, with what their workers had done. ``untidied``: why what they left is still there.
    """

    plan: Plan
    run: str
    braked: str = ""
    nodes: tuple[str, ...] = ()
    given_up: tuple[PurgeRecord, ...] = ()
    untidied: BackupError | None = None


@dataclass(frozen=True, slots=True)
class Worked:
    """What came of one message. ``result``: what was done in all for its node; None when its purge is over.

    ``ended``: the record of the purge, when this was the last of its nodes. ``index``: what the indexer said of what went.
    """

    result: NodeResult | None
    index: IndexReport
    ended: PurgeRecord | None = None


def plan_and_send(at: Place, policy: Policy, most: float, opening: Opening, queue: WorkQueue) -> Sent:
    """Plan the purge of one cluster, put it on record and send the work, unless the brake forbids it (``most``: its share).

    NotFound without a catalog. Whatever is raised, the next call goes on: it sends again what nobody has answered for.
    """
    plan = make_plan(at, policy)
    braked = why_braked(plan, most)
    if braked:
        put_braked_on_record(at, plan, opening)
        return Sent(plan, opening.name, braked)
    begun = begin(at, plan, opening)
    run, nodes = begun.record.run, tuple(work.node for work in begun.left)
    queue.send(messages(at.layout.prefix, run, nodes))
    if not begun.left:
        end(at, run, opening.revision, at.now)
    return Sent(begun.plan, run, nodes=nodes, given_up=begun.given_up, untidied=try_to_tidy(at, begun.record))


def messages(prefix: str, run: str, nodes: Sequence[str]) -> list[str]:
    """One for each node."""
    return [encode_work(PurgeWork(prefix=prefix, run=run, node=node)) for node in nodes]


def work_off(worker: Worker, work: PurgeWork, *, indexer: ObjectStore) -> Worked:
    """Do what one message asks for. ``indexer`` is the bucket with the rights of whoever keeps the catalog.

    What is raised asks for the message to come again: nothing that was done is lost, or done again.
    """
    at, late = worker.at, worker.end_place
    record = read_record(at.store, at.layout, work.run)
    if record is None:
        return Worked(None, IndexReport())
    answer = work_on(worker, record, work.node) if record.is_open else None
    works = [planned for planned in record.work if planned.node == work.node]
    indexed = index(indexer, subjects_of(at, works), now=at.now, revision=worker.revision)
    ended = end_if_answered(late, record, worker.revision) if record.finished is None else None
    for error in indexed.failed.values():
        if isinstance(error, Retryable):
            raise error
    return Worked(answer.result if answer else None, indexed, ended)
