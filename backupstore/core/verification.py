"""What is wrong with a backup: manifest and listing → findings, worst first; and which part of the data is read today.

Everything that was looked at ends in a ``Tally``. Whatever could not be looked at is a finding of its own, and a bad one:
only a backup without any finding but warnings is good.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from math import ceil

from backupstore.core.completion import Complete, Waiting
from backupstore.core.contents import same_digest
from backupstore.core.documents import Found
from backupstore.core.keys import DataKey
from backupstore.core.manifest import Entry
from backupstore.core.sstables import Problem, Severity, parse_component

MISSING = "missing"
"""An object that the manifest names is not there."""
MISMATCH = "mismatch"
"""The bytes are not those that were backed up; or not those that Cassandra wrote."""
DIFFERENT = "different"
"""An object has another size or digest than the manifest says."""
CORRUPT = "corrupt"
"""It was bad already when it was backed up, or was damaged since, as is on record."""
BROKEN = "broken"
"""An SSTable lacks a component without which it cannot be read."""
UNCOVERED = "uncovered"
"""A token range is in no node backup."""
INCOMPLETE = "incomplete"
"""A node has no finished backup."""
UNCHECKED = "unchecked"
"""Something could not be looked at, or holds nothing to compare with."""
UNTOLD = "untold"
"""More was found by an earlier run than is on record: only reading everything again can take it back."""
EXTRA = "extra"
"""An object lies in a full backup that its manifest does not name."""
WARNING = "warning"
"""Cassandra does without it. The only kind that is not bad."""
WORST_FIRST = (MISSING, MISMATCH, DIFFERENT, CORRUPT, BROKEN, UNCOVERED, INCOMPLETE, UNTOLD, UNCHECKED, EXTRA, WARNING)

_HARMLESS = frozenset({UNCHECKED, EXTRA, WARNING})

MOST = 1000
"""So many findings are kept, the worst of them; all of them are counted."""
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?)%")
_PART = re.compile(r"([1-9][0-9]{0,4})/([1-9][0-9]{0,4})")
_HUNDRED = 100
_SPLIT = 4


def is_harm(counts: Mapping[str, int]) -> bool:
    """Whether some of what was found, by kind, says that data is missing or wrong; what is not good but unknown does not.

    Nothing at all, of what was not good, says that nobody knows what it was: that is harm as well.
    """
    return not counts or not counts.keys() <= _HARMLESS


@dataclass(frozen=True, slots=True)
class Listed:
    """An object as the bucket shows it."""

    size: int
    digest: str | None = None


@dataclass(slots=True)
class Tally:
    """What was looked at and what was found. ``by_size``: objects of which nothing but the size could be compared."""

    objects: int = 0
    size: int = 0
    read: int = 0
    by_size: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    _kept: dict[str, list[Found]] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether there are but warnings."""
        return not any(number for kind, number in self.counts.items() if kind != WARNING)

    @property
    def findings(self) -> tuple[Found, ...]:
        """The worst of them first, at most ``MOST``."""
        ranked = sorted(self._kept, key=lambda kind: WORST_FIRST.index(kind) if kind in WORST_FIRST else 0)
        return tuple(found for kind in ranked for found in self._kept[kind])[:MOST]

    def add(self, found: Found) -> None:
        """One finding."""
        self.counts[found.kind] += 1
        kept = self._kept.setdefault(found.kind, [])
        if len(kept) < MOST:
            kept.append(found)

    @classmethod
    def told(cls, counts: Mapping[str, int], findings: Iterable[Found]) -> Tally:
        """From what was put down of another one: all that counts, and the worst of it."""
        tally = cls(counts=Counter(counts))
        for found in findings:
            tally._kept.setdefault(found.kind, []).append(found)
        return tally

    def merge(self, other: Tally) -> None:
        """All of another one."""
        self.objects += other.objects
        self.size += other.size
        self.read += other.read
        self.by_size += other.by_size
        self.counts += other.counts
        for kind, kept in other._kept.items():
            mine = self._kept.setdefault(kind, [])
            mine += kept[: MOST - len(mine)]


def difference(entry: Entry, listed: Listed | None) -> tuple[str, str] | None:
    """The kind of what is wrong with an object, and why; None when it is as the manifest says, as far as can be told."""
    if listed is None:
        return MISSING, "is not there"
    if listed.size != entry.size:
        return DIFFERENT, f"has {listed.size} bytes, the manifest says {entry.size}"
    if is_by_size(entry, listed) or same_digest(entry.md5 or "", listed.digest or ""):
        return None
    return DIFFERENT, f"has the digest {listed.digest}, the manifest says {entry.md5}"


def is_by_size(entry: Entry, listed: Listed) -> bool:
    """Whether there is no digest to compare."""
    return entry.md5 is None or listed.digest is None


def of_completion(judged: Complete | Waiting) -> Iterator[Found]:
    """A finding for each node that is waited for."""
    if isinstance(judged, Waiting):
        for node in judged.incomplete:
            yield Found(kind=INCOMPLETE, node=node, why="its backup is not finished")
        for node in judged.missing:
            yield Found(kind=INCOMPLETE, node=node, why="it has no backup")
        if not (judged.incomplete or judged.missing):
            yield Found(kind=INCOMPLETE, why="no node is expected to have a backup: there is no tokenmap")


def of_sstable(problems: Iterable[Problem], node: str, path: str) -> Iterator[Found]:
    """A finding for each problem of an SSTable; ``path`` names one of its components."""
    kinds = {Severity.CORRUPT: MISMATCH, Severity.MISSING: BROKEN, Severity.WARNING: WARNING}
    for problem in problems:
        yield Found(kind=kinds[problem.severity], node=node, path=path, why=problem.why)


def sstable_name(key: DataKey) -> str:
    """Names an SSTable in whatever backup it lies: what differs for two components is in its last part only."""
    return "/".join((key.node, key.keyspace, key.table, key.index or "", parse_component(key.file)[0]))


@dataclass(frozen=True, slots=True)
class Subset:
    """One part of ``of`` of all SSTables, chosen by their names. Each SSTable is in exactly one."""

    turn: int
    of: int

    def __str__(self) -> str:
        return f"{self.turn + 1}/{self.of}"

    def takes(self, name: str) -> bool:
        """Whether an SSTable of this name is in it."""
        return _number(name, 0) % self.of == self.turn


@dataclass(frozen=True, slots=True)
class Piece:
    """One of ``of`` parts of the work on one node backup, each looked at by itself. Each SSTable is in exactly one.

    It has nothing to do with any ``Subset``: of the SSTables of every subset, each piece has its share.
    """

    index: int = 0
    of: int = 1

    def __str__(self) -> str:
        return f"{self.index + 1}/{self.of}"

    def takes(self, name: str) -> bool:
        """Whether an SSTable of this name is in it."""
        return self.of == 1 or _number(name, 8) % self.of == self.index

    def split(self) -> tuple[Piece, ...]:
        """Smaller ones that are the same together."""
        return tuple(Piece(self.index + number * self.of, self.of * _SPLIT) for number in range(_SPLIT))


WHOLE = Piece()
"""All of the work on a node backup in one piece."""


def piece_of(text: str) -> Piece:
    """From ``2/4``. ValueError."""
    part = _PART.fullmatch(text)
    if part is None or int(part[1]) > int(part[2]):
        raise ValueError(f"{text!r} is no piece, such as 2/4")
    return Piece(int(part[1]) - 1, int(part[2]))


def covering(wanted: Piece, done: AbstractSet[Piece]) -> tuple[Piece, ...] | None:
    """The fewest of the pieces that were looked at that are all of ``wanted``; None while something is missing."""
    if wanted in done:
        return (wanted,)
    if not any(piece.of > wanted.of for piece in done):
        return None
    found: list[Piece] = []
    for smaller in wanted.split():
        some = covering(smaller, done)
        if some is None:
            return None
        found += some
    return tuple(found)


def _number(name: str, at: int) -> int:
    """Of eight bytes of its digest, from that one on."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[at : at + 8], "big")


def subset_of(text: str, *, now: float, every: float) -> Subset | None:
    """From ``5%``, or ``3/20``; None for all. ValueError. A percentage rotates (``rotating``)."""
    part = _PART.fullmatch(text)
    if part and int(part[1]) <= int(part[2]):
        return Subset(int(part[1]) - 1, int(part[2])) if int(part[2]) > 1 else None
    percent = _PERCENT.fullmatch(text)
    if percent is None or not 0 < float(percent[1]) <= _HUNDRED:
        raise ValueError(f"{text!r} is neither a percentage, such as 5%, nor a part, such as 3/20")
    return rotating(float(percent[1]) / _HUNDRED, now=now, every=every)


def rotating(share: float, *, now: float, every: float) -> Subset | None:
    """The part whose turn it is; None for all. Whoever verifies once in ``every`` seconds reads everything in turn."""
    of = ceil(round(1 / share, 9))
    return Subset(int(now // every) % of, of) if of > 1 else None
