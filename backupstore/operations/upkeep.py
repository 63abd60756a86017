"""What purges leave behind, and what becomes of it: old records, answers of purges that are over, forgotten documents.

And the last that is left of cluster jobs: who coordinates may not delete it.
"""

from __future__ import annotations

from collections.abc import Iterator

from backupstore.core.condemning import may_drop
from backupstore.core.documents import decode
from backupstore.core.purge_records import PurgeRecord, run_of
from backupstore.errors import NotFound
from backupstore.operations.answers import is_over
from backupstore.operations.condemned import list_condemned, read_document
from backupstore.operations.job_upkeep import KEPT, forgotten_marks
from backupstore.operations.plan import Place
from backupstore.operations.truth import child_names
from backupstore.ports import StoredObject


def tidy(at: Place, record: PurgeRecord) -> None:
    """Delete what nobody needs any more, after a purge was begun. Corrupt when something of it cannot be read."""
    marks = forgotten_marks(at.store, at.layout, at.now)
    at.store.delete([*_forgotten_documents(at, record), *_old_records(at), *_late_answers(at), *marks])


def _forgotten_documents(at: Place, record: PurgeRecord) -> Iterator[str]:
    """Condemned documents of nodes that no purge visits; those of the others are dropped on the visit."""
    grace = record.rules.grace if record.rules else None
    if grace is None:
        return
    for node in set(child_names(at.store, at.layout.all_condemned())) - record.by_node.keys():
        for _, stored in list_condemned(at.store, at.layout, node):
            if not may_drop(created=stored.modified, now=at.now, grace=grace):
                continue
            document = read_document(at.store, stored.key)
            if document and may_drop(created=max(stored.modified, document.created), now=at.now, grace=grace):
                yield stored.key


def _old_records(at: Place) -> Iterator[str]:
    """Records that are over and old, but those that a condemned document speaks of, and the last that did all its work."""
    listed = sorted(at.store.list(at.layout.purges()), key=lambda one: (one.modified, one.key), reverse=True)
    old = [stored for stored in listed if stored.modified < at.now - KEPT]
    if not old:
        return
    needed = {run_of(stored.key.rpartition("/")[2]) for stored in at.store.list(at.layout.all_condemned())}
    needed |= _last_done(at, listed)
    for stored in old:
        record = _read(at, stored)
        if record and record.finished is not None and record.run not in needed:
            yield stored.key


def _last_done(at: Place, newest_first: list[StoredObject]) -> set[str]:
    """The last of all, and the last that did all of its work: monitoring tells how old that is."""
    found = set[str]()
    for stored in newest_first:
        record = _read(at, stored)
        if record and (not found or record.is_done):
            found.add(record.run)
        if record and record.is_done:
            break
    return found


def _late_answers(at: Place) -> Iterator[str]:
    """What was put down for purges that are over."""
    for run in child_names(at.store, at.layout.all_purge_answers()):
        if is_over(at.store, at.layout, run):
            yield from (stored.key for stored in at.store.list(at.layout.purge_answers(run)))


def _read(at: Place, stored: StoredObject) -> PurgeRecord | None:
    try:
        return decode(PurgeRecord, at.store.read(stored.key).body, stored.key)
    except NotFound:
        return None
