"""All that a cluster holds, as plain values that can be compared and shown by a test.

Rows become dictionaries of JSON's types, so that equality means what it says (NaN equals NaN, a
set has no order), and are sorted, for the order of partitions depends on nothing one cares for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from tests.harness.driver import Session

Plain: TypeAlias = "bool | int | str | list[Plain] | dict[str, Plain] | None"
Row: TypeAlias = dict[str, Plain]

_SYSTEM = ("system", "system_auth", "system_distributed", "system_schema", "system_traces")


def read_all(session: Session) -> dict[str, list[Row]]:
    """Every row of every table and view that is not Cassandra's own, by quoted name."""
    return {name: select(session, f"SELECT * FROM {name}") for name in tables(session)}  # noqa: S608 - our own names


def tables(session: Session) -> list[str]:
    """The quoted names of all tables and views that are not Cassandra's own."""
    queries = (
        "SELECT keyspace_name, table_name FROM system_schema.tables",
        "SELECT keyspace_name, view_name FROM system_schema.views",
    )
    rows = [tuple(row) for query in queries for row in session.execute(query)]
    return sorted(f"{quoted(keyspace)}.{quoted(name)}" for keyspace, name in rows if keyspace not in _SYSTEM)


def select(session: Session, query: str) -> list[Row]:
    """The sorted rows of a query."""
    result = session.execute(query)
    names = result.column_names
    rows = [{name: plain(value) for name, value in zip(names, row, strict=True)} for row in result]
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))


_INDEXES = "SELECT index_name FROM system_schema.indexes WHERE keyspace_name = 'shop'"
_INDEX_QUERIES = {
    "customers_by_name": (
        "SELECT id, name FROM shop.customers WHERE name = 'name1'",
        "SELECT id, name FROM shop.customers WHERE name = 'name7'",
        "SELECT id, name FROM shop.customers WHERE name = 'renamed2'",
    ),
    "documents_by_topic": (
        "SELECT k, topic FROM shop.documents WHERE topic = 'topic1'",
        "SELECT k, topic FROM shop.documents WHERE topic = 'topic7'",
        "SELECT k, topic FROM shop.documents WHERE topic = 'topic of batch 2'",
    ),
    "documents_by_embedding": (
        "SELECT k, embedding FROM shop.documents ORDER BY embedding ANN OF [3.0, 0.25, 0.5] LIMIT 5",
    ),
}


def query_indexes(session: Session) -> dict[str, list[Row]]:
    """What the indexes of our schema find: an index that is there may still find nothing."""
    indexes = {str(row[0]) for row in session.execute(_INDEXES)}
    queries = (query for name, each in _INDEX_QUERIES.items() if name in indexes for query in each)
    return {query: select(session, query) for query in queries}


def describe(session: Session) -> list[str]:
    """The statements that create everything that is not Cassandra's own, ids included."""
    rows = session.execute("DESCRIBE SCHEMA WITH INTERNALS")
    return [str(row.create_statement) for row in rows]


def quoted(name: str) -> str:
    """A name as CQL wants it written."""
    simple = name.isidentifier() and name.isascii() and name == name.lower()
    return name if simple else '"' + name.replace('"', '""') + '"'


def plain(value: object) -> Plain:
    """A value of the driver as JSON would have it."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(each) for key, each in value.items()}
    if isinstance(value, Iterable):
        values = [plain(each) for each in value]
        return values if isinstance(value, Sequence) else sorted(values, key=json.dumps)
    return repr(value) if isinstance(value, float) else str(value)
