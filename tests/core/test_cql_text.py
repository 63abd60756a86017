"""CQL is read as Cassandra reads it: what is inside something ends nothing, and whatever comes is read or refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backupstore.core.cql_objects import functions_named, subject_of, table_columns, type_fields, types_named
from backupstore.core.cql_text import CqlStatement, Cursor, quoted, statements, tokens
from backupstore.errors import Corrupt
from tests.core.cql_samples import DESCRIBED

SCHEMA = tuple(statements(DESCRIBED))

# What a writer of CQL may put between two statements' ends, each with a ';' where there may be one.
pieces = st.sampled_from(
    [
        "'a;''b'",
        "$$ ; ' \" $$",
        '"N;""m"',
        "-- it's ; \"\n",
        "// ;\r",
        "/* ; ' */",
        "word",
        "12.5e3",
        "{",
        "}",
        ",",
        "\n",
    ]
)


def one(text: str) -> CqlStatement:
    (statement,) = statements(text)
    return statement


@given(st.text() | st.lists(pieces | st.sampled_from(list("'\"$-/*;\n"))).map("".join))
def test_the_tokens_of_any_text_are_that_text(text: str) -> None:
    found = list(tokens(text))
    assert "".join(token.text for token in found) == text
    assert all(token.text for token in found)
    assert all(token.closed for token in found[:-1])


@given(st.lists(st.lists(pieces, min_size=1).map(" ".join).map(lambda text: f"w {text} w"), max_size=5))
def test_only_a_semicolon_of_its_own_ends_a_statement(bodies: list[str]) -> None:
    text = " ; ".join(bodies)
    found = list(statements(text))
    assert [statement.text for statement in found] == bodies
    assert [statement.tokens for statement in statements(text + ";;\n;")] == [statement.tokens for statement in found]


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_quoted_name_is_read_as_it_was(keyspace: str, name: str) -> None:
    assert Cursor(one(quoted(keyspace, name))).qualified() == (keyspace, name)


@given(st.text())
def test_a_string_is_read_as_it_was(said: str) -> None:
    (token,) = tokens("'" + said.replace("'", "''") + "'")
    assert token.value == said
    assert token.name is None


@pytest.mark.parametrize("text", ["SELECT 'a", 'SELECT "a""', "SELECT $$ a $", "SELECT /* a;"])
def test_what_never_ends_is_no_statement(text: str) -> None:
    with pytest.raises(Corrupt, match="never ends"):
        list(statements("CREATE TYPE a.b (c int); " + text))


def test_a_statement_without_end_is_refused_before_it_fills_the_memory() -> None:
    with pytest.raises(Corrupt, match="too long"):
        list(statements("a " * 200_000))


def test_what_each_statement_of_a_schema_is_about() -> None:
    told = [(s.verb, s.kind, s.keyspace, s.name, s.arguments, s.table, s.custom) for s in map(subject_of, SCHEMA)]
    table = "Quoted;Table"
    assert told == [
        ("create", "keyspace", "shop", "shop", None, "", False),
        ("create", "type", "shop", "person", None, "", False),
        ("create", "type", "shop", "address", None, "", False),
        ("create", "function", "shop", "plus", ("int", "int"), "", False),
        ("create", "function", "shop", "where", ("frozen<person>",), "", False),
        ("create", "aggregate", "shop", "total", ("int",), "", False),
        ("create", "table", "shop", table, None, "", False),
        ("alter", "table", "shop", table, None, "", False),
        ("create", "index", "shop", "by_tags", None, table, True),
        ("create", "index", "shop", 'By"Close', None, table, False),
        ("create", "view", "shop", "by_owner", None, table, False),
        ("create", "table", "shop", "plain", None, "", False),
    ]


@pytest.mark.parametrize(
    ("text", "kind", "keyspace", "name", "table"),
    [
        ('create keyspace if not exists "Mixed" with x', "keyspace", "Mixed", "Mixed", ""),
        ("CREATE COLUMNFAMILY Shop.Old (k int PRIMARY KEY)", "table", "shop", "old", ""),
        ("CREATE OR REPLACE FUNCTION f (a int) RETURNS int", "function", "", "f", ""),
        ("CREATE INDEX ON shop.t (c)", "index", "shop", "", "t"),
        ("CREATE TRIGGER \"T\" ON shop.t USING 'c'", "trigger", "shop", "T", "t"),
        ('CREATE INDEX "on" ON t (c)', "index", "", "on", "t"),
        ("ALTER MATERIALIZED VIEW a.b WITH comment = ''", "view", "a", "b", ""),
        ("ALTER TABLE IF EXISTS a.b DROP c", "table", "a", "b", ""),
        ('CREATE TABLE "table"."CREATE TABLE x.y" (k int PRIMARY KEY)', "table", "table", "CREATE TABLE x.y", ""),
    ],
)
def test_names_as_they_may_be_spelled(text: str, kind: str, keyspace: str, name: str, table: str) -> None:
    subject = subject_of(one(text))
    assert (subject.kind, subject.keyspace, subject.name, subject.table) == (kind, keyspace, name, table)


@pytest.mark.parametrize(
    "text", ["DROP TABLE a.b", "CREATE ROLE x", "CREATE TABLE", "CREATE TABLE a.", "CREATE INDEX i (c)", "CREATE", "x"]
)
def test_what_no_schema_says_is_refused(text: str) -> None:
    with pytest.raises(Corrupt):
        subject_of(one(text))


def test_columns_of_a_table_and_fields_of_a_type() -> None:
    columns = table_columns(SCHEMA[6])
    assert columns.types == {
        "Id": "int",
        "at": "timestamp",
        'It\'s "so"; --': "text",
        "gone": "int",
        "owner": "frozen<person>",
        "tags": "map<text,frozen<list<text>>>",
        "close": "vector<float,3>",
    }
    assert (columns.partition_key, columns.clustering, columns.static) == (("Id",), ("at",), frozenset({"owner"}))
    assert type_fields(SCHEMA[1]) == (("name", "text"), ("home", "frozen<address>"))


@pytest.mark.parametrize(
    ("columns", "key"),
    [
        ("(a int PRIMARY KEY)", (("a",), ())),
        ("(a int, b int, PRIMARY KEY (a, b))", (("a",), ("b",))),
        ("(a int, b int, c int, PRIMARY KEY ((a, b), c))", (("a", "b"), ("c",))),
        ('("PRIMARY" int, key text, PRIMARY KEY ("PRIMARY"))', (("PRIMARY",), ())),
    ],
)
def test_the_key_of_a_table(columns: str, key: tuple[tuple[str, ...], tuple[str, ...]]) -> None:
    found = table_columns(one(f"CREATE TABLE s.t {columns} WITH x = 1"))
    assert (found.partition_key, found.clustering) == key


@pytest.mark.parametrize(
    "spelled",
    ["frozen<address>", "frozen< Shop.address >", 'FROZEN<"address">', '"shop".frozen<"shop" . "address">'],
)
def test_a_type_is_the_same_however_it_is_spelled(spelled: str) -> None:
    assert table_columns(one(f"CREATE TABLE shop.t (k int PRIMARY KEY, a {spelled})")).types["a"] == "frozen<address>"


def test_a_masked_column_has_its_type() -> None:
    masked = one("CREATE TABLE s.t (k int PRIMARY KEY, a varchar MASKED WITH mask_inner(1, null), b int static)")
    assert table_columns(masked).types == {"k": "int", "a": "text", "b": "int"}
    assert table_columns(masked).static == {"b"}


def test_who_needs_which_type_and_function() -> None:
    known = ["person", "address", "name", "owner", "home"]
    needs = {subject_of(statement).name: types_named(statement, known) for statement in SCHEMA[:7]}
    # A column that is called as a type is none.
    assert {name: sorted(types) for name, types in needs.items() if types} == {
        "person": ["address"],
        "where": ["address", "person"],
        "Quoted;Table": ["person"],
    }
    assert functions_named(SCHEMA[5]) == {"plus"}
    final = 'CREATE AGGREGATE s.a (int) SFUNC f STYPE tuple<int, frozen<address>> FINALFUNC "Fin" INITCOND (0, null)'
    assert functions_named(one(final)) == {"f", "Fin"}
    assert types_named(one(final), known) == {"address"}
