"""What schema texts say, those of a real Cassandra among them, and what a hostile one cannot do."""

from __future__ import annotations

from contextlib import suppress

import pytest

from backupstore.core.schema_changes import changes, gc_grace, table_ids
from backupstore.errors import Corrupt

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


def test_each_object_has_a_name() -> None:
    assert changes(DESCRIBED, "") == (
        "AGGREGATE shop.total(int) was dropped",
        "FUNCTION shop.plus(int, int) was dropped",
        "INDEX shop.by_v was dropped",
        "KEYSPACE shop was dropped",
        "TABLE shop.QuotedTable was dropped",
        "TYPE shop.address was dropped",
        "VIEW shop.by_v was dropped",
    )


def test_a_statement_ends_where_it_ends() -> None:
    """Not at a ';' of a text or a body, nor at an empty line."""
    plus = "return a + b;"
    body = DESCRIBED.replace(plus, f"int c = a;\n\nCREATE TABLE x.y;\n\n{plus}").replace(
        "comment = '", "comment = ';\n\nCREATE "
    )
    assert changes(DESCRIBED, body) == (
        "FUNCTION shop.plus(int, int) was changed",
        "TABLE shop.QuotedTable was changed",
    )
    assert table_ids(body) == table_ids(DESCRIBED)


def test_ids_and_promises_of_tables_and_views() -> None:
    assert table_ids(DESCRIBED) == {
        "0a1b2c3d000011ee80000123456789ab": "shop.QuotedTable",
        "0a1b2c3d000011ee80000123456789ac": "shop.by_v",
    }
    assert gc_grace(DESCRIBED) == {"shop.QuotedTable": 60, "shop.by_v": 864000}


def test_equal_texts_do_not_differ() -> None:
    assert changes(DESCRIBED, DESCRIBED) == ()
    shuffled = "\n\n".join(reversed(DESCRIBED.strip().split("\n\n")))
    assert changes(DESCRIBED, shuffled) == ()


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ("zip int", "zip text", "TYPE shop.address was changed"),
        ("    v text\n", "    v text,\n    w int\n", "TABLE shop.QuotedTable was changed"),
        ("a + b", "a - b", "FUNCTION shop.plus(int, int) was changed"),
        (" DROP gone ", " DROP lost ", "TABLE shop.QuotedTable was changed"),
        ("VIEW shop.by_v", "VIEW shop.by_w", "VIEW shop.by_v was dropped"),
        ("INDEX by_v", "INDEX by_w", "INDEX shop.by_w was created"),
        ("'dc1': '3'", "'dc1': '1'", "KEYSPACE shop was changed"),
    ],
)
def test_each_change_is_named(before: str, after: str, line: str) -> None:
    assert line in changes(DESCRIBED, DESCRIBED.replace(before, after))


def test_cassandras_own_keyspaces_do_not_count() -> None:
    """The driver's text has them, and an upgrade changes them."""
    own = """CREATE KEYSPACE system WITH replication = {'class': 'LocalStrategy'};

CREATE TABLE system.local (key text PRIMARY KEY) WITH gc_grace_seconds = 1;

CREATE INDEX i ON system_auth.roles (salted_hash);

CREATE TABLE system_distributed.repair_history (k int PRIMARY KEY) WITH gc_grace_seconds = 864000;
"""
    assert changes(own, "") == ()
    assert changes(DESCRIBED, f"{own}\n{DESCRIBED}") == ()
    assert gc_grace(own) == {}
    assert changes("", "CREATE TABLE systems.t (k int PRIMARY KEY);") == ("TABLE systems.t was created",)


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
@pytest.mark.timeout(60)  # what looks at everything again and again would take hours
def test_no_text_takes_for_ever(text: str) -> None:
    assert changes(text, text) == ()
    assert all(changes(text, ""))
    with suppress(Corrupt):  # a statement that no schema has
        assert all(len(table_id) == 32 for table_id in table_ids(text))
        assert all(grace >= 0 for grace in gc_grace(text).values())


def test_names_are_shown_as_far_as_they_can_be_printed() -> None:
    (line,) = changes("CREATE TABLE shop.\x1b[2Jx\u202e (k int);", "")
    assert line.isprintable()
    (line,) = changes('CREATE TABLE shop."\x1b[2Jx\u202e" (k int);', "")
    assert line == "TABLE shop.?[2Jx? was dropped"


def test_a_text_that_cannot_be_read_is_a_change() -> None:
    torn = DESCRIBED[: DESCRIBED.index("gc_grace_seconds = 5")]
    (line,) = changes(torn, DESCRIBED)
    assert line.startswith("SCHEMA cannot be compared: ")
    assert "comment" not in line
    with pytest.raises(Corrupt):
        gc_grace(torn)


def test_what_nobody_knows_is_named_by_how_it_begins() -> None:
    assert changes("", "CREATE WONDER shop.w OF (k int);") == ("CREATE WONDER shop . w OF ( k int ) was created",)
