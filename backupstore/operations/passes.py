"""Passes: how everything derived is written, so that it ends up right whatever happens meanwhile.

A pass reads what is written, *then* the truth it follows from, and writes what differs: documents by compare-and-swap,
stock's keys, which stock reads as they are, unconditionally. After a pass that wrote, there is another; the work ends
with a pass that had nothing to write. Why that converges, under any order and number of events and indexers:

- The last change of the truth has an event, and whoever handles it ends with a quiet pass after that change: at that
  moment what is written is right.
- A later write by someone who read the truth before that change can put it wrong again (also where it found nothing to
  write when the change came, so that no version moved). But it is followed by another pass of the same writer, which
  reads the truth after that change.
- A writer that dies before its quiet pass has not acknowledged its events: they come again.
- Compare-and-swap keeps writers of different nodes in one document from undoing each other. Each write has a new
  ``revision``, since a store may take equal bytes for an equal version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from backupstore.core.documents import ClusterBackup, Head, Own, decode, encode
from backupstore.core.layout import Layout
from backupstore.errors import Conflict, Corrupt, NotFound, Retryable
from backupstore.ports import ObjectStore

PASSES = 50
D = TypeVar("D", ClusterBackup, Head)


@dataclass(slots=True)
class Changes:
    """What was written and removed, by key, and which documents could not be read, with the reason."""

    written: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    unreadable: dict[str, Corrupt] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stored(Generic[D]):
    """A document as it is in the bucket. ``document`` is None when it is absent, or unreadable: see ``why``."""

    document: D | None = None
    version: str | None = None
    why: Corrupt | None = None


@dataclass(frozen=True, slots=True)
class Indexing:
    """One run of an indexer over one cluster. With ``rebuild`` nothing that is derived is believed."""

    store: ObjectStore
    layout: Layout
    now: float
    revision: Callable[[], str]
    rebuild: bool = False
    changes: Changes = field(default_factory=Changes)

    def stored(self, kind: type[D], key: str) -> Stored[D]:
        """Read a document of the catalog. Only a rebuild may write over one that cannot be read."""
        version = None
        try:
            found = self.store.read(key)
            version = found.version
            return Stored(decode(kind, found.body, key), version)
        except NotFound:
            return Stored()
        except Corrupt as error:
            if not self.rebuild:
                raise
            return Stored(None, version, error)

    def swap(self, key: str, document: D, over: Stored[D]) -> bool:
        """Write a document over what was read; False when somebody else was first. A new revision each time."""
        body = encode(_stamped(document, self.revision()))
        try:
            if over.version is not None:
                self.store.replace(key, body, over.version)
            elif over.why is not None:
                self.store.put(key, body)  # too large to have a version: nobody can compare with that
            else:
                self.store.create(key, body)
        except Conflict:
            return False
        self.changes.written.append(key)
        return True

    def body(self, key: str) -> bytes | None:
        """What is in a key of stock's; None when it is absent, or larger than anything that should be copied."""
        try:
            return self.store.read(key).body
        except (NotFound, Corrupt):
            return None

    def put(self, key: str, body: bytes) -> None:
        """Write a key of stock's."""
        self.store.put(key, body)
        self.changes.written.append(key)

    def delete(self, keys: Iterable[str]) -> None:
        """Remove exactly these keys."""
        gone = list(keys)
        if gone:
            self.store.delete(gone)
            self.changes.removed += gone


def until_quiet(look: Callable[[], bool], key: str) -> None:
    """Make passes until one says that it had nothing to do. Retryable when others never let it come to that."""
    for _ in range(PASSES):
        if look():
            return
    raise Retryable(
        f"{key} was changed by others {PASSES} times in a row",
        hint="Let fewer indexers run for one cluster at the same time; events and reconcile will try again.",
        operation="index",
        key=key,
    )


def _stamped(document: Own, revision: str) -> Own:
    return document.model_copy(update={"revision": revision})
