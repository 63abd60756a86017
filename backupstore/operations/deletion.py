"""Deleting what was condemned of one node: exact keys, in an order in which a half deleted backup is never taken for a whole one.

Index rows go first, for stock believes them; then the manifests, so that none ever names what is gone; then data; then the
rest of meta, the attempts late, and ``schema.cql`` last: until then whoever looks sees that there was a backup. Only
``abandoned`` outlives it: beside that, no manifest that comes late ever counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from backupstore.core import layout as grammar
from backupstore.core import names
from backupstore.core.condemning import may_execute
from backupstore.core.key_parsing import parse_in
from backupstore.core.keys import DataKey, MetaKey, RowKey
from backupstore.core.layout import Layout
from backupstore.ports import ObjectStore, StoredObject

BATCH = 1000
"""Keys in one request."""
Sized = tuple[str, int]
"""A key, and the bytes that it holds."""
_STAGES = 4


class TooLateError(Exception):
    """Half of the grace has passed since the document was written."""


class Time:
    """The time that it was, what has passed since, and the age of what is carried out."""

    def __init__(self, now: float, grace: float, running: Callable[[], float]) -> None:
        self.start = now
        self.grace = grace
        self._running = running
        self._began = running()
        self._created = now

    def condemned(self, created: float) -> None:
        """A document of that time is carried out."""
        self._created = min(self._created, created)

    def now(self) -> float:
        """The time that it is."""
        return self.start + max(0.0, self._running() - self._began)

    def check(self) -> None:
        """Whoever deletes asks before each request. TooLateError."""
        if not may_execute(created=self._created, now=self.now(), grace=self.grace):
            raise TooLateError


@dataclass(slots=True)
class Freed:
    """What has been deleted so far."""

    objects: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Deletion:
    """Deletes of one node, and counts."""

    store: ObjectStore
    layout: Layout
    node: str
    time: Time
    freed: Freed

    def delete(self, backups: tuple[str, ...], shared: Iterable[Sized]) -> None:
        """All that lies under these backups' names, and these objects of the shared data. TooLateError."""
        self._remove(key for backup in backups for key in self._rows(backup))
        self._remove(key for backup in backups for key in self._meta(backup, 0))
        self._remove(shared)
        self._remove(key for backup in backups for key in self._full_data(backup))
        self._remove(key for backup in backups for key in self._announcements(backup))
        for stage in range(1, _STAGES + 1):
            self._remove(key for backup in backups for key in self._meta(backup, stage))

    def _rows(self, backup: str) -> Iterator[Sized]:
        """Stock's rows of this node: first the one that makes the others visible."""
        own = []
        for stored in self.store.list(self.layout.rows(backup)):
            row = parse_in(self.layout, stored.key)
            if isinstance(row, RowKey) and row.node == self.node:
                own.append((row.kind != "tokenmap", stored.key, stored.size))
        return ((key, size) for _, key, size in sorted(own))

    def _meta(self, backup: str, stage: int) -> Iterator[Sized]:
        folder = self.layout.meta_folder(self.node, backup)
        for stored in self.store.list(folder):
            file = stored.key[len(folder) :]
            if names.is_segment(file) and _stage(file) <= stage:
                yield _sized(stored)

    def _full_data(self, backup: str) -> Iterator[Sized]:
        for stored in self.store.list(self.layout.full_data(self.node, backup)):
            key = parse_in(self.layout, stored.key)
            if isinstance(key, DataKey) and (key.node, key.backup) == (self.node, backup):
                yield _sized(stored)

    def _announcements(self, backup: str) -> Iterator[Sized]:
        """Or a later backup of that name could not make its own."""
        return map(_sized, self.store.list(self.layout.announced_of(self.node, backup)))

    def _remove(self, sized: Iterable[Sized]) -> None:
        """Delete exactly these, a batch at a time, as long as it is not too late to."""
        rest = iter(sized)
        while batch := list(islice(rest, BATCH)):
            self.time.check()
            self.store.delete([key for key, _ in batch])
            self.freed.objects += len(batch)
            self.freed.bytes += sum(size for _, size in batch)


def _stage(file: str) -> int:
    """When a file of a meta folder goes, from 0. Without its attempts a backup looks like stock's, or like an intent."""
    last = {grammar.MANIFEST: 0, grammar.SCHEMA: _STAGES - 1, grammar.ABANDONED: _STAGES}
    return last.get(file, 2 if MetaKey("", "", file).attempt else 1)


def _sized(stored: StoredObject) -> Sized:
    return stored.key, stored.size
