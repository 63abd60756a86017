"""Which tables of a backup are meant by ``--keyspace`` and ``--table``. Values in, values out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from backupstore.core.names import split_table
from backupstore.core.schema_statements import Name, SchemaText
from backupstore.core.shown import printable, some_of
from backupstore.errors import NotFound, Refused
from shipper.snapshot import Filters

OF_THE_NODE = frozenset({"system", "system_schema", "system_views", "system_virtual_schema"})
"""Who the node is and which tables there are: restored with the whole node or not at all."""
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Held:
    """What the manifest has of one table: its folder, ``name-<id>``, its files, and the hidden folders of indexes."""

    keyspace: str
    folder: str
    files: int = 0
    size: int = 0
    indexes: frozenset[str] = frozenset()

    @property
    def name(self) -> Name:
        """Keyspace and table, without the id."""
        return self.keyspace, self.folder.partition("-")[0]

    @property
    def shown(self) -> str:
        """For people."""
        return ".".join(self.name)

    @property
    def id(self) -> str:
        """32 hex digits; empty for folders of very old clusters."""
        return self.folder.partition("-")[2]


def choose(held: Iterable[Held], schema: SchemaText, filters: Filters) -> tuple[Held, ...]:
    """The tables that are named, with their views, sorted. Refused, NotFound with what there is."""
    _check_names(filters)
    there = _by_name(held, schema)
    wanted = {name for name in there if name[0] in filters.keyspaces or ".".join(name) in filters.tables}
    _check_found(there, filters)
    for keyspace, name in sorted(wanted):
        view = schema.views.get((keyspace, name))
        if view is not None and (keyspace, view.base) not in wanted:
            raise Refused(
                f"{keyspace}.{name} is a view: restored without its table, the two would differ for good.",
                hint=f"Restore the table, its views come with it: --table {keyspace}.{view.base}",
                operation="restore",
            )
    wanted |= {(of, view) for of, table in wanted for view in schema.views_of(of, table) if (of, view) in there}
    return tuple(there[name] for name in sorted(wanted))


def _check_names(filters: Filters) -> None:
    wrong = [table for table in filters.tables if not all(split_table(table))]
    if wrong:
        raise Refused(
            f"--table {wrong[0]}: a table is named keyspace.table.",
            hint="For example --table shop.orders; names as they are on disk, without quotes.",
            operation="restore",
        )
    named = {*filters.keyspaces, *(split_table(table)[0] for table in filters.tables)}
    if named & OF_THE_NODE:
        raise Refused(
            f"The keyspace {min(named & OF_THE_NODE)} says who the node is and which tables it has: a part of it"
            " alone would make it somebody else.",
            hint="Restore the whole node, without --keyspace and --table.",
            operation="restore",
        )


def _by_name(held: Iterable[Held], schema: SchemaText) -> dict[Name, Held]:
    """One folder per name. Of a table that was dropped and created again before the backup, the one that was alive."""
    found: dict[Name, list[Held]] = {}
    for each in held:
        found.setdefault(each.name, []).append(each)
    chosen = {}
    for name, folders in found.items():
        known = schema.tables.get(name) or schema.views.get(name)
        alive = [each for each in folders if known is not None and each.id == known.id] or folders
        if len(alive) > 1:
            raise Refused(
                f"The backup holds {'.'.join(name)} twice, and nothing in it says which of them was alive:"
                f" {', '.join(each.folder for each in alive)}.",
                hint="Fetch its files with 'download', and load the right ones with sstableloader.",
                operation="restore",
            )
        chosen[name] = alive[0]
    return chosen


def _check_found(there: Mapping[Name, Held], filters: Filters) -> None:
    keyspaces = {keyspace for keyspace, _ in there}
    missing = [name for name in filters.keyspaces if name not in keyspaces]
    if missing:
        raise _not_there(f"keyspace {missing[0]}", keyspaces - OF_THE_NODE)
    for table in filters.tables:
        keyspace, name = split_table(table)
        if keyspace not in keyspaces:
            raise _not_there(f"keyspace {keyspace}", keyspaces - OF_THE_NODE)
        if (keyspace, name) not in there:
            raise _not_there(f"table {table}", {".".join(each) for each in there if each[0] == keyspace})


def _not_there(what: str, there: Iterable[str]) -> NotFound:
    names = sorted(map(printable, there))
    return NotFound(
        f"The backup holds no {what}.",
        hint=f"It holds: {some_of(names, _SHOWN)}. Write names as they are on disk, without quotes.",
        operation="restore",
        key=what,
    )
