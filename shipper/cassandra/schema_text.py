"""The schema in two forms: the driver's export, which stock parses, and the server's own statements, with ids.

``DESCRIBE SCHEMA WITH INTERNALS`` keeps table ids, dropped columns and masks and leaves system keyspaces out; the
export has system keyspaces and no ids. A dropped column comes as ``CREATE …; ALTER … DROP …`` in one row, and stays one
text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shipper.cassandra.port import Schema, Statement
from shipper.cassandra.system_tables import Row

_LEFT_OUT = frozenset({"system_traces"})
_KINDS = {"materialized_view": "view"}
_SIGNED = frozenset({"function", "aggregate"})


def exported(keyspaces: Mapping[str, Row]) -> str:
    """What stock writes to ``schema.cql``: keyspace by keyspace, a blank line between."""
    return "\n\n".join(keyspaces[name].export_as_string() for name in keyspaces if name not in _LEFT_OUT)


def described(export: str, rows: Iterable[Row]) -> Schema:
    """Both forms in one value. Names are as on disk, without quotes; those of functions keep their signature."""
    return Schema(export, tuple(_statement(row) for row in rows))


def _statement(row: Row) -> Statement:
    name = row.name if row.type in _SIGNED else _unquoted(row.name)
    kind = _KINDS.get(row.type, row.type)
    return Statement(_unquoted(row.keyspace_name), kind, name, row.create_statement)


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
