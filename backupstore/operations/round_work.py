"""The work of a round: one node is looked at, what was found is put down, and what is whole by then is merged.

A work item may come twice, late, beside another one, or after its round is over. What was put down already is not looked
at again; the part of a node backup that is put down twice says the same. Where the time is over before the end, what there
is by then is kept, and the rest is asked for anew, in smaller pieces if need be.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

from backupstore.core.completion import is_finished
from backupstore.core.documents import NodeFact, encode
from backupstore.core.verification import Tally, covering, piece_of
from backupstore.core.verify_records import VerifyPart, VerifyRound
from backupstore.core.work import VerifyWork
from backupstore.errors import Corrupt, OutOfTime
from backupstore.operations.inventory import Inventory
from backupstore.operations.reading import read_backup
from backupstore.operations.round_merge import Desk, merge, parts_of
from backupstore.operations.rounds import file_of, look_at_round, read_plan, sweep_round
from backupstore.operations.truth import GONE, Truth, read_fact
from backupstore.operations.verify import Verified
from backupstore.operations.verify_node import Look, verify_backup


@dataclass(frozen=True, slots=True)
class Done:
    """``looked``: node backups that were looked at; ``verified``: what was merged; ``rest``: work items to be sent."""

    looked: int = 0
    verified: tuple[Verified, ...] = ()
    rest: tuple[VerifyWork, ...] = ()


def do_work(desk: Desk, work: VerifyWork) -> Done:
    """Do one work item. OutOfTime when nothing could be done in the time, and no smaller item would help.

    Whatever is raised, the item has to come again: nothing that it stands for is lost.
    """
    plan = read_plan(desk.store, desk.layout, work.round)
    if plan is None:  # its round is over; whoever ended it may have died over it
        sweep_round(desk.store, desk.layout, work.round)
        return Done()
    looked = 0
    try:
        for _ in _look(desk, plan, work):
            looked += 1
    except OutOfTime:
        rest = _rest(desk, plan, work, looked=looked)
        if not rest:
            raise
        return Done(looked, rest=rest)
    verified = []
    try:
        for each in merge(desk, plan, work.backups):
            verified.append(each)  # noqa: PERF402 -- what was merged before the time was over counts
    except OutOfTime:
        if not (looked or verified):
            raise
        return Done(looked, tuple(verified), (work,))
    return Done(looked, tuple(verified))


def _rest(desk: Desk, plan: VerifyRound, work: VerifyWork, *, looked: int) -> tuple[VerifyWork, ...]:
    """What is to be sent because the time was over; nothing where the item has to come again as it is."""
    if looked:
        return (work,)  # goes on where this has ended
    # Manifest and listings take the same time for every piece: only what is read gets less.
    helps = len(work.backups) > 1 or plan.level == "content"
    return work.smaller() if desk.all_day and helps else ()


def _look(desk: Desk, plan: VerifyRound, work: VerifyWork) -> Iterator[str]:
    """Look at what is still to be looked at; the backups, each when it is put down."""
    piece = piece_of(work.piece)
    put = look_at_round(desk.store, desk.layout, plan.round)
    with closing(Inventory()) as inventory:
        for name in work.backups:
            if work.node not in plan.backups.get(name, {}) or name in put.merged:
                continue
            pieces = put.parts.get((name, work.node), set())
            if parts_of(plan, put, name, work.node) is not None or covering(piece, pieces) is not None:
                continue
            fact = _fact(desk, work.node, name)
            wanted = desk.wanted(plan, piece)
            look = Look(desk.store, desk.layout, work.node, name, inventory, wanted)
            tally = verify_backup(look, fact) if fact and is_finished(fact) else None
            part = _part(desk, plan, work, name, tally)
            desk.store.put(desk.layout.round_part(plan.round, name, work.node, file_of(piece)), encode(part))
            yield name


def _fact(desk: Desk, node: str, backup: str) -> NodeFact | None:
    """What there is of this node backup now; the catalog spares reading what has not changed."""
    try:
        document = read_backup(desk.store, desk.layout, backup)
    except Corrupt:
        document = None
    fact = document.nodes.get(node) if document else None
    known = Truth(fact, document.rings.get(fact.ring or "")) if document and fact else GONE
    return read_fact(desk.store, desk.layout, node=node, backup=backup, known=known).fact


def _part(desk: Desk, plan: VerifyRound, work: VerifyWork, backup: str, tally: Tally | None) -> VerifyPart:
    found = tally or Tally()
    return VerifyPart(
        revision=desk.revision(),
        round=plan.round,
        backup=backup,
        node=work.node,
        piece=work.piece,
        finished=tally is not None,
        objects=found.objects,
        size=found.size,
        read=found.read,
        by_size=found.by_size,
        counts=dict(sorted(found.counts.items())),
        findings=found.findings,
    )
