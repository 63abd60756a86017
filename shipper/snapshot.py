"""The snapshot of one backup: taken with its schema, never left behind.

Tags begin with ``medusa-shipper-``; whatever carries such a tag and is not the attempt's own is cleared by the next
run. A snapshot that the operator wants to keep gets a tag that does not begin so; until its backup is finished, the
node's memory names it, and it is cleared like the others.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass

from backupstore.errors import BackupError, NodeTrouble
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

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left out."""
        return not self.keyspaces and not self.tables


def stale(cassandra: CassandraNode, unfinished: tuple[str, ...], *, keep: str | None) -> tuple[str, ...]:
    """Snapshots of ours to be cleared: all but one, and of those to be kept the ones of unfinished backups."""
    ours = [*cassandra.snapshot_tags(OURS)]
    ours += [tag for tag in cassandra.snapshot_tags(KEPT) if tag in unfinished]
    return tuple(tag for tag in ours if tag != keep)


def take(cassandra: CassandraNode, tag: str, filters: Filters) -> Schema:
    """Take the snapshot and return the schema that holds for it: read before and after, and equal.

    NodeTrouble when the schema does not stand still, or when the snapshot holds no table at all. What a failure has left
    on disk is cleared if that is possible now, else by the next run.
    """
    if tag in cassandra.snapshot_tags(tag):
        cassandra.clear_snapshot(tag)
    try:
        return _take(cassandra, tag, filters)
    except BackupError:
        with suppress(BackupError):
            cassandra.clear_snapshot(tag)
        raise


def _take(cassandra: CassandraNode, tag: str, filters: Filters) -> Schema:
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
        raise empty(tag)
    return before


def empty(tag: str) -> NodeTrouble:
    """Nodetool was content, and there is nothing: an empty manifest would pass for a good backup."""
    return NodeTrouble(
        f"The snapshot {tag} is empty: nodetool reported success, and no data directory holds anything of it.",
        hint="Check data_file_directories in cassandra.yaml and the filters; run 'nodetool listsnapshots'.",
        operation="snapshot",
    )
