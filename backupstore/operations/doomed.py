"""What is being deleted already, by any purge: the condemned documents of all nodes, and what was decided with them.

A condemned document names node backups. Whether the whole cluster backup goes, or only what one of its nodes has given up
on, stands in the record of the purge that wrote it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from backupstore.core.documents import decode
from backupstore.core.layout import Layout
from backupstore.core.purge_records import PurgeRecord
from backupstore.errors import NotFound
from backupstore.operations.condemned import list_condemned, read_document
from backupstore.ports import ObjectStore


@dataclass(frozen=True, slots=True)
class Doomed:
    """``nodes``: where it is condemned, by cluster backup; ``whole``: the condemned ones that a purge decided to delete."""

    nodes: Mapping[str, frozenset[str]]
    whole: frozenset[str]


def read_doomed(store: ObjectStore, layout: Layout) -> Doomed:
    """Read all condemned documents, and each record that they speak of. Corrupt when one cannot be read."""
    folder = layout.all_condemned()
    nodes: dict[str, set[str]] = {}
    records: dict[str, frozenset[str]] = {}
    whole = set[str]()
    for child in store.entries(folder).folders:
        node = child[len(folder) : -1]
        for _, stored in list_condemned(store, layout, node):
            document = read_document(store, stored.key)
            if document is None or not document.backups:
                continue
            if document.run not in records:
                record = read_record(store, layout, document.run)
                records[document.run] = record.deletes if record else frozenset()
            whole.update(records[document.run].intersection(document.backups))
            for backup in document.backups:
                nodes.setdefault(backup, set()).add(node)
    return Doomed({backup: frozenset(where) for backup, where in nodes.items()}, frozenset(whole))


def read_record(store: ObjectStore, layout: Layout, run: str) -> PurgeRecord | None:
    """What a purge wrote about itself; None when there is nothing. Corrupt when it cannot be read."""
    key = layout.purge(run)
    try:
        return decode(PurgeRecord, store.read(key).body, key)
    except NotFound:
        return None
