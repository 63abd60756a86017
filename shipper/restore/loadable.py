"""Which tables of a node backup sstableloader may load, and whether the cluster can take them. Values in, verdicts out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from backupstore.core.names import SYSTEM_KEYSPACES, split_table
from backupstore.core.schema_statements import Name, SchemaText
from backupstore.core.shown import one_line
from backupstore.errors import NotFound, Refused
from shipper.restore.columns import column_problems
from shipper.snapshot import Filters

ROLES = "system_auth"
_SHOWN = 8


def check_filters(filters: Filters, schemas: Iterable[SchemaText]) -> None:
    """Refused, NotFound when something is named that cannot be loaded, or is in none of the backups."""
    every = tuple(schemas)
    for text in filters.tables:
        keyspace, table = split_table(text)
        views = [schema.views[keyspace, table] for schema in every if (keyspace, table) in schema.views]
        if views:
            raise _refused(f"--table {text} is a view.", f"It comes with its table: --table {keyspace}.{views[0].base}")
        if not keyspace or not table:
            raise _refused(f"--table {text}: a table is named keyspace.table.", "For example --table shop.orders.")
    named = {*filters.keyspaces, *(split_table(text)[0] for text in filters.tables)}
    if named & SYSTEM_KEYSPACES:
        raise _refused(
            f"The keyspace {min(named & SYSTEM_KEYSPACES)} is Cassandra's own and is not loaded.",
            "Roles and passwords are, with --overwrite-auth.",
        )
    there = {name for schema in every for name in schema.tables}
    missing = sorted(set(filters.keyspaces) - {keyspace for keyspace, _ in there})
    missing += sorted(set(filters.tables) - {".".join(name) for name in there})
    if missing:
        raise NotFound(
            f"None of the backups holds {one_line(', '.join(missing))}.",
            hint="Write names as they are on disk: --keyspace shop, --table shop.orders.",
            operation="load",
        )


def loadable(held: Iterable[Name], schema: SchemaText, filters: Filters, *, overwrite_auth: bool) -> tuple[Name, ...]:
    """Of (keyspace, folder) those to load: no views, and of a table that was created twice the one that lives.

    ``overwrite_auth``: the roles, too, unless something was named.
    """
    every = tuple(held)
    return tuple(
        (keyspace, folder)
        for keyspace, folder in every
        if _is_wanted(_name(keyspace, folder), filters, overwrite_auth=overwrite_auth)
        and _name(keyspace, folder) not in schema.views
        and not _is_past(keyspace, folder, every, schema)
    )


def misfits(chosen: Iterable[Name], backup: SchemaText, live: SchemaText) -> Iterator[str]:
    """Tables that the cluster lacks, or has otherwise: their rows would be lost, some of them without a word."""
    for keyspace, folder in chosen:
        name = _name(keyspace, folder)
        now = live.tables.get(name)
        for index in (index for index, each in live.indexes_of(*name).items() if each.is_attached):
            yield f"sstableloader cannot load into {'.'.join(name)} while it has the storage attached index {index}"
        if now is None:
            yield f"there is no table {'.'.join(name)} here"
        elif name not in backup.tables:
            yield f"the backup does not say which columns {'.'.join(name)} had"
        else:
            yield from (f"{'.'.join(name)}: {why}" for why in column_problems(backup.tables[name], now))


def check_fit(problems: Iterable[str]) -> None:
    """Refused with the problems, if there are any, each once."""
    found = list(dict.fromkeys(problems))
    if found:
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise _refused(
            f"The tables here cannot take the rows of the backup: {'; '.join(found[:_SHOWN])}{more}.",
            "restore-cluster --use-sstableloader makes the schema of the backup first, and such indexes when all is loaded. To"
            " keep what is here, create or alter the tables as describe.cql in the backup's meta has them, drop storage"
            " attached indexes until the load is over, or leave tables out with --keyspace, --table, and roles with --keep-auth.",
        )


def _name(keyspace: str, folder: str) -> Name:
    return keyspace, folder.partition("-")[0]


def _is_wanted(name: Name, filters: Filters, *, overwrite_auth: bool) -> bool:
    if name[0] == ROLES:
        return overwrite_auth and filters.is_whole
    named = filters.is_whole or name[0] in filters.keyspaces or ".".join(name) in filters.tables
    return named and name[0] not in SYSTEM_KEYSPACES


def _is_past(keyspace: str, folder: str, held: Iterable[Name], schema: SchemaText) -> bool:
    """Whether these are the files of a table that was dropped before one of its name was created."""
    table = schema.tables.get(_name(keyspace, folder))
    current = f"{folder.partition('-')[0]}-{table.id}" if table and table.id else folder
    return folder != current and (keyspace, current) in held


def _refused(message: str, hint: str) -> Refused:
    return Refused(one_line(message), hint=hint, operation="load")
