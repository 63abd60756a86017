"""What is being deleted already, by any purge: the condemned documents of all nodes, and what was decided with them.

A condemned document names node backups. Whether the whole cluster backup goes, or only what one of its nodes has given up
on, stands in the record of the purge that wrote it. One that a worker wrote after its purge was over stands in that record
not: it was never carried out, and nothing is deleted because of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from backupstore.core.layout import Layout
from backupstore.core.purge_records import PurgeRecord
from backupstore.operations.condemned import all_condemned
from backupstore.operations.documents import read_own
from backupstore.ports import ObjectStore


@dataclass(frozen=True, slots=True)
class Doomed:
    """``nodes``: where it is condemned, by cluster backup; ``whole``: the condemned ones that a purge decided to delete."""

    nodes: Mapping[str, frozenset[str]]
    whole: frozenset[str]


def read_doomed(store: ObjectStore, layout: Layout) -> Doomed:
    """Read all condemned documents, and each record that they speak of. Corrupt when one cannot be read."""
    nodes: dict[str, set[str]] = {}
    records: dict[str, PurgeRecord | None] = {}
    whole = set[str]()
    for node, name, document in all_condemned(store, layout):
        if document.backups and document.run not in records:
            records[document.run] = read_record(store, layout, document.run)
        record = records.get(document.run)
        if record and record.documents is not None and f"{node}/{name}" not in record.documents:
            continue
        for backup in {*document.backups} - {*document.rests}:
            nodes.setdefault(backup, set()).add(node)
            if record and backup in record.deletes:
                whole.add(backup)
    return Doomed({backup: frozenset(where) for backup, where in nodes.items()}, frozenset(whole))


def read_record(store: ObjectStore, layout: Layout, run: str) -> PurgeRecord | None:
    """What a purge wrote about itself; None when there is nothing. Corrupt when it cannot be read."""
    return read_own(store, PurgeRecord, layout.purge(run))
