"""Which tables are meant, where their files go, and why they may not: from texts to verdicts."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from backupstore.core.schema_statements import read_schema
from backupstore.errors import NotFound, Refused
from shipper.restore.selection import Held, choose
from shipper.restore.tables import Creation, Live, Move, Rebuild, TablesPlan, plan_tables
from shipper.snapshot import Filters

ORDERS, KINDS, USERS, BLOBS = (letter * 32 for letter in "abcd")


def uuid(table_id: str) -> str:
    return "-".join((table_id[:8], table_id[8:12], table_id[12:16], table_id[16:20], table_id[20:]))


KEYSPACE = "CREATE KEYSPACE shop WITH replication = {'class': 'SimpleStrategy', 'replication_factor': '1'};"
TYPES = "CREATE TYPE shop.street (name text, number int); CREATE TYPE shop.home (street frozen<street>, zip int);"
ORDERS_TEXT = f"CREATE TABLE shop.orders (day text, at int, kind text, PRIMARY KEY (day, at)) WITH ID = {uuid(ORDERS)};"
VIEW = (
    "CREATE MATERIALIZED VIEW shop.kinds AS SELECT * FROM shop.orders WHERE kind IS NOT NULL AND day IS NOT NULL"  # noqa: S608 - a view
    f" AND at IS NOT NULL PRIMARY KEY (kind, day, at) WITH ID = {uuid(KINDS)} AND CLUSTERING ORDER BY (day ASC, at DESC);"
)
USERS_TEXT = (
    f"CREATE TABLE shop.users (id int PRIMARY KEY, at frozen<home>, mail text) WITH ID = {uuid(USERS)};"
    "CREATE INDEX by_mail ON shop.users (mail);"
)
BLOBS_TEXT = (
    f'CREATE TABLE shop."Blobs" ("Id" int PRIMARY KEY, topic text) WITH ID = {uuid(BLOBS)};'
    "CREATE CUSTOM INDEX by_topic ON shop.\"Blobs\" (topic) USING 'StorageAttachedIndex';"
)
SCHEMA = KEYSPACE + TYPES + ORDERS_TEXT + VIEW + USERS_TEXT + BLOBS_TEXT
IDS = {("shop", "orders"): ORDERS, ("shop", "kinds"): KINDS, ("shop", "users"): USERS, ("shop", "Blobs"): BLOBS}
HELD = (
    Held("shop", f"orders-{ORDERS}", 8, 800),
    Held("shop", f"kinds-{KINDS}", 8, 800),
    Held("shop", f"users-{USERS}", 8, 800, frozenset({".by_mail"})),
    Held("shop", f"Blobs-{BLOBS}", 8, 800),
    Held("system", f"local-{'e' * 32}", 8, 800),
    Held("system_auth", f"roles-{'f' * 32}", 8, 800),
)


def names(*tables: str, keyspaces: tuple[str, ...] = ()) -> list[str]:
    return [each.shown for each in choose(HELD, read_schema(SCHEMA), Filters(keyspaces, tables))]


def planned(  # noqa: PLR0913 - each case says what is different
    table: str,
    *,
    live: str = SCHEMA,
    ids: Mapping[tuple[str, str], str] = IDS,
    has_ids: bool = True,
    held: tuple[Held, ...] = HELD,
    truncated: frozenset[tuple[str, str]] = frozenset(),
    backup: str = SCHEMA,
) -> TablesPlan:
    before = read_schema(backup)
    chosen = choose(held, before, Filters(tables=(table,)))
    return plan_tables(chosen, before, Live(read_schema(live), ids, truncated), has_ids=has_ids)


def without(*names: str) -> dict[tuple[str, str], str]:
    return {name: table_id for name, table_id in IDS.items() if name[1] not in names}


class TestChoice:
    def test_a_table_brings_its_views(self) -> None:
        assert names("shop.orders") == ["shop.kinds", "shop.orders"]

    def test_a_keyspace_takes_precedence_and_all_is_joined(self) -> None:
        assert names("shop.orders", keyspaces=("shop",)) == ["shop.Blobs", "shop.kinds", "shop.orders", "shop.users"]
        assert names("shop.Blobs", "shop.users") == ["shop.Blobs", "shop.users"]
        assert names("shop.users", keyspaces=("system_auth",)) == ["shop.users", "system_auth.roles"]

    def test_a_view_alone(self) -> None:
        with pytest.raises(Refused) as caught:
            names("shop.kinds")
        assert caught.value.hint.endswith("--table shop.orders")
        assert names("shop.kinds", "shop.orders") == ["shop.kinds", "shop.orders"]

    @pytest.mark.parametrize(
        ("table", "there"),
        [("shop.blobs", "shop.Blobs, shop.kinds"), ("shop.", ""), ("orders", ""), ("shob.orders", "shop")],
    )
    def test_a_name_that_is_not_there(self, table: str, there: str) -> None:
        with pytest.raises((NotFound, Refused)) as caught:
            names(table)
        assert there in caught.value.hint

    @pytest.mark.parametrize("keyspace", ["system", "system_schema", "system_views"])
    def test_who_the_node_is_stays(self, keyspace: str) -> None:
        for options in ({"keyspaces": (keyspace,)}, {}):
            with pytest.raises(Refused, match=f"keyspace {keyspace} says who the node is"):
                names(*(() if options else (f"{keyspace}.local",)), **options)

    def test_of_two_lives_of_a_table_the_one_that_was_alive(self) -> None:
        first = Held("shop", f"orders-{'9' * 32}", 3, 300)
        chosen = choose((first, *HELD), read_schema(SCHEMA), Filters(tables=("shop.orders",)))
        assert {each.id for each in chosen} == {ORDERS, KINDS}
        with pytest.raises(Refused, match="twice"):
            choose((first, *HELD), read_schema(SCHEMA.replace(uuid(ORDERS), uuid("8" * 32))), Filters(("shop",)))


class TestPlaces:
    def test_a_table_as_it_was(self) -> None:
        part = planned("shop.orders")
        orders, kinds = f"orders-{ORDERS}", f"kinds-{KINDS}"
        assert part == TablesPlan((Move("shop", kinds, kinds, 8), Move("shop", orders, orders, 8)))

    def test_created_again_since(self) -> None:
        part = planned("shop.orders", ids={**IDS, ("shop", "orders"): "1" * 32, ("shop", "kinds"): "2" * 32})
        assert [move.unit for move in part.moves] == [f"shop/kinds-{'2' * 32}", f"shop/orders-{'1' * 32}"]
        assert part.changed == ("shop.orders was dropped and created again since: its files go to the new id",)
        assert part.creations == ()

    def test_truncated_since(self) -> None:
        part = planned("shop.users", truncated=frozenset({("shop", "users"), ("shop", "orders")}))
        assert part.changed == ("shop.users was truncated since: its rows come back",)

    def test_dropped_since(self) -> None:
        live = KEYSPACE + USERS_TEXT.replace("frozen<home>", "int") + BLOBS_TEXT
        part = planned("shop.orders", live=live, ids=without("orders", "kinds"))
        assert part.creations == (
            Creation("TABLE", "shop", "orders", ORDERS, (ORDERS_TEXT.rstrip(";"),)),
            Creation("MATERIALIZED VIEW", "shop", "kinds", KINDS, (VIEW.rstrip(";"),)),
        )
        assert [each.drop for each in part.creations] == [
            'DROP TABLE IF EXISTS "shop"."orders"',
            'DROP MATERIALIZED VIEW IF EXISTS "shop"."kinds"',
        ]
        assert [move.target for move in part.moves] == [f"kinds-{KINDS}", f"orders-{ORDERS}"]

    def test_dropped_with_all_of_its_keyspace(self) -> None:
        part = planned("shop.users", live="", ids={})
        assert [each.shown for each in part.creations] == [
            "KEYSPACE shop",
            "TYPE shop.street",
            "TYPE shop.home",
            "TABLE shop.users",
        ]
        assert part.creations[-1].texts[1] == "CREATE INDEX by_mail ON shop.users (mail)"
        assert part.creations[0].drop == 'DROP KEYSPACE IF EXISTS "shop"'

    @pytest.mark.parametrize("has_ids", [True, False])
    def test_dropped_and_nobody_says_how_it_was(self, has_ids: bool) -> None:  # noqa: FBT001 - the case
        backup = SCHEMA if not has_ids else SCHEMA.replace(uuid(USERS), uuid("7" * 32))
        with pytest.raises(Refused, match=f"id {USERS}"):
            planned("shop.users", ids=without("users"), has_ids=has_ids, backup=backup)

    def test_what_is_only_on_the_node_is_said_and_left(self) -> None:
        part = planned("shop.users", live=SCHEMA + "CREATE TABLE shop.later (k int PRIMARY KEY);")
        assert part.told == ("shop.later is not in the backup and stays as it is",)

    def test_types_made_of_others_come_behind_them(self) -> None:
        assert read_schema(SCHEMA).types_of("shop", "users") == ("street", "home")


class TestViewsAndIndexes:
    def test_a_view_that_was_dropped_stays_so(self) -> None:
        part = planned("shop.orders", live=SCHEMA.replace(VIEW, ""), ids=without("kinds"))
        assert [move.target for move in part.moves] == [f"orders-{ORDERS}"]
        assert part.told == ("the view shop.kinds was dropped since and stays so",)

    @pytest.mark.parametrize(
        ("old", "new", "why"),
        [
            ("PRIMARY KEY (kind, day, at)", "PRIMARY KEY (kind, at, day)", "its view kinds was changed since"),
            ("at DESC", "at ASC", "its view kinds was changed since"),
            ("VIEW shop.kinds", "VIEW shop.other", "its view other was created since, and would be stale"),
        ],
    )
    def test_views_that_would_be_wrong(self, old: str, new: str, why: str) -> None:
        with pytest.raises(Refused, match=f"shop.orders: {why}"):
            planned("shop.orders", live=SCHEMA.replace(VIEW, VIEW.replace(old, new)))

    def test_a_view_that_is_a_table_now(self) -> None:
        live = SCHEMA.replace(VIEW, "CREATE TABLE shop.kinds (k int PRIMARY KEY);")
        with pytest.raises(Refused, match="its view kinds is a table now"):
            planned("shop.orders", live=live)

    @pytest.mark.parametrize("gone", [(), ("orders", "kinds")])
    def test_a_view_without_files(self, gone: tuple[str, ...]) -> None:
        held = tuple(each for each in HELD if not each.folder.startswith("kinds"))
        live = SCHEMA.replace(VIEW, "").replace(ORDERS_TEXT, "") if gone else SCHEMA
        with pytest.raises(Refused, match="no files of its view kinds"):
            planned("shop.orders", held=held, live=live, ids=without(*gone))

    def test_an_index_without_files_is_built_anew(self) -> None:
        held = tuple(Held(each.keyspace, each.folder, each.files) for each in HELD)
        part = planned("shop.users", held=held)
        assert part.rebuilds == (Rebuild("shop", "users", "by_mail"),)
        assert part.told == ("the index by_mail of shop.users has no files in the backup: it is built anew",)
        assert planned("shop.Blobs", held=held).rebuilds == ()  # its files lie among those of the table

    def test_an_index_of_a_table_without_rows_needs_no_files(self) -> None:
        held = tuple(Held(each.keyspace, each.folder) for each in HELD)
        assert planned("shop.users", held=held).rebuilds == ()

    def test_an_index_that_was_created_since(self) -> None:
        part = planned("shop.orders", live=SCHEMA + "CREATE INDEX by_kind ON shop.orders (kind);")
        assert part.rebuilds == (Rebuild("shop", "orders", "by_kind"),)

    def test_the_files_of_an_index_that_was_dropped_are_left_out(self) -> None:
        part = planned("shop.users", live=SCHEMA.replace("CREATE INDEX by_mail ON shop.users (mail);", ""))
        users = f"users-{USERS}"
        assert part.left_out == ((Move("shop", users, users, 8), ".by_mail"),)
        assert part.told == ("the index by_mail of shop.users was dropped since and stays so",)

    @pytest.mark.parametrize("new", ["shop.users (id)", "shop.users (keys(mail))", "shop.orders (kind)"])
    def test_an_index_on_something_else(self, new: str) -> None:
        with pytest.raises(Refused, match=r"shop\.users: its index by_mail was changed since"):
            planned("shop.users", live=SCHEMA.replace("shop.users (mail)", new))


class TestTypes:
    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("street (name text, number int)", "street (name text)"),
            ("street (name text, number int)", "street (number int, name text)"),
            ("street (name text, number int)", "street (name text, number bigint)"),
            ("zip int", "zip text"),
        ],
    )
    def test_changed_since(self, old: str, new: str) -> None:
        with pytest.raises(Refused, match=r"its type (street|home) was changed since"):
            planned("shop.users", live=SCHEMA.replace(old, new))

    def test_changed_since_a_table_was_dropped(self) -> None:
        live = KEYSPACE + TYPES.replace("zip int", "zip text")
        with pytest.raises(Refused, match="its type home was changed since"):
            planned("shop.users", live=live, ids={})

    def test_grown_since(self) -> None:
        assert planned("shop.users", live=SCHEMA.replace("zip int", "zip int, country text")).changed == ()

    def test_of_no_column_of_it(self) -> None:
        assert planned("shop.orders", live=SCHEMA.replace("zip int", "zip text")).changed == ()
