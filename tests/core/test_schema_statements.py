"""Texts of schemas, as servers and drivers write them, become what is known of their tables."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backupstore.core.schema_statements import SchemaText, read_schema
from backupstore.errors import Corrupt

OPTIONS = "AND comment = 'it''s; WITH ID = 0' AND caching = {'keys': 'ALL', 'rows_per_partition': 'NONE'}"
SERVER = f"""
CREATE KEYSPACE shop WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': '1'}} AND durable_writes = true;

CREATE TYPE shop.address (
    street text,
    zip int
);

CREATE FUNCTION shop.plus(a int, b int)
    CALLED ON NULL INPUT
    RETURNS int
    LANGUAGE java
    AS $$return a + b; /* CREATE TABLE shop.never (k int PRIMARY KEY); */$$;

CREATE TABLE shop.odd (
    a int,
    "C x" int,
    s int static,
    e frozen<map<text, frozen<address>>>,
    g vector<float, 3>,
    z int,
    d int,
    PRIMARY KEY ((a), "C x")
) WITH ID = bf5df660-e742-11f1-9ff6-bd8c6a9f74a7
    AND CLUSTERING ORDER BY ("C x" DESC)
    {OPTIONS};
ALTER TABLE shop.odd DROP z USING TIMESTAMP 1795440929831001;
ALTER TABLE shop.odd ADD z int;
ALTER TABLE shop.odd DROP d USING TIMESTAMP 1795440929356000;

CREATE INDEX odd_x ON shop.odd ("C x");

CREATE MATERIALIZED VIEW shop.by_z AS
    SELECT *
    FROM shop.odd
    WHERE z IS NOT NULL AND a IS NOT NULL AND "C x" IS NOT NULL
    PRIMARY KEY (z, a, "C x")
 WITH ID = bf1d43e0-e742-11f1-9ff6-bd8c6a9f74a7
    AND CLUSTERING ORDER BY (a ASC, "C x" DESC)
    {OPTIONS};
"""  # noqa: S608 - a view
ODD = ("shop", "odd")


def test_a_table_as_the_server_tells_of_it() -> None:
    table = read_schema(SERVER).tables[ODD]
    assert table.id == "bf5df660e74211f19ff6bd8c6a9f74a7"
    assert table.columns.types == {
        "a": "int",
        "C x": "int",
        "s": "int",
        "e": "frozen<map<text,frozen<address>>>",
        "g": "vector<float,3>",
        "z": "int",
    }
    assert (table.columns.partition_key, table.columns.clustering) == (("a",), ("C x",))
    assert (set(table.columns.static), set(table.descending), set(table.types)) == ({"s"}, {"C x"}, {"address"})
    assert table.dropped == {"z": 1795440929831001, "d": 1795440929356000}


def test_its_statements_are_those_of_the_text_in_their_order() -> None:
    texts = read_schema(SERVER).tables[ODD].texts
    assert [text.partition("\n")[0].partition(" USING")[0] for text in texts] == [
        "CREATE TABLE shop.odd (",
        "ALTER TABLE shop.odd DROP z",
        "ALTER TABLE shop.odd ADD z int",
        "ALTER TABLE shop.odd DROP d",
    ]
    assert all(text in SERVER for text in texts)


def test_views_and_indexes_belong_to_their_table() -> None:
    schema = read_schema(SERVER)
    assert {name: view.id for name, view in schema.views_of(*ODD).items()} == {
        "by_z": "bf1d43e0e74211f19ff6bd8c6a9f74a7"
    }
    assert {name: index.definition for name, index in schema.indexes_of(*ODD).items()} == {"odd_x": ("(", "C x", ")")}
    assert schema.views_of("shop", "od") == {}
    assert list(schema.tables) == [ODD]  # what a body says creates nothing


def test_a_view_is_the_same_whatever_its_options() -> None:
    before = read_schema(SERVER).views["shop", "by_z"]
    after = read_schema(SERVER.replace(OPTIONS, "AND comment = 'new'")).views["shop", "by_z"]
    assert after.definition == before.definition
    for old, new in (("(z, a, ", "(z, "), ("a ASC", "a DESC"), ("SELECT *", "SELECT z")):
        assert read_schema(SERVER.replace(old, new)).views["shop", "by_z"].definition != before.definition


def test_the_drivers_text_says_the_same_but_for_ids_and_drops() -> None:
    driver = SERVER.replace("ID = bf5df660-e742-11f1-9ff6-bd8c6a9f74a7\n    AND ", "")
    driver = driver.replace("    d int,\n", "")
    driver = "\n".join(line for line in driver.split("\n") if not line.startswith("ALTER"))
    table, server = read_schema(driver).tables[ODD], read_schema(SERVER).tables[ODD]
    assert (table.id, table.dropped) == (None, {})
    assert (table.columns, table.descending) == (server.columns, server.descending)


def test_parts_and_both() -> None:
    auth = read_schema("CREATE TABLE system_auth.roles (role text PRIMARY KEY);")
    both = read_schema(SERVER).joined(auth)
    assert both.only(("system_auth",)) == auth
    assert both.only(("shop",)) == read_schema(SERVER)
    assert both.only(()) == SchemaText()


@pytest.mark.parametrize(
    "text",
    [
        "CREATE TABLE shop.t (k int PRIMARY KEY",
        "CREATE TABLE shop.t (k int PRIMARY KEY) WITH comment = 'never closed",
        "DROP TABLE shop.t",
        "ALTER TABLE shop.t DROP",
    ],
)
def test_what_cannot_be_understood_is_not_left_out(text: str) -> None:
    with pytest.raises(Corrupt):
        read_schema("CREATE TABLE shop.t (k int PRIMARY KEY, v int); " + text)


@given(st.text(alphabet="CREATE TABLEshop.t(k int,)PRIMARYKEY'\";$-/*<>\n", max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(Corrupt):
        assert isinstance(read_schema(text), SchemaText)
