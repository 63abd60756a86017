"""Rounds: a verification that many processes share, each of them one node; here is what begins one, and what lies of it in the bucket.

A round is planned from the head: its plan is put down, and a work item for each node is sent. Each worker puts down what
it found about each node backup (``round_work``), and whoever finds all parts of a cluster backup there merges them
(``round_merge``). A round of which nobody has written anything for ``PATIENCE`` has died: it is swept, its backups are as
unverified as before, and so they are planned again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from math import ceil

from backupstore.core.catalog import nodes_of
from backupstore.core.documents import Head, Level, encode
from backupstore.core.due import Due, Rhythm, due
from backupstore.core.key_parsing import parse_in
from backupstore.core.keys import OwnKey
from backupstore.core.layout import Layout
from backupstore.core.purge_records import run_name
from backupstore.core.verification import Piece, Subset, piece_of
from backupstore.core.verify_records import VerifyRound
from backupstore.core.work import MOST_PIECES, VerifyWork, encode_work
from backupstore.errors import BackupError, Corrupt
from backupstore.operations.documents import read_own
from backupstore.operations.reading import read_backup, read_head
from backupstore.operations.verify import sweep_findings
from backupstore.ports import ObjectStore, StoredObject, WorkQueue

PATIENCE = 6 * 3600.0
"""Seconds, by the store's time."""
PIECE_BYTES = 8 << 30
"""So much of a node's data is read by one work item, about; what takes too long all the same is split again."""
_MOST_BACKUPS = 100


@dataclass(slots=True)
class Put:
    """What lies of one round. ``parts``: the pieces that were looked at, by backup and node; ``merged``: what is done."""

    newest: float = 0.0
    parts: dict[tuple[str, str], set[Piece]] = field(default_factory=dict)
    merged: set[str] = field(default_factory=set)

    def take(self, stored: StoredObject, rest: list[str]) -> None:
        """One object, and what its key says behind the name of the round."""
        self.newest = max(self.newest, stored.modified)
        match rest:
            case ["parts", backup, node, file] if piece := _piece(file):
                self.parts.setdefault((backup, node), set()).add(piece)
            case ["merged", backup]:
                self.merged.add(backup)


@dataclass(frozen=True, slots=True)
class Begun:
    """What was planned, and how many work items that makes; ``died``: the rounds that were given up."""

    rounds: tuple[VerifyRound, ...]
    items: int
    died: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Planner:
    """Begins what is due. ``queue`` is opened when there is something to send; ``revision`` gives a new random text each time."""

    store: ObjectStore
    queue: Callable[[], WorkQueue]
    rhythm: Rhythm
    now: float
    revision: Callable[[], str]

    def begin(self, layout: Layout) -> Begun:
        """Look at one cluster: one read of its head, and one listing; nothing else where nothing is due.

        Whatever cannot be sent is not left as if it were under way.
        """
        head = read_head(self.store, layout)
        if head is None:
            return Begun((), 0, ())
        under_way, died = self._under_way(layout)
        wanted = due(head, self.rhythm, now=self.now, under_way=under_way)
        plans = [self._plan(layout, head, one) for one in wanted]
        items = sum(self._send(layout, plan) for plan in plans)
        if any(plan.level == "structure" for plan in plans):
            known = {line.name for line in head.backups}
            sweep_findings(self.store, layout, known, before=self.now - self.rhythm.interval)
        return Begun(tuple(plans), items, died)

    def _under_way(self, layout: Layout) -> tuple[set[tuple[Level, str]], tuple[str, ...]]:
        """What other rounds are at, and the names of those that died, which are swept."""
        found: set[tuple[Level, str]] = set()
        died = []
        for name, put in sorted(rounds(self.store, layout).items()):
            if put.newest < self.now - PATIENCE:
                sweep_round(self.store, layout, name)
                died.append(name)
                continue
            try:
                plan = read_plan(self.store, layout, name)
            except Corrupt:
                continue  # nobody can work by it, so it dies
            if plan:
                found |= {(plan.level, backup) for backup in plan.backups.keys() - put.merged}
        return found, tuple(died)

    def _plan(self, layout: Layout, head: Head, one: Due) -> VerifyRound:
        lines = {line.name: line for line in head.backups}
        return VerifyRound(
            revision=self.revision(),
            round=run_name(self.now, self.revision()),
            created=self.now,
            level=one.level,
            subset=str(one.subset) if one.subset else None,
            backups={
                name: {node: self._pieces(sizes, node, one.subset) for node in nodes_of(head, lines[name])}
                for name in one.backups
                for sizes in (self._sizes(layout, name, one.level),)
            },
        )

    def _sizes(self, layout: Layout, name: str, level: Level) -> dict[str, int]:
        """The bytes of each node backup, where it matters and can be told."""
        if level != "content":
            return {}
        try:
            document = read_backup(self.store, layout, name)
        except Corrupt:
            document = None
        return {node: fact.size for node, fact in document.nodes.items()} if document else {}

    @staticmethod
    def _pieces(sizes: dict[str, int], node: str, subset: Subset | None) -> int:
        read = sizes.get(node, 0) / (subset.of if subset else 1)
        return min(max(1, ceil(read / PIECE_BYTES)), MOST_PIECES)

    def _send(self, layout: Layout, plan: VerifyRound) -> int:
        """Put the plan down, then send its work: who gets it finds the plan."""
        key = layout.round_plan(plan.round)
        texts = [encode_work(work) for work in items_of(plan, layout.prefix)]
        queue = self.queue()
        self.store.create(key, encode(plan))
        try:
            queue.send(texts)
        except BackupError:
            self.store.delete([key])
            raise
        return len(texts)


def items_of(plan: VerifyRound, prefix: str) -> Iterator[VerifyWork]:
    """The work of a round: all backups of a node together, for their data is listed together."""
    wanted: dict[tuple[str, Piece], list[str]] = {}
    for backup, nodes in plan.backups.items():
        for node, pieces in nodes.items():
            for piece in pieces_of(pieces):
                wanted.setdefault((node, piece), []).append(backup)
    for (node, piece), backups in sorted(wanted.items(), key=lambda each: (each[0][0], each[0][1].index)):
        for start in range(0, len(backups), _MOST_BACKUPS):
            some = tuple(backups[start : start + _MOST_BACKUPS])
            yield VerifyWork(prefix=prefix, round=plan.round, node=node, backups=some, piece=str(piece))


def pieces_of(number: int) -> Iterable[Piece]:
    """The work on one node backup in so many pieces."""
    return (Piece(index, number) for index in range(number))


def read_plan(store: ObjectStore, layout: Layout, name: str) -> VerifyRound | None:
    """What a round is about; None when it is over, or never was. Corrupt when it cannot be read."""
    key = layout.round_plan(name)
    plan = read_own(store, VerifyRound, key)
    if plan is None:
        return None
    try:
        _ = plan.part_of_data
    except ValueError as error:
        raise _wrong(key, str(error)) from error
    if plan.round != name:
        raise _wrong(key, f"it speaks of {plan.round}")
    return plan


def rounds(store: ObjectStore, layout: Layout) -> dict[str, Put]:
    """All that lies of rounds, by name, from one listing."""
    return _put(layout, store.list(layout.all_rounds()))


def look_at_round(store: ObjectStore, layout: Layout, name: str) -> Put:
    """What lies of one round."""
    return _put(layout, store.list(layout.round(name))).get(name, Put())


def sweep_round(store: ObjectStore, layout: Layout, name: str) -> None:
    """Remove all that lies of it; the plan first, so that nobody takes a part of it for all."""
    store.delete([layout.round_plan(name)])
    store.delete([stored.key for stored in store.list(layout.round(name))])


def _put(layout: Layout, listed: Iterable[StoredObject]) -> dict[str, Put]:
    found: dict[str, Put] = {}
    for stored in listed:
        key = parse_in(layout, stored.key)
        if isinstance(key, OwnKey):
            name, *rest = key.rest.split("/")
            found.setdefault(name, Put()).take(stored, rest)
    return found


def _piece(file: str) -> Piece | None:
    try:
        return piece_of(file.removesuffix(".json").replace("-", "/"))
    except ValueError:
        return None


def file_of(piece: Piece) -> str:
    """As it stands in a key."""
    return str(piece).replace("/", "-")


def _wrong(key: str, why: str) -> Corrupt:
    return Corrupt(
        f"{key} cannot be read: {why}",
        hint="Delete it: what it was about is planned again.",
        operation="verify",
        key=key,
    )
