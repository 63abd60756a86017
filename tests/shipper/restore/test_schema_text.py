"""What schema texts say, those of a real Cassandra among them, and what a hostile one cannot do."""

from __future__ import annotations

import pytest

from shipper.restore.schema_text import differences, gc_grace, statements, table_ids

DESCRIBED = """CREATE KEYSPACE shop WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': '3'};

CREATE TYPE shop.address (
    street text,
    zip int
);

CREATE FUNCTION shop.plus(a int, b int)
    CALLED ON NULL INPUT
    RETURNS int
    LANGUAGE java
    AS $$return a + b;$$;

CREATE AGGREGATE shop.total(int)
    SFUNC plus
    STYPE int
    INITCOND 0;

CREATE TABLE shop."QuotedTable" (
    "Id" int PRIMARY KEY,
    v text
) WITH ID = 0a1b2c3d-0000-11ee-8000-0123456789AB
    AND gc_grace_seconds = 60
    AND comment = 'CREATE TABLE x.y; gc_grace_seconds = 5';
ALTER TABLE shop."QuotedTable" DROP gone USING TIMESTAMP 1700000000000000;

CREATE CUSTOM INDEX by_v ON shop."QuotedTable" (v) USING 'StorageAttachedIndex';

CREATE MATERIALIZED VIEW shop.by_v AS
    SELECT * FROM shop."QuotedTable"
    WHERE v IS NOT NULL AND "Id" IS NOT NULL
    PRIMARY KEY (v, "Id")
 WITH ID = 0a1b2c3d-0000-11ee-8000-0123456789ac
    AND gc_grace_seconds = 864000;
"""


def test_statements_are_found_by_name() -> None:
    assert list(statements(DESCRIBED)) == [
        "KEYSPACE shop",
        "TYPE shop.address",
        "FUNCTION shop.plus",
        "AGGREGATE shop.total",
        'TABLE shop."QuotedTable"',
        "CUSTOM INDEX by_v",
        "MATERIALIZED VIEW shop.by_v",
    ]
    assert statements("") == {}
    assert "DROP gone" in statements(DESCRIBED)['TABLE shop."QuotedTable"']


def test_ids_and_promises_of_tables_and_views() -> None:
    assert table_ids(DESCRIBED) == {
        "0a1b2c3d000011ee80000123456789ab": 'shop."QuotedTable"',
        "0a1b2c3d000011ee80000123456789ac": "shop.by_v",
    }
    assert gc_grace(DESCRIBED) == {'shop."QuotedTable"': 60, "shop.by_v": 864000}


def test_equal_texts_do_not_differ() -> None:
    assert differences(DESCRIBED, DESCRIBED) == ()
    shuffled = "\n\n".join(reversed(DESCRIBED.strip().split("\n\n")))
    assert differences(DESCRIBED, shuffled) == ()


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ("zip int", "zip text", "TYPE shop.address was changed"),
        ("    v text\n", "    v text,\n    w int\n", 'TABLE shop."QuotedTable" was changed'),
        ("a + b", "a - b", "FUNCTION shop.plus was changed"),
        (" DROP gone ", " DROP lost ", 'TABLE shop."QuotedTable" was changed'),
        ("VIEW shop.by_v", "VIEW shop.by_w", "MATERIALIZED VIEW shop.by_v was dropped"),
        ("INDEX by_v", "INDEX by_w", "CUSTOM INDEX by_w was created"),
        ("'dc1': '3'", "'dc1': '1'", "KEYSPACE shop was changed"),
    ],
)
def test_each_change_is_named(before: str, after: str, line: str) -> None:
    assert line in differences(DESCRIBED, DESCRIBED.replace(before, after))


def test_cassandras_own_keyspaces_do_not_count() -> None:
    """The driver's text has them, and an upgrade changes them."""
    own = """CREATE KEYSPACE system WITH replication = {'class': 'LocalStrategy'};

CREATE TABLE system.local (key text PRIMARY KEY) WITH gc_grace_seconds = 1;

CREATE INDEX i ON system_auth.roles (salted_hash);

CREATE TABLE system_distributed.repair_history (k int PRIMARY KEY) WITH gc_grace_seconds = 864000;
"""
    assert differences(own, "") == ()
    assert differences(DESCRIBED, f"{own}\n{DESCRIBED}") == ()
    assert gc_grace(own) == {}
    assert differences("", "CREATE TABLE systems.t (k int PRIMARY KEY);") == ("TABLE systems.t was created",)


@pytest.mark.parametrize(
    "text",
    [
        "CREATE " * 300_000,
        "\n" * 3_000_000,
        "\n\nCREATE " * 300_000,
        "CREATE TABLE" + " " * 3_000_000,
        "CREATE TABLE a.b (" * 200_000,
        "gc_grace_seconds = " * 200_000,
        f"CREATE TABLE a.b WITH gc_grace_seconds = {'9' * 3_000_000};",
        "CREATE MATERIALIZED VIEW" * 200_000,
        " ON" * 1_000_000,
    ],
    ids=range(9),
)
@pytest.mark.timeout(60)  # a pattern that backtracks would take hours
def test_no_text_takes_for_ever(text: str) -> None:
    assert differences(text, text) == ()
    assert all(differences(text, ""))
    assert all(len(table_id) == 32 for table_id in table_ids(text))
    assert all(grace >= 0 for grace in gc_grace(text).values())


def test_names_are_shown_as_far_as_they_can_be_printed() -> None:
    (line,) = differences("CREATE TABLE shop.\x1b[2Jx\u202e (k int);", "")
    assert line == "TABLE shop.?[2Jx? was dropped"
