"""The head: one line per cluster backup. It follows from the catalog's documents as these follow from the bucket."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from backupstore.core.catalog import content, empty_head, unread, with_lines
from backupstore.core.documents import ClusterBackup, Head
from backupstore.errors import Corrupt
from backupstore.operations.passes import Indexing, until_quiet


def settle_head(at: Indexing, names: AbstractSet[str]) -> None:
    """Make the head's lines of these backups right.

    Done even when none of their documents changed: whoever changed them may have died before it came to the head.
    """
    key = at.layout.head()

    def look() -> bool:
        stored = at.stored(Head, key)
        head = stored.document or empty_head()
        fresh = _with(at, head, names)
        if content(fresh) == content(head) and stored.why is None:
            return True
        at.swap(key, fresh.model_copy(update={"checked": max(at.now, head.checked)}), stored)
        return False

    until_quiet(look, key)


def confirm_head(at: Indexing, *, looked: float | None = None) -> None:
    """Make all of the head right, and say so in ``checked``, and in ``repaired`` how much else had to be repaired.

    ``looked``: when every node backup was looked into; None when it was not.
    """
    key = at.layout.head()
    repaired = len(at.changes.written) + len(at.changes.removed)

    def look() -> bool:
        stored = at.stored(Head, key)
        head = stored.document or empty_head()
        # Listed after the head was read, so that a backup which came meanwhile is never taken for one that is gone.
        listed = (at.layout.catalog_name(found.key) for found in at.store.list(at.layout.catalog_backups()))
        fresh = _with(at, head, {line.name for line in head.backups} | {name for name in listed if name})
        if content(fresh) == content(head) and stored.document and head.checked >= at.now:
            return True
        told = {"checked": max(at.now, head.checked), "looked": max(looked or 0.0, head.looked), "repaired": repaired}
        at.swap(key, fresh.model_copy(update=told), stored)
        return False

    until_quiet(look, key)


def _with(at: Indexing, head: Head, names: AbstractSet[str]) -> Head:
    documents = _read(at, names)
    return with_lines(head, documents | _read(at, unread(head, documents)))


def _read(at: Indexing, names: Iterable[str]) -> dict[str, ClusterBackup | None]:
    """The documents of these backups. One that cannot be read is left out and reported; its line stays."""
    found: dict[str, ClusterBackup | None] = {}
    for name in sorted(names):
        key = at.layout.catalog_backup(name)
        try:
            found[name] = at.stored(ClusterBackup, key).document
        except Corrupt as error:
            at.changes.unreadable[key] = error
    return found
