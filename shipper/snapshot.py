"""The snapshot of one backup: taken with its schema, found again by a resume, never left behind.

Tags begin with ``medusa-shipper-``; whatever carries such a tag and is not the attempt's own is cleared by the next
run. A snapshot that the operator wants to keep gets a tag that does not begin so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from backupstore.errors import NodeTrouble
from shipper.cassandra.port import CassandraNode, Schema

OURS = "medusa-shipper-"
KEPT = "medusa-shipper_kept-"
_TRIES = 3


def tag_of(backup: str, *, keep: bool) -> str:
    """The snapshot's tag. Nodetool and directories take these characters; other ones of a name become ``_``."""
    return (KEPT if keep else OURS) + re.sub(r"[^A-Za-z0-9_.-]", "_", backup)


@dataclass(frozen=True, slots=True)
class Filters:
    """``--keyspace`` and ``--table`` as given; both empty for the whole node."""

    keyspaces: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()


def clear_stale(cassandra: CassandraNode, keep: str | None) -> tuple[str, ...]:
    """Clear every snapshot of ours but one. Returns what was cleared."""
    stale = tuple(tag for tag in cassandra.snapshot_tags(OURS) if tag != keep)
    for tag in stale:
        cassandra.clear_snapshot(tag)
    return stale


def take(cassandra: CassandraNode, tag: str, filters: Filters) -> Schema:
    """Take the snapshot and return the schema that holds for it: read before and after, and equal.

    NodeTrouble when the schema does not stand still, or when the snapshot holds no table at all.
    """
    if tag in cassandra.snapshot_tags(tag):
        cassandra.clear_snapshot(tag)
    for _ in range(_TRIES):
        before = cassandra.schema()
        cassandra.snapshot(tag, keyspaces=filters.keyspaces, tables=filters.tables)
        if cassandra.schema() == before:
            break
        cassandra.clear_snapshot(tag)
    else:
        raise NodeTrouble(
            f"The schema changed during each of {_TRIES} snapshots.",
            hint="Run the backup again when the schema changes are over.",
            operation="snapshot",
        )
    if not cassandra.snapshot_tables(tag):
        raise NodeTrouble(
            f"The snapshot {tag} is empty: nodetool reported success, and no table directory has it.",
            hint="Check data_file_directories in cassandra.yaml and the filters; run 'nodetool listsnapshots'.",
            operation="snapshot",
        )
    return before
