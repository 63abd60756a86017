"""What purges put on record about themselves, read from the newest backwards."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from backupstore.core.documents import decode
from backupstore.core.layout import Layout
from backupstore.core.purge_records import PurgeRecord
from backupstore.errors import Corrupt, NotFound
from backupstore.ports import ObjectStore

_MOST = 100


def newest_purges(store: ObjectStore, layout: Layout) -> Iterator[PurgeRecord]:
    """One listing, and one read for each that is asked for; those that cannot be read are left out."""
    stored = sorted(store.list(layout.purges()), key=lambda found: (found.modified, found.key), reverse=True)
    for each in stored:
        try:
            yield decode(PurgeRecord, store.read(each.key).body, each.key)
        except (Corrupt, NotFound):
            continue


def last_scheduled(store: ObjectStore, layout: Layout) -> float | None:
    """When the last one was begun that ``purge_schedule`` asked for and that came to its end; None when nobody can tell."""
    for record in islice(newest_purges(store, layout), _MOST):
        if record.scheduled and record.finished is not None:
            return record.created
    return None
