"""What purge may do now, decided from one look at a node's backups and from the age of what was condemned.

Two sets of rules, which ``docs/bucket-format.md`` ("Condemn, then delete") gives the reasons for. A shared object may go
when no backup that counts names it, and when whoever may still commit one knows that it is condemned. And a condemned
document is carried out for half of ``incomplete_grace`` only, and dropped after all of it, so that whoever wakes late
finds nothing to do before anybody may use its keys again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum

from backupstore.core import layout as grammar
from backupstore.core.documents import Attempt

MOST_TEXT = 32 << 20
"""Bytes of keys in one document; every backup of the node reads them all."""


class Standing(Enum):
    """What a node backup is to whoever deletes data that others may share."""

    FINISHED = "it has a manifest, and what that names stays"
    OVER = "nobody will finish it, and nothing that it used counts"
    WARNED = "it is under way, and knows what is condemned"
    STOCK = "stock writes it, and reads no condemned documents"
    UNDER_WAY = "it is under way, and does not know what is condemned"


@dataclass(frozen=True, slots=True)
class Seen:
    """One node backup as one look showed it.

    ``files``: what lies in its meta folder, with the store's times; ``attempts``: the number of the latest, 0 for none;
    ``latest``: its document, None where there is none or it cannot be read.
    """

    backup: str
    files: Mapping[str, float]
    attempts: int = 0
    latest: Attempt | None = None

    @property
    def begun(self) -> float:
        """The intent's time; of what lies there without an intent, the latest: nothing of it is older."""
        return self.files.get(grammar.SCHEMA) or max(self.files.values(), default=0.0)

    @property
    def has_manifest(self) -> bool:
        """Whether it was committed, and counts."""
        return grammar.MANIFEST in self.files and grammar.ABANDONED not in self.files

    @property
    def is_stocks(self) -> bool:
        """Whether stock wrote it. Our own intent has no attempt for a moment either; it is alone, or was given up."""
        ours = {grammar.SCHEMA, grammar.ABANDONED}
        return not self.attempts and grammar.SCHEMA in self.files and not self.files.keys() <= ours


def standing(seen: Seen, documents: AbstractSet[str], *, now: float, grace: float) -> Standing:
    """What it is, to whoever executes these condemned documents. ``now`` is the store's time, or close to it.

    An attempt without one of the documents may rely on any key. A backup without a manifest is over when its intent,
    written first and deleted last, is gone, or is older than ``grace``: no shipper commits later than half of that.
    """
    if grammar.ABANDONED in seen.files:
        return Standing.OVER
    if grammar.MANIFEST in seen.files:
        return Standing.FINISHED
    if grammar.SCHEMA not in seen.files or now - seen.begun > grace:
        return Standing.OVER
    if seen.is_stocks:
        return Standing.STOCK
    if seen.latest is not None and documents and documents <= set(seen.latest.condemned_seen):
        return Standing.WARNED
    return Standing.UNDER_WAY


def is_stock_at_work(seen: Seen, *, now: float, grace: float) -> bool:
    """Whether this backup shows that stock still backs this node up."""
    return seen.is_stocks and now - seen.begun <= grace


def sees_late(latest: Attempt | None) -> bool:
    """Whether the shipper of this attempt may have been shown the bucket without what was condemned just before.

    Of an attempt that cannot be read nobody knows.
    """
    return latest is None or latest.cached_mount


def may_execute(*, created: float, now: float, grace: float) -> bool:
    """Whether a document of that age may still be carried out."""
    return now - created <= grace / 2


def may_drop(*, created: float, now: float, grace: float) -> bool:
    """Whether nobody can be about to carry a document of that age out any more."""
    return now - created > grace


def in_documents(keys: Iterable[str], most: int = MOST_TEXT) -> Iterator[tuple[str, ...]]:
    """The keys in as many parts as there must be documents: one at least, though it were empty."""
    part: list[str] = []
    size = 0
    for key in keys:
        length = len(json.dumps(key)) + 1
        if part and size + length > most:
            yield tuple(part)
            part, size = [], 0
        part.append(key)
        size += length
    yield tuple(part)
