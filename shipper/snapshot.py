"""The snapshot of one backup: taken with its schema, never left behind; or an operator's, which is only read.

Tags begin with ``medusa-shipper-``; whatever carries such a tag and is not the attempt's own is cleared by the next
run. A snapshot that the operator wants to keep gets a tag that does not begin so; until its backup is finished, the
node's memory names it, and it is cleared like the others.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass

from backupstore.core.names import SYSTEM_KEYSPACES
from backupstore.core.schema_changes import table_ids
from backupstore.errors import BackupError, NodeTrouble, NotFound, Refused
from shipper.cassandra.port import CassandraNode, Schema

OURS = "medusa-shipper-"
KEPT = "medusa-shipper_kept-"
_OPERATORS = "medusa-"  # stock's, so that what takes snapshots for stock today need not change
_TRIES = 3
_MOST_SHOWN = 5


def tag_of(backup: str, *, keep: bool) -> str:
    """The snapshot's tag. Nodetool and directories take these characters; other ones of a name become ``_``."""
    return (KEPT if keep else OURS) + _as_tag(backup)


def is_ours(tag: str) -> bool:
    """Whether it was taken by us, and may be cleared. Nobody else's ever is."""
    return tag.startswith((OURS, KEPT))


def _as_tag(backup: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "_", backup)


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


def find(cassandra: CassandraNode, backup: str) -> tuple[str, Schema]:
    """The snapshot that the operator took for this backup, and the schema as it is now.

    NotFound when there is none; Refused when it holds other tables than the node has: then it is not of this schema, or
    not of everything. Whether a column was changed since, nobody can tell.
    """
    tag = _OPERATORS + _as_tag(backup)
    if is_ours(tag):
        raise Refused(
            f"The name {backup} cannot be used with a snapshot of yours: one called {tag} would be taken for our own.",
            hint="Choose a name that does not begin with 'shipper'.",
            operation="snapshot",
        )
    again = f"Take it anew: nodetool clearsnapshot -t {tag}; nodetool snapshot -t {tag}"
    if tag not in cassandra.snapshot_tags(tag):
        raise NotFound(
            f"There is no snapshot {tag} on this node.",
            hint=f"Take it first: nodetool snapshot -t {tag}",
            operation="snapshot",
        )
    schema = cassandra.schema()
    wrong = _differences(cassandra, tag, schema)
    if wrong:
        raise Refused(f"The snapshot {tag} is not of what this node holds: {wrong}.", hint=again, operation="snapshot")
    return tag, schema


def _differences(cassandra: CassandraNode, tag: str, schema: Schema) -> str:
    folders = {(folder.keyspace, *folder.table.rpartition("-")[::2]) for folder in cassandra.snapshot_tables(tag)}
    known = table_ids(schema.described).items()
    tables = {table_id: name for table_id, name in known if name.partition(".")[0] not in SYSTEM_KEYSPACES}
    taken = {table_id for _, _, table_id in folders}
    absent = sorted(f"{name} is not in it" for table_id, name in tables.items() if table_id not in taken)
    if not any((keyspace, name) == ("system", "local") for keyspace, name, _ in folders):
        absent.append("system.local is not in it")
    gone = sorted(
        f"{keyspace}.{name} in it was dropped since"
        for keyspace, name, table_id in folders
        if keyspace not in SYSTEM_KEYSPACES and table_id not in tables
    )
    return "; ".join([*absent, *gone][:_MOST_SHOWN])
