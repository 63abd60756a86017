"""A schema worth its name: each table is here because backups have tripped over its like.

| Table | Why |
|---|---|
| `shop.customers` | a user-defined type, collections, a secondary index (a dot directory in the snapshot) |
| `shop.orders` | a materialized view, descending clustering, range tombstones |
| `shop.readings` | a static column |
| `shop.documents` | a vector column, an SAI index on text, an ANN index where one is possible |
| `shop."QuotedTable"` | a table and a column that only quotes keep as they are |
| `shop.hits` | counters, whose values cannot be written twice |
| `shop.empty_shelf` | never holds a row |
| `shop.reborn` | dropped and created again: two table ids, two directories |
| `"MixedCase"."Tab"` | a quoted keyspace, another replication strategy |

and a function and an aggregate, which live in the schema only. What goes into the tables is in
`loading`, what comes out in `reading`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.harness import driver
from tests.harness.config import ClusterConfig
from tests.harness.driver import Session

# Base tables and views, as `reading.read_all` names them.
TABLES = (
    '"MixedCase"."Tab"',
    'shop."QuotedTable"',
    "shop.customers",
    "shop.documents",
    "shop.empty_shelf",
    "shop.hits",
    "shop.orders",
    "shop.orders_by_kind",
    "shop.readings",
    "shop.reborn",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Schema:
    """How the schema shall be: for how many replicas, with which of the newer features.

    An ANN index on the vector column is refused by a node with several data directories;
    vectors and SAI are unknown before Cassandra 5.0. The documents are there in any case.
    """

    replication: int = 1
    vectors: bool = True
    ann_index: bool = False

    @classmethod
    def fitting(cls, config: ClusterConfig, replication: int | None = None) -> Schema:
        """All that a cluster of this kind can take; replicated to up to three nodes by default."""
        modern = config.release >= (5, 0)
        smallest = config.nodes // config.datacenters
        return cls(
            replication=replication or max(1, min(3, smallest)),
            vectors=modern,
            ann_index=modern and config.data_dirs == 1,
        )


def create(session: Session, schema: Schema) -> None:
    """Create everything; `reborn` lives its first life on the way."""
    *before, view = statements(schema)
    driver.define(session, before)
    # Building a view, nodes ask over and over whether the schema has settled: let it settle first.
    driver.define(session, [view])


def statements(schema: Schema) -> Iterator[str]:
    """All statements of the schema, in the order to run them."""
    yield (
        "CREATE KEYSPACE shop WITH replication = "
        f"{{'class': 'NetworkTopologyStrategy', 'replication_factor': {schema.replication}}}"
    )
    yield (
        'CREATE KEYSPACE "MixedCase" WITH replication = '
        f"{{'class': 'SimpleStrategy', 'replication_factor': {schema.replication}}}"
    )
    yield from _FUNCTIONS
    yield from _TABLES
    yield from _documents(schema)
    yield "CREATE TABLE shop.reborn (k int PRIMARY KEY, first_life text)"
    yield "DROP TABLE shop.reborn"
    yield "CREATE TABLE shop.reborn (k int PRIMARY KEY, second_life text)"
    yield _VIEW


_FUNCTIONS = (
    "CREATE TYPE shop.address (street text, zip int)",
    (
        "CREATE FUNCTION shop.plus (a int, b int) CALLED ON NULL INPUT RETURNS int LANGUAGE java"
        " AS 'return (a == null ? 0 : a) + (b == null ? 0 : b);'"
    ),
    "CREATE AGGREGATE shop.total (int) SFUNC plus STYPE int INITCOND 0",
)
_VIEW = (
    "CREATE MATERIALIZED VIEW shop.orders_by_kind AS SELECT * FROM shop.orders"
    " WHERE kind IS NOT NULL AND day IS NOT NULL AND at IS NOT NULL PRIMARY KEY (kind, day, at)"
)
_TABLES = (
    (
        "CREATE TABLE shop.customers (id uuid PRIMARY KEY, name text, home frozen<address>,"
        " tags set<text>, phones map<text, text>, notes list<text>)"
    ),
    "CREATE INDEX customers_by_name ON shop.customers (name)",
    (
        "CREATE TABLE shop.orders (day text, at timeuuid, kind text, body text, amount decimal,"
        " PRIMARY KEY (day, at)) WITH CLUSTERING ORDER BY (at DESC)"
    ),
    (
        "CREATE TABLE shop.readings (sensor text, at timestamp, place text static, value double,"
        " raw blob, PRIMARY KEY (sensor, at))"
    ),
    'CREATE TABLE shop."QuotedTable" ("Id" int PRIMARY KEY, v text)',
    "CREATE TABLE shop.hits (page text PRIMARY KEY, n counter)",
    "CREATE TABLE shop.empty_shelf (k int PRIMARY KEY, v text)",
    'CREATE TABLE "MixedCase"."Tab" (k int, "C" int, v text, PRIMARY KEY (k, "C"))',
)


def _documents(schema: Schema) -> Iterator[str]:
    embedding = ", embedding vector<float, 3>" if schema.vectors else ", embedding frozen<list<float>>"
    yield f"CREATE TABLE shop.documents (k int PRIMARY KEY, topic text{embedding})"
    if schema.vectors:
        yield "CREATE CUSTOM INDEX documents_by_topic ON shop.documents (topic) USING 'StorageAttachedIndex'"
    if schema.ann_index:
        yield "CREATE CUSTOM INDEX documents_by_embedding ON shop.documents (embedding) USING 'StorageAttachedIndex'"
