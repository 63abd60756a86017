"""Report: what monitoring is told of a cluster, from one read of the catalog and of the last purge. Nothing here writes.

For hosts that report about a cluster again and again, and must not read a whole bucket for it: a catalog that is behind
is told as it is, and how far it is behind is one of the numbers.
"""

from __future__ import annotations

from backupstore.core.documents import decode
from backupstore.core.layout import Layout
from backupstore.core.measures import NEVER, PURGE_AGE, Sample
from backupstore.core.purge_records import PurgeRecord
from backupstore.core.reporting import report_of, samples_of, samples_of_failure, samples_of_purges
from backupstore.errors import BackupError, Corrupt, Denied, NotFound
from backupstore.operations.reading import read_head
from backupstore.ports import ObjectStore

_PURGES = 10


def measure(store: ObjectStore, layout: Layout, *, now: float) -> list[Sample]:
    """The numbers of one cluster, all of its nodes among them. What cannot be read is told as a failure."""
    try:
        head = read_head(store, layout)
    except BackupError:
        head = None
    if head is None:
        return samples_of_failure(layout.prefix)
    report = report_of(head, now=now, checked=head.checked)
    return [*samples_of(report, layout.prefix), *measure_purges(store, layout, now=now)]


def measure_purges(store: ObjectStore, layout: Layout, *, now: float) -> list[Sample]:
    """The numbers of the last purges: one listing, and one read where the last one did all of its work.

    What cannot be read is told as if none ever had. Who is not allowed to see them, as a node is not, tells nothing.
    """
    try:
        return samples_of_purges(_last_purges(store, layout), layout.prefix, now=now)
    except Denied:
        return []
    except BackupError:
        return [Sample(PURGE_AGE, NEVER, layout.prefix)]


def _last_purges(store: ObjectStore, layout: Layout) -> list[PurgeRecord]:
    """The last ones, newest first, to the one that did all of its work; not more than a few."""
    stored = sorted(store.list(layout.purges()), key=lambda found: (found.modified, found.key), reverse=True)
    found: list[PurgeRecord] = []
    for each in stored[:_PURGES]:
        try:
            record = decode(PurgeRecord, store.read(each.key).body, each.key)
        except (Corrupt, NotFound):
            continue
        found.append(record)
        if record.is_done:
            break
    return found
