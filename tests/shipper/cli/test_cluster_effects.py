"""What a cluster restore does to tables, found out from two schemas, and how the plan says it."""

from __future__ import annotations

from uuid import UUID

import pytest

from shipper.cli.cluster_effects import Replaced, replaced, replaced_text
from shipper.snapshot import Filters

WHOLE, ORDERS = Filters((), ()), Filters((), ("shop.orders",))


def table(name: str, columns: str = "id int PRIMARY KEY, name text", made: int = 1) -> str:
    """``made``: its id; 0 for none, as the driver writes it."""
    return f"CREATE TABLE shop.{name} ({columns}){f' WITH ID = {UUID(int=made)}' if made else ''};"


def text(found: Replaced, filters: Filters = WHOLE) -> str:
    return "\n".join(replaced_text(found, whole=filters.is_whole))


def test_tables_of_one_side_only_and_tables_made_anew() -> None:
    before = table("gone") + table("orders") + table("same")
    found = replaced(before, table("new") + table("orders", made=2) + table("same"), WHOLE)
    assert found == Replaced(back=("shop.gone",), new=("shop.new",), anew=("shop.orders",))
    assert "Only on the target, and GONE afterwards: 1 table, shop.new." in text(found)
    assert "those of before take their place: 1 table, shop.orders." in text(found)


def test_on_another_cluster_nothing_was_dropped_that_comes_back() -> None:
    found = replaced(table("orders"), table("new"), WHOLE)
    said = "\n".join(replaced_text(found, whole=True, elsewhere=True))
    assert "There afterwards, and not on the target now: 1 table, shop.orders." in said
    assert "GONE afterwards: 1 table, shop.new." in said
    assert "no more" not in said
    assert "auto_snapshot left" not in said


@pytest.mark.parametrize("filters", [WHOLE, ORDERS])
def test_that_nothing_has_changed_is_said(filters: Filters) -> None:
    found = replaced(table("orders"), table("orders") + table("new") * (not filters.is_whole), filters)
    assert "The target has the same tables as the backup" in text(found, filters)


def test_of_a_part_what_nobody_named_is_left_as_it_is() -> None:
    of_keyspace = Filters(("shop",), ())
    found = replaced(table("orders"), table("new") + table("other"), of_keyspace)
    said = text(found, of_keyspace)
    assert "Not in the backup, and left as they are: 2 tables, shop.new, shop.other." in said
    assert "1 table, shop.orders, created as they were; should all go back, they are dropped again." in said
    assert "GONE" not in said


def test_columns_count_only_where_the_schema_stays() -> None:
    live = table("orders", "id text PRIMARY KEY", made=2)
    key, column = (
        "shop.orders: its key is ((id text)), and was ((id int))",
        "shop.orders: the column name text is missing",
    )
    assert replaced(table("orders"), live, ORDERS) == Replaced((), (), (), (key, column))
    assert text(replaced(table("orders"), live, ORDERS), ORDERS) == "", "the refusal says it"
    assert replaced(table("orders"), live, WHOLE).changed == ()


def test_of_stocks_backups_which_have_no_ids_nothing_of_that_is_known() -> None:
    found = replaced(table("orders", made=0), table("orders", "id text PRIMARY KEY"), ORDERS)
    assert (found.anew, found.changed) == ((), ())
