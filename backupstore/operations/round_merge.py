"""The end of a round: the parts of a cluster backup become its findings, as if one process had looked at all of it.

Whoever finds all parts there merges them; two who do so at once write the same. First the findings, then the catalog, then
a mark that says so, and only then do the parts go: whoever dies in between is followed by the same work item coming again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from backupstore.core.catalog import line_of
from backupstore.core.events import CLUSTER, Subject
from backupstore.core.layout import Layout
from backupstore.core.verification import WHOLE, Piece, Tally, covering
from backupstore.core.verify_records import VerifyPart, VerifyRound
from backupstore.errors import Corrupt
from backupstore.operations.documents import read_own
from backupstore.operations.findings import read_findings, write_findings
from backupstore.operations.index import index
from backupstore.operations.reading import survey_backup
from backupstore.operations.rounds import Put, file_of, look_at_round, pieces_of, sweep_round
from backupstore.operations.verify import Verified, judge
from backupstore.operations.verify_node import Wanted
from backupstore.ports import ObjectStore

_AT_ONCE = 10
"""So many backups are taken into the catalog at once: few enough for one worker, however little time it has."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a worker works. ``indexer``: the same bucket, as whoever keeps the catalog may write to it.

    ``part_size`` and ``hands_back`` as in ``Wanted``; ``all_day``: hardly any of its time was spent on something else, so
    that what takes too long now always will.
    """

    store: ObjectStore
    indexer: ObjectStore
    layout: Layout
    now: float
    revision: Callable[[], str]
    part_size: int
    hands_back: bool = True
    all_day: bool = True

    def wanted(self, plan: VerifyRound, piece: Piece) -> Wanted:
        """How closely to look."""
        return Wanted(
            plan.level, plan.checksums, plan.part_of_data, self.part_size, piece=piece, hands_back=self.hands_back
        )


def parts_of(plan: VerifyRound, put: Put, backup: str, node: str) -> tuple[Piece, ...] | None:
    """The pieces that are all of one node backup; None while something is missing."""
    found: list[Piece] = []
    for piece in pieces_of(plan.backups[backup][node]):
        some = covering(piece, put.parts.get((backup, node), set()))
        if some is None:
            return None
        found += some
    return tuple(found)


def merge(desk: Desk, plan: VerifyRound, backups: Iterable[str]) -> Iterator[Verified]:
    """Make findings of these backups, as far as all parts of them are there; each as soon as it is put down.

    The catalog is brought up to date as they are asked for, and what is over is swept. Whatever stands in the way is raised.
    """
    put = look_at_round(desk.store, desk.layout, plan.round)
    whole = [name for name in backups if name in plan.backups.keys() - put.merged and _is_whole(plan, put, name)]
    for start in range(0, len(whole), _AT_ONCE):
        some = whole[start : start + _AT_ONCE]
        for name in some:
            verified = _merged(desk, plan, put, name)
            if verified:
                yield verified
        _bring_up_to_date(desk, some)
        for name in some:
            desk.store.put(desk.layout.round_mark(plan.round, name), b"")
            desk.store.delete([stored.key for stored in desk.store.list(desk.layout.round_parts(plan.round, name))])
    if plan.backups.keys() <= put.merged.union(whole):
        sweep_round(desk.store, desk.layout, plan.round)


def _is_whole(plan: VerifyRound, put: Put, name: str) -> bool:
    return all(parts_of(plan, put, name, node) is not None for node in plan.backups[name])


def _merged(desk: Desk, plan: VerifyRound, put: Put, name: str) -> Verified | None:
    """Put its findings down; None where that was done already, or nothing is left of the backup.

    Findings of a later verification stay: this may be a round that was given up.
    """
    try:
        before = read_findings(desk.store, desk.layout, name, plan.level)
    except Corrupt:
        before = None
    if before is not None and before.at >= plan.created:
        return None
    document = survey_backup(desk.store, desk.layout, name, plan.backups[name])
    tallies = _tallies(desk, plan, put, name)
    if document is None or line_of(document) is None or tallies is None:
        return None
    verified = judge(desk.store, desk.layout, document, desk.wanted(plan, WHOLE), tallies)
    write_findings(desk.store, desk.layout, verified.findings(now=plan.created, revision=desk.revision()))
    return verified


def _tallies(desk: Desk, plan: VerifyRound, put: Put, name: str) -> dict[str, Tally] | None:
    """What was found in each node backup that was finished; None when somebody else has merged it and swept the parts."""
    found: dict[str, Tally] = {}
    for node in plan.backups[name]:
        for piece in parts_of(plan, put, name, node) or ():
            key = desk.layout.round_part(plan.round, name, node, file_of(piece))
            part = read_own(desk.store, VerifyPart, key)
            if part is None:
                return None
            if part.finished:
                found.setdefault(node, Tally()).merge(part.tally)
    return found


def _bring_up_to_date(desk: Desk, backups: list[str]) -> None:
    subjects = [Subject(desk.layout.prefix, CLUSTER, name) for name in backups]
    for why in index(desk.indexer, subjects, now=desk.now, revision=desk.revision).failed.values():
        raise why
