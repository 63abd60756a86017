"""What workers have done for a purge: put down by each for its node, and folded into the purge's record at its end.

Workers are many, and each item of work may be done twice, late, or half by one and half by another. So each node has a small
document of its own (``index/purged/<run>/F.json``), and whoever puts the last one down ends the record:

    ``ending`` into the record → list the condemned documents of the run → outcome into the record

A worker asks whether the record is open after its condemned documents are there, and before it deletes. So whoever deletes
at the time of ``ending``, or later, has its documents in that list: a document that is not in it was never carried out, and
counts for nothing. A purge may be ended at any time, also while somebody sleeps over it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from backupstore.core.documents import decode, encode
from backupstore.core.layout import Layout
from backupstore.core.purge_records import NodeAnswer, NodeResult, PurgeRecord, run_of
from backupstore.errors import Conflict, Corrupt, NotFound, Retryable
from backupstore.operations.documents import read_own
from backupstore.operations.doomed import read_record
from backupstore.operations.plan import Place
from backupstore.ports import ObjectStore

_TRIES = 20
_SILENT = "no worker has answered"


@dataclass(frozen=True, slots=True)
class Answers:
    """What there is of one purge. ``last_sign``: when one was written, by the store's time; 0 for none."""

    by_node: dict[str, NodeAnswer] = field(default_factory=dict)
    last_sign: float = 0.0

    @property
    def ended(self) -> frozenset[str]:
        """The nodes that nobody works at any more."""
        return frozenset(node for node, answer in self.by_node.items() if answer.ended)


def is_open(store: ObjectStore, layout: Layout, run: str) -> bool:
    """Whether workers may still delete for it."""
    record = read_record(store, layout, run)
    return record is not None and record.is_open


def is_over(store: ObjectStore, layout: Layout, run: str) -> bool:
    """Whether nobody needs what its workers put down any more."""
    record = read_record(store, layout, run)
    return record is None or record.finished is not None


def read_answer(store: ObjectStore, key: str) -> NodeAnswer | None:
    """What was done of one node's work so far. One that cannot be read is none: the work is done again."""
    try:
        return read_own(store, NodeAnswer, key)
    except Corrupt:
        return None


def read_answers(at: Place, run: str) -> Answers:
    """Everything that was put down for one purge: one listing, and a read for each node."""
    listed = list(at.store.list(at.layout.purge_answers(run)))
    found = at.each(lambda stored: read_answer(at.store, stored.key), listed)
    by_node = {answer.result.node: answer for answer in found if answer}
    return Answers(by_node, max((stored.modified for stored in listed), default=0.0))


def put_down(at: Place, answer: NodeAnswer) -> NodeAnswer:
    """Write what was done now on top of what was done before; the first whole answer stays. Retryable.

    Counts are those of all calls that were needed; of two that work at the same time, only one is counted.
    """
    key = at.layout.purge_answer(answer.run, answer.result.node)
    for _ in range(_TRIES):
        try:
            found = at.store.read(key)
        except NotFound:
            if _created(at.store, key, encode(answer)):
                return answer
            continue
        before = _read(found.body, key)
        if before and (before.ended or before.revision == answer.revision):
            return before
        both = answer.model_copy(update={"result": _added(before.result, answer.result)}) if before else answer
        try:
            at.store.replace(key, encode(both), found.version)
        except Conflict:
            continue
        return both
    raise _crowded(key)


def rewrite(at: Place, before: PurgeRecord, after: PurgeRecord) -> PurgeRecord:
    """Write a record over what it was; what it is now, when somebody has ended the purge since. Retryable."""
    key = at.layout.purge(before.run)
    for _ in range(_TRIES):
        found = at.store.read(key)
        record = decode(PurgeRecord, found.body, key)
        if record.revision != before.revision:  # ended by somebody; or it is ours, and the answer was lost
            return record
        try:
            at.store.replace(key, encode(after), found.version)
        except Conflict:
            continue
        return after
    raise _crowded(key)


def end(at: Place, run: str, revision: Callable[[], str], now: float) -> PurgeRecord:
    """End a purge: what was not answered is told as not done. NotFound without a record; Retryable."""
    ending = _change(at, run, lambda record: {} if record.ending else {"ending": True}, revision)
    if ending.finished is not None:
        forget_answers(at, run)
        return ending
    documents = tuple(
        stored.key.removeprefix(at.layout.all_condemned()).removesuffix(".json")
        for stored in at.store.list(at.layout.all_condemned())
        if run_of(stored.key.rpartition("/")[2]) == run
    )
    answers = read_answers(at, run).by_node
    results = tuple(_result(answers.get(work.node), work.node) for work in ending.work)
    outcome = {"finished": now, "documents": documents, "results": results}
    ended = _change(at, run, lambda _: outcome, revision)
    forget_answers(at, run)
    return ended


def forget_answers(at: Place, run: str) -> None:
    """Delete what was put down for a purge that is over."""
    at.store.delete([stored.key for stored in at.store.list(at.layout.purge_answers(run))])


def _change(
    at: Place, run: str, change: Callable[[PurgeRecord], dict[str, object]], revision: Callable[[], str]
) -> PurgeRecord:
    """Write a change over the record, unless it is finished or there is none to be made."""
    key = at.layout.purge(run)
    for _ in range(_TRIES):
        found = at.store.read(key)
        record = decode(PurgeRecord, found.body, key)
        changed = change(record)
        if record.finished is not None or not changed:
            return record
        fresh = record.model_copy(update={**changed, "revision": revision()})
        try:
            at.store.replace(key, encode(fresh), found.version)
        except Conflict:  # somebody else's, or our own one of which the answer was lost: the next read tells
            continue
        return fresh
    raise _crowded(key)


def _result(answer: NodeAnswer | None, node: str) -> NodeResult:
    if answer is None:
        return NodeResult(node=node, done=False, error=_SILENT)
    if answer.ended or answer.result.error:
        return answer.result
    return answer.result.model_copy(update={"error": _SILENT})


def _added(before: NodeResult, after: NodeResult) -> NodeResult:
    return after.model_copy(
        update={"objects": before.objects + after.objects, "bytes": before.bytes + after.bytes},
    )


def _read(body: bytes, key: str) -> NodeAnswer | None:
    try:
        return decode(NodeAnswer, body, key)
    except Corrupt:
        return None


def _created(store: ObjectStore, key: str, body: bytes) -> bool:
    try:
        store.create(key, body)
    except Conflict:
        return False
    return True


def _crowded(key: str) -> Retryable:
    return Retryable(
        f"{key} was changed by others {_TRIES} times in a row",
        hint="Let fewer workers of purge run at the same time.",
        operation="purge",
        key=key,
    )
