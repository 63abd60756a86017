"""What sstableloader may load of a backup, and what it may not, because the rows would be lost or the node another."""

from __future__ import annotations

import pytest

from backupstore.core.schema_statements import read_schema
from backupstore.errors import NotFound, Refused
from shipper.restore.loadable import check_filters, check_fit, loadable, misfits
from shipper.snapshot import Filters

ID = "0a" * 16
OLD = "0b" * 16
UUID = f"{'0a' * 4}-{'0a' * 2}-{'0a' * 2}-{'0a' * 2}-{'0a' * 6}"
BACKUP = """
CREATE KEYSPACE shop WITH replication = {'class': 'SimpleStrategy', 'replication_factor': '1'};
CREATE TABLE shop.orders (k int PRIMARY KEY, v text, gone int) WITH ID = <ID>;
ALTER TABLE shop.orders DROP gone USING TIMESTAMP 5;
CREATE TABLE shop.customers (k int PRIMARY KEY);
CREATE MATERIALIZED VIEW shop.by_v AS SELECT k FROM shop.orders WHERE k IS NOT NULL PRIMARY KEY (k);
""".replace("<ID>", UUID)
SCHEMA = read_schema(BACKUP)
HELD = (
    ("shop", f"orders-{ID}"),
    ("shop", f"orders-{OLD}"),
    ("shop", f"by_v-{ID}"),
    ("shop", "customers"),
    ("other", f"t-{ID}"),
    ("system", f"local-{ID}"),
    ("system_schema", f"tables-{ID}"),
    ("system_auth", f"roles-{ID}"),
    ("system_distributed", f"view_build_status-{ID}"),
)


def chosen(filters: Filters | None = None, *, overwrite_auth: bool = False) -> list[str]:
    found = loadable(HELD, SCHEMA, filters or Filters(), overwrite_auth=overwrite_auth)
    return [f"{keyspace}.{folder.partition('-')[0]}" for keyspace, folder in found]


def test_users_tables_are_loaded_and_neither_views_nor_what_says_who_a_node_is() -> None:
    assert chosen() == ["shop.orders", "shop.customers", "other.t"]
    assert chosen(overwrite_auth=True) == ["shop.orders", "shop.customers", "other.t", "system_auth.roles"]
    assert chosen(Filters(keyspaces=("other",)), overwrite_auth=True) == ["other.t"]
    assert chosen(Filters(keyspaces=("other",), tables=("shop.orders",))) == ["shop.orders", "other.t"]


def test_of_a_table_that_was_created_anew_only_the_files_of_the_new_one() -> None:
    folders = [folder for _, folder in loadable(HELD, SCHEMA, Filters(), overwrite_auth=False)]
    assert f"orders-{ID}" in folders
    assert f"orders-{OLD}" not in folders
    # Where nobody knows which is the new one, or only one has files, nothing is left out.
    assert loadable(HELD[1:2], SCHEMA, Filters(), overwrite_auth=False) == HELD[1:2]


@pytest.mark.parametrize(
    ("filters", "why"),
    [
        (Filters(tables=("shop.by_v",)), "is a view"),
        (Filters(tables=("shop",)), "named keyspace.table"),
        (Filters(tables=("system_auth.roles",)), "Cassandra's own"),
        (Filters(keyspaces=("system",)), "Cassandra's own"),
    ],
)
def test_what_cannot_be_loaded_is_refused(filters: Filters, why: str) -> None:
    with pytest.raises(Refused, match=why) as caught:
        check_filters(filters, [SCHEMA])
    assert caught.value.hint


def test_what_one_of_the_backups_holds_is_enough() -> None:
    named = Filters(tables=("shop.orders",), keyspaces=("shop",))
    check_filters(named, [SCHEMA, read_schema("")])
    with pytest.raises(NotFound, match=r"shop, shop\.orders"):
        check_filters(named, [read_schema("")])


@pytest.mark.parametrize(
    ("live", "why"),
    [
        (BACKUP, ""),
        (BACKUP.replace(", gone int", ", gone int, more int"), ""),
        ("", r"no table shop\.orders here"),
        (BACKUP + "CREATE CUSTOM INDEX sai ON shop.orders (v) USING 'StorageAttachedIndex';", "attached index sai"),
        (BACKUP + "CREATE INDEX i ON shop.orders (v);", ""),
        (BACKUP.replace("v text", "v int"), r"shop\.orders: the column v is of type int, and was of text"),
        (BACKUP.replace("v text", "w text"), r"shop\.orders: the column v text is missing"),
        (BACKUP.replace("k int PRIMARY KEY, v", "k bigint PRIMARY KEY, v"), r"shop\.orders: its key is"),
        (BACKUP.replace(", gone int", "").replace("ALTER TABLE shop.orders DROP gone USING TIMESTAMP 5;", ""), "gone"),
    ],
)
def test_a_table_that_cannot_take_the_rows_is_refused(live: str, why: str) -> None:
    found = list(misfits(HELD[:1], SCHEMA, read_schema(live)))
    assert len(found) == bool(why)
    if not why:
        check_fit(found)
        return
    with pytest.raises(Refused, match=why):
        check_fit(found * 3)


def test_a_table_that_the_backup_tells_nothing_of_is_not_taken_for_right() -> None:
    live = read_schema("CREATE TABLE other.t (k int PRIMARY KEY)")
    assert list(misfits(HELD[4:5], SCHEMA, live)) == ["the backup does not say which columns other.t had"]
