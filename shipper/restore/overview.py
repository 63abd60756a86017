"""What a restore will change on this node, said before it touches anything. Values in, lines out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backupstore.core.names import SYSTEM_KEYSPACES
from backupstore.core.schema_statements import Name
from backupstore.core.shown import counted, printable, some_of
from backupstore.core.sizes import human_size
from shipper.restore.selection import Held
from shipper.restore.tables import TablesPlan

_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Present:
    """The node now. ``ids``: of users' tables and views, None when nobody tells; ``truncated``: ids, since the backup."""

    ids: Mapping[Name, str] | None
    truncated: frozenset[str]


def of_node(backup: str, held: Sequence[Held], now: Present) -> tuple[str, ...]:
    """Of a whole node."""
    users = [each for each in held if each.keyspace not in SYSTEM_KEYSPACES]
    ids = now.ids or {}
    anew = [each.shown for each in users if each.id and ids.get(each.name, each.id) != each.id]
    gone = [each.shown for each in users if now.ids is not None and each.name not in ids]
    emptied = [each.shown for each in users if each.id in now.truncated]
    unknown = "which tables were dropped or created again since, nobody tells: Cassandra does not answer"
    return (
        _replaces(f"all data of this node, {counted(len(held), 'table')},", backup, held),
        *_named("dropped since, and back after it", gone),
        *_named("dropped and created again since; the tables of the backup come back instead", anew),
        *_named("truncated since; the rows come back", emptied),
        *((unknown,) if now.ids is None else ()),
        "no table is dropped by a statement, so auto_snapshot leaves nothing; your own snapshots stay",
    )


def of_part(backup: str, held: Sequence[Held], part: TablesPlan) -> tuple[str, ...]:
    """Of single tables."""
    moved = {(move.keyspace, move.folder) for move in part.moves}
    mine = [each for each in held if (each.keyspace, each.folder) in moved]
    undone = "; should the restore be taken back, it is dropped, and auto_snapshot may leave an empty snapshot of it"
    return (
        _replaces(f"{len(mine)} tables and views of this node", backup, mine),
        *_named("replaced, all others stay as they are", [each.shown for each in mine]),
        *part.changed,
        *(f"{each.shown} is created, on all nodes of the ring{undone}" for each in part.creations if each.id),
        *part.told,
    )


def _replaces(what: str, backup: str, held: Sequence[Held]) -> str:
    files, size = sum(each.files for each in held), sum(each.size for each in held)
    return f"{what} become what they were at {backup}: {counted(files, 'file')}, {human_size(size)}; what was written since is gone"


def _named(what: str, names: Sequence[str]) -> tuple[str, ...]:
    if not names:
        return ()
    return (f"{what}: {some_of(map(printable, sorted(names)), _SHOWN)}",)
