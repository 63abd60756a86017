"""A plan makes the schema of a backup out of any other, leaves everything else alone, and goes on after a kill."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backupstore.core.cql_edit import if_not_exists, one, with_replication, without_id
from backupstore.core.schema_plan import Asked, SchemaPlan, plan_schema, select
from backupstore.core.schema_statements import SchemaText, read_schema
from backupstore.errors import Corrupt, NotFound, Refused
from tests.core.cql_samples import DESCRIBED
from tests.core.cql_server import CqlServer

NODES = {"dc1": 3}
KEYSPACE = "CREATE KEYSPACE {} WITH replication = {{'class': 'NetworkTopologyStrategy', 'dc1': '3'}};\n"


TYPE = "CREATE TYPE {}.{} (f {});"
FUNCTION = "CREATE FUNCTION {}.{}(s int, v {}) CALLED ON NULL INPUT RETURNS int LANGUAGE java AS $${}$$;"
AGGREGATE = "CREATE AGGREGATE {}.agg_{}({}) SFUNC {} STYPE int;"
TABLE = (
    "CREATE TABLE {}.{} (k int PRIMARY KEY, v {}, old int)"
    " WITH ID = 0a0a0a0a-0000-1000-8000-0b0b0b0b0b0b AND comment = ';';"
)
VIEW = "CREATE MATERIALIZED VIEW {0}.{1} AS SELECT k FROM {0}.{2} WHERE k IS NOT NULL PRIMARY KEY (k);"
sometimes = st.booleans()


@st.composite
def routines(draw: st.DrawFn, keyspace: str, kinds: list[str]) -> str:
    """Functions of any argument, and aggregates of them."""
    text = ""
    for name in draw(st.sets(st.sampled_from(["f1", "f2"])).map(sorted)):
        kind = draw(st.sampled_from(["int", "text", *kinds]))
        text += FUNCTION.format(keyspace, name, kind, draw(st.sampled_from(["return s;", "return null;"])))
        text += AGGREGATE.format(keyspace, name, kind, name) if draw(sometimes) else ""
    return text


@st.composite
def tables(draw: st.DrawFn, keyspace: str, kinds: list[str]) -> str:
    """Tables with columns that were dropped or added, with indexes and views."""
    text, indexes = "", draw(st.permutations(["i1", "i2"]))
    for name in draw(st.sets(st.sampled_from(["x", "y"])).map(sorted)):
        text += TABLE.format(keyspace, name, draw(st.sampled_from(["int", "text", *map("frozen<{}>".format, kinds)])))
        changes = draw(st.integers(0, 2))
        text += f"ALTER TABLE {keyspace}.{name} DROP old USING TIMESTAMP 5;" if changes else ""
        text += f"ALTER TABLE {keyspace}.{name} ADD old int;" if changes > 1 else ""
        text += f"CREATE INDEX {indexes.pop()} ON {keyspace}.{name} (v);" if draw(sometimes) else ""
        text += VIEW.format(keyspace, f"v_{name}", name) if draw(sometimes) else ""
    return text


@st.composite
def schemas(draw: st.DrawFn) -> str:
    """Any schema of two keyspaces whose types, functions, aggregates, tables, indexes and views need each other."""
    text = ""
    for keyspace in draw(st.sets(st.sampled_from(["a", "b"]), min_size=1).map(sorted)):
        text += KEYSPACE.format(keyspace)
        kinds: list[str] = []
        for name in draw(st.lists(st.sampled_from(["t1", "t2", "t3"]), unique=True)):
            text += TYPE.format(
                keyspace, name, draw(st.sampled_from(["int", "text", *map("frozen<{}>".format, kinds)]))
            )
            kinds.append(name)
        text += draw(routines(keyspace, kinds)) + draw(tables(keyspace, kinds))
    return text


def things(schema: SchemaText, *, but: SchemaText | None = None) -> dict[str, object]:
    """What there is, and what of it matters; ``but``: without what that has, too."""
    found: dict[str, object] = {}
    for table, each in schema.tables.items():
        found[f"table {table}"] = (each.columns, each.dropped)
    for kind, each_type in schema.types.items():
        found[f"type {kind}"] = each_type.fields
    for signature, routine in schema.routines.items():
        found[f"routine {signature}"] = routine.definition
    for index, each_index in schema.indexes.items():
        found[f"index {index}"] = (each_index.table, each_index.definition)
    for view, each_view in schema.views.items():
        found[f"view {view}"] = each_view.base
    found |= dict.fromkeys(f"keyspace {name}" for name in schema.keyspaces)
    gone = things(but) if but else {}
    return {name: value for name, value in found.items() if name not in gone}


asked = st.sampled_from(
    [
        Asked(),
        Asked(keyspaces=frozenset({"a"})),
        Asked(tables=frozenset({("a", "x")})),
        Asked(keyspaces=frozenset({"b"}), tables=frozenset({("a", "y")})),
    ]
)


def planned(backup: str, live: str, what: Asked) -> tuple[SchemaPlan, SchemaText] | None:
    before = read_schema(backup)
    try:
        return plan_schema(before, CqlServer.having(live).schema, NODES, what), select(before, what)
    except (NotFound, Refused):
        return None


@settings(max_examples=150)
@given(schemas(), schemas(), asked)
def test_afterwards_the_schema_is_that_of_the_backup_and_all_else_as_it_was(
    backup: str, live: str, what: Asked
) -> None:
    found = planned(backup, live, what)
    if found is None:
        return
    plan, wanted = found
    server = CqlServer.having(live)
    before = server.schema
    for step in plan.steps:
        server.change(step.text)
    after = server.schema
    assert {name: value for name, value in things(after).items() if name in things(wanted)} == things(wanted)
    left = things(before, but=wanted)
    went = left.keys() - things(after).keys()
    # Only what belongs to a table that goes may go with it, and that is told.
    assert all(name.startswith(("view", "index")) for name in went)
    assert len(went) == len([line for line in plan.told if "not in the backup and goes with" in line])
    assert things(after, but=wanted) == {name: value for name, value in left.items() if name not in went}
    assert not any("ID = 0a" in step.text for step in plan.steps)


@settings(max_examples=50)
@given(schemas())
def test_onto_nothing_and_onto_itself_nothing_is_refused(backup: str) -> None:
    schema = read_schema(backup)
    assert not plan_schema(schema, read_schema(""), NODES, Asked()).dropped
    assert len(plan_schema(schema, schema, NODES, Asked()).dropped) == len(schema.tables)


@settings(max_examples=25)
@given(schemas(), schemas())
def test_a_plan_that_was_killed_goes_on_from_the_step_that_may_be_done(backup: str, live: str) -> None:
    found = planned(backup, live, Asked())
    if found is None:
        return
    plan, wanted = found
    for killed in range(len(plan.steps)):
        server = CqlServer.having(live)
        for step in plan.steps[: killed + 1]:
            server.change(step.text)
        for step in plan.steps[killed:]:
            table = server.schema.tables.get((step.keyspace, step.name))
            done = step.verb == "alter" and table and (step.column in table.columns.types) == step.adds
            if not done:
                server.change(step.text)
        assert {name: each for name, each in things(server.schema).items() if name in things(wanted)} == things(wanted)


def plan(backup: str, live: str = "", what: Asked | None = None, nodes: dict[str, int] | None = None) -> SchemaPlan:
    return plan_schema(read_schema(backup), read_schema(live), nodes or NODES, what or Asked())


def test_onto_nothing_everything_is_created_in_an_order_that_works() -> None:
    made = plan(DESCRIBED)
    assert [(step.verb, step.kind, step.name) for step in made.steps] == [
        ("create", "keyspace", "shop"),
        ("create", "type", "address"),
        ("create", "type", "person"),
        ("create", "function", "plus(int, int)"),
        ("create", "function", "where(frozen<person>)"),
        ("create", "aggregate", "total(int)"),
        ("create", "table", "Quoted;Table"),
        ("alter", "table", "Quoted;Table"),
        ("create", "table", "plain"),
        ("create", "index", 'By"Close'),
        ("create", "view", "by_owner"),
    ]
    assert made.told == ()
    assert [step.column for step in made.steps if step.verb == "alter"] == ["gone"]
    server = CqlServer()
    for step in made.steps:
        server.change(step.text)
    # Rows are loaded here, which no table takes that has a storage attached index.
    assert [step.name for step in made.after] == ["by_tags"]
    for step in made.after:
        server.change(step.text)
    assert things(server.schema) == things(read_schema(DESCRIBED))


def test_onto_itself_tables_and_views_are_made_anew_and_types_and_functions_stay() -> None:
    made = plan(DESCRIBED, DESCRIBED)
    assert [(step.verb, step.kind) for step in made.steps] == [
        ("drop", "view"),
        ("drop", "table"),
        ("drop", "table"),
        ("create", "table"),
        ("alter", "table"),
        ("create", "table"),
        ("create", "index"),
        ("create", "view"),
    ]
    assert made.steps[1].text == 'DROP TABLE IF EXISTS "shop"."Quoted;Table"'
    assert made.dropped == ("shop.Quoted;Table", "shop.plain")
    assert [line for line in made.told if "auto_snapshot" in line]


SYSTEM = (
    "CREATE KEYSPACE system WITH replication = {'class': 'LocalStrategy'}; CREATE TABLE system.local (k int PRIMARY KEY);"
    " VIRTUAL KEYSPACE system_views; CREATE INDEX i ON system_auth.roles (x);"
)


def test_the_keyspaces_of_cassandra_are_never_touched() -> None:
    assert plan(SYSTEM, SYSTEM).steps == ()
    with pytest.raises(NotFound):
        plan(SYSTEM, what=Asked(keyspaces=frozenset({"system"})))


def test_a_table_alone_brings_its_types_indexes_and_views() -> None:
    made = plan(DESCRIBED, what=Asked(tables=frozenset({("shop", "Quoted;Table")})))
    kinds = [(step.kind, step.name) for step in made.steps]
    assert ("type", "person") in kinds
    assert ("type", "address") in kinds
    assert ("view", "by_owner") in kinds
    assert not {"plain", "plus(int, int)"} & {name for _, name in kinds}
    with pytest.raises(Refused, match="by_owner is a view"):
        plan(DESCRIBED, what=Asked(tables=frozenset({("shop", "by_owner")})))
    with pytest.raises(NotFound, match=r"shop\.nothing"):
        plan(DESCRIBED, what=Asked(tables=frozenset({("shop", "nothing")})))


BASE = KEYSPACE.format("s") + "CREATE TYPE s.t1 (f int); CREATE TABLE s.x (k int PRIMARY KEY, v frozen<t1>);"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ("CREATE TABLE s.other (k int PRIMARY KEY, v frozen<t1>);", r"table s\.other stays and uses a type"),
        ("CREATE TYPE s.t2 (g frozen<t1>);", r"type s\.t2 stays and uses a type"),
        ("CREATE FUNCTION s.f(a t1) RETURNS int LANGUAGE java AS 'x';", r"function f\(t1\) needs what is made anew"),
    ],
)
def test_a_type_that_differs_and_is_used_by_what_stays_is_refused(more: str, why: str) -> None:
    live = BASE.replace("(f int)", "(f int, g int)") + more
    with pytest.raises(Refused, match=why) as caught:
        plan(BASE, live)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("live", "why"),
    [
        ("CREATE TABLE s.y (k int PRIMARY KEY); CREATE MATERIALIZED VIEW s.x AS SELECT k FROM s.y;", "is a view here"),
        ("CREATE TABLE s.x (k int PRIMARY KEY); CREATE TABLE s.v (k int PRIMARY KEY);", "is a table here"),
        ("CREATE TABLE s.y (k int PRIMARY KEY, v int); CREATE INDEX i ON s.y (v);", "an index s.i is here on y"),
    ],
)
def test_a_name_that_is_taken_by_something_else_is_refused(live: str, why: str) -> None:
    backup = BASE + "CREATE INDEX i ON s.x (v);" + VIEW.format("s", "v", "x")
    with pytest.raises(Refused, match=why):
        plan(backup, KEYSPACE.format("s") + live)


def test_all_that_stands_against_a_plan_is_told_at_once() -> None:
    backup = "".join(KEYSPACE.format(name).replace("dc1", f"old_{name}") for name in ("a", "b"))
    with pytest.raises(Refused) as caught:
        plan(backup)
    assert "old_a" in caught.value.message
    assert "old_b" in caught.value.message
    assert "--datacenter old_a=NAME" in caught.value.hint


@pytest.mark.parametrize(
    ("options", "given", "nodes", "placed", "told"),
    [
        ({"dc1": "3"}, {}, {"dc1": 3}, None, 0),
        ({"dc1": "3"}, {"dc1": "new"}, {"new": 3}, {"new": "3"}, 1),
        ({"dc1": "3"}, {"dc1": "new"}, {"new": 1}, {"new": "3"}, 2),
        ({"dc1": "3", "dc2": "2"}, {"dc2": ""}, {"dc1": 3}, {"dc1": "3"}, 1),
        ({"dc1": "3", "dc2": "2"}, {"dc1": "dc2", "dc2": "dc1"}, {"dc1": 2, "dc2": 3}, {"dc2": "3", "dc1": "2"}, 2),
        ({"dc1": "3/1"}, {"dc1": "it's"}, {"it's": 3}, {"it's": "3/1"}, 1),
    ],
)
def test_datacenters_are_called_as_the_target_calls_them(
    options: dict[str, str], given: dict[str, str], nodes: dict[str, int], placed: dict[str, str] | None, told: int
) -> None:
    spelled = ", ".join(f"'{dc}': '{factor}'" for dc, factor in options.items())
    backup = f"CREATE KEYSPACE s WITH replication = {{'class': 'NetworkTopologyStrategy', {spelled}}}  AND durable_writes = false"
    made = plan(backup, what=Asked(datacenters=given), nodes=nodes)
    (step,) = made.steps
    assert len(made.told) == told
    assert step.text.endswith("  AND durable_writes = false")
    wanted = ", ".join(f"'{dc}': '{factor}'" for dc, factor in (placed or options).items()).replace("it's", "it''s")
    assert f"{{'class': 'NetworkTopologyStrategy', {wanted}}}" in step.text


def test_datacenters_that_become_one_or_none_are_refused() -> None:
    two = KEYSPACE.format("s").replace("'dc1': '3'", "'dc1': '3', 'dc2': '3'")
    for said, why in (({"dc2": "dc1"}, "become one"), ({"dc1": "", "dc2": ""}, "is left")):
        with pytest.raises(Refused, match=why):
            plan(two, what=Asked(datacenters=said))


def test_a_keyspace_that_is_there_keeps_its_replication() -> None:
    made = plan(KEYSPACE.format("s").replace("dc1", "unknown"), KEYSPACE.format("s"))
    assert made.steps == ()
    assert made.told == ("the keyspace s is there already and keeps its own replication",)


@pytest.mark.parametrize(
    "text",
    [
        "CREATE TYPE s.t1 (f frozen<t2>); CREATE TYPE s.t2 (f frozen<t1>);",
        "CREATE TABLE elsewhere.t (k int PRIMARY KEY);",
    ],
)
def test_what_no_server_has_is_corrupt(text: str) -> None:
    with pytest.raises(Corrupt):
        plan(KEYSPACE.format("s") + text)


def test_triggers_are_told_and_not_made() -> None:
    made = plan(BASE + "CREATE TRIGGER tr ON s.x USING 'com.example.T';")
    assert [line for line in made.told if "triggers of s.x" in line]
    assert not [step for step in made.steps if step.kind == "trigger"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("CREATE TABLE a.b (k int) WITH ID = {id} AND c = 'ID = 5'", "CREATE TABLE a.b (k int) WITH c = 'ID = 5'"),
        ("CREATE TABLE a.b (k int) WITH c = 1 AND id={id}", "CREATE TABLE a.b (k int) WITH c = 1"),
        ("CREATE TABLE a.b (k int) WITH ID = {id}", "CREATE TABLE a.b (k int)"),
        ("CREATE TABLE a.b (id int)", "CREATE TABLE a.b (id int)"),
    ],
)
def test_an_id_is_taken_out_and_all_else_stays(before: str, after: str) -> None:
    assert without_id(before.format(id="0a1b2c3d-0000-11ee-8000-0123456789ab")) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('CREATE  TABLE "a;".b (k int)', 'CREATE  TABLE IF NOT EXISTS "a;".b (k int)'),
        ("CREATE CUSTOM INDEX i ON t (c)", "CREATE CUSTOM INDEX IF NOT EXISTS i ON t (c)"),
        ("CREATE TABLE IF NOT EXISTS a.b (k int)", "CREATE TABLE IF NOT EXISTS a.b (k int)"),
        ("CREATE OR REPLACE FUNCTION a.f(k int) x", "CREATE OR REPLACE FUNCTION a.f(k int) x"),
    ],
)
def test_what_is_created_is_created_once(before: str, after: str) -> None:
    assert if_not_exists(before) == after
    assert one(after).text == after


@pytest.mark.parametrize(
    ("index", "attached"),
    [
        ("CREATE CUSTOM INDEX i ON s.x (v) USING 'StorageAttachedIndex'", True),
        (
            "CREATE CUSTOM INDEX i ON s.x (v) USING 'org.apache.cassandra.index.sai.StorageAttachedIndex' WITH a = 1",
            True,
        ),
        ("CREATE INDEX i ON s.x (v) USING 'sai'", True),
        ("CREATE INDEX i ON s.x (v)", False),
        ("CREATE CUSTOM INDEX i ON s.x (v) USING 'org.apache.cassandra.index.sasi.SASIIndex'", False),
        ('CREATE INDEX i ON s.x ("sai")', False),
    ],
)
def test_storage_attached_indexes_are_made_when_the_rows_are_there(index: str, attached: bool) -> None:  # noqa: FBT001
    made = plan(BASE + index + ";")
    assert [step.kind for step in made.after] == ["index"] * attached
    assert [step.kind for step in made.steps].count("index") == (not attached)


def test_a_keyspace_without_replication_stays_as_it_is() -> None:
    assert with_replication("CREATE KEYSPACE a WITH x = 1", {"class": "y"}) == "CREATE KEYSPACE a WITH x = 1"
