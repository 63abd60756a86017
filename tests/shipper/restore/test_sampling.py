"""Looking into restored tables: rows counted, indexes asked and built anew, and when that is not good enough."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast
from uuid import UUID

import pytest

from backupstore.core.schema_statements import Name, read_schema
from backupstore.errors import Denied, NodeTrouble
from shipper.restore.partial import check
from shipper.restore.port import Rows, Service
from shipper.restore.sampling import Sampling, tables_of
from shipper.restore.tables import Move, Rebuild, TablesPlan
from tests.clocks import SettableClock
from tests.shipper.listener import Listener

SCHEMA = (
    'CREATE TABLE k."T" (a int, b text, "C" text, tags set<text>, PRIMARY KEY (a, b));'
    'CREATE INDEX by_c ON k."T" ("C"); CREATE INDEX by_tag ON k."T" (values(tags));'
)
GOOD = "Tables and views with rows: 1, without: 0. Indexes that find them: 1. Not asked: by_tag of k.T."
MOVE = Move("k", f"T-{'0' * 32}", f"T-{'0' * 32}", 8)


@dataclass
class Table:
    """A table of so many rows; ``blind`` indexes find nothing, until they are built anew unless ``broken``."""

    rows: int
    blind: bool = False
    broken: bool = False
    closed: int = 0
    denied: bool = False
    value: object = "value"
    asked: list[str] = field(default_factory=list)
    rebuilt: list[str] = field(default_factory=list)

    def query(self, statement: str, values: tuple[object, ...] = ()) -> Rows:
        self.asked.append(statement)
        if self.closed:
            self.closed -= 1
            raise NodeTrouble("The index is not yet available.", hint="", operation="cql")
        if self.denied:
            raise Denied("User medusa has no SELECT permission.", hint="", operation="cql")
        if "WHERE" in statement:
            return (values,) if values == (self.value,) and not self.blind else ()
        limit = re.search(r"LIMIT (\d+)", statement)
        assert limit
        return ((self.value,),) * min(self.rows, int(limit[1]))

    def rebuild_index(self, keyspace: str, table: str, index: str) -> None:
        self.rebuilt.append(f"{keyspace}.{table}.{index}")
        self.blind = self.broken


def look(table: Table, schema: str = SCHEMA, *, verify: bool = True, rebuilds: tuple[Rebuild, ...] = ()) -> Listener:
    told = Listener()
    sampling = Sampling(cast("Service", table), SettableClock(), read_schema(schema), told)
    check(TablesPlan((MOVE,), rebuilds=rebuilds), sampling, verify=verify)
    sampling.tell()
    return told


def look_at_all(table: Table, schema: str = SCHEMA, *names: Name, clock: SettableClock | None = None) -> Listener:
    told = Listener()
    sampling = Sampling(cast("Service", table), clock or SettableClock(), read_schema(schema), told)
    sampling.look_at_all([(name, True) for name in names or [("k", "T")]])
    assert sampling.tell() == " ".join((*told.warnings, told.steps[-1]))
    return told


@pytest.mark.parametrize(
    ("rows", "said"), [(1, "1 row"), (20, "20 rows"), (999, "999 rows"), (5000, "at least 1,000 rows")]
)
def test_rows_are_counted_as_far_as_that_is_cheap(rows: int, said: str) -> None:
    assert look(Table(rows)).steps == [f"k.T: {said}", GOOD]


def test_a_view_is_read_and_not_counted_to_the_end() -> None:
    table = Table(5000)
    assert look(table, schema="").steps[0] == "k.T: at least 20 rows"
    assert table.asked == ['SELECT * FROM "k"."T" LIMIT 20']


def test_no_row_of_a_table_that_has_files() -> None:
    told = look(Table(0))
    assert "There are SSTables and no row of k.T" in told.told
    assert told.steps[-1] == "Tables and views with rows: 0, without: 1."


def test_an_index_that_finds_is_left_alone() -> None:
    table = Table(5)
    assert look(table).warnings == []
    assert table.rebuilt == []
    assert table.asked[-1] == 'SELECT "C" FROM "k"."T" WHERE "C" = %s LIMIT 1'


@pytest.mark.parametrize("value", [None, 1.5, ["value"]])
def test_one_that_nobody_can_ask_is_named(value: object) -> None:
    table = Table(5, blind=True, value=value)
    assert look(table).steps[-1] == "Tables and views with rows: 1, without: 0. Not asked: by_c of k.T, by_tag of k.T."
    assert table.rebuilt == []


def test_one_that_finds_nothing_is_built_anew() -> None:
    table = Table(5, blind=True)
    look(table)
    assert table.rebuilt == ["k.T.by_c"]


@pytest.mark.parametrize("schema", [SCHEMA, SCHEMA.replace("INDEX by_c", "CUSTOM INDEX by_c")])
def test_one_that_still_finds_nothing_is_not_good(schema: str) -> None:
    with pytest.raises(NodeTrouble, match=r"by_c of k\.T does not find a row") as caught:
        look(Table(5, blind=True, broken=True), schema)
    assert "Drop the index" in caught.value.hint


def test_a_node_that_has_just_started_is_asked_again() -> None:
    table = Table(5, closed=3)
    assert look(table).steps[0] == "k.T: 5 rows"


def test_a_table_that_cannot_be_read_is_not_good() -> None:
    with pytest.raises(NodeTrouble, match="not yet available"):
        look(Table(5, closed=1000))


def test_missing_indexes_are_built_also_when_nothing_is_verified() -> None:
    table = Table(5)
    look(table, verify=False, rebuilds=(Rebuild("k", "T", "by_c"),))
    assert table.rebuilt == ["k.T.by_c"]
    assert table.asked == []


def test_what_the_login_may_not_read_takes_nothing_back_and_is_told() -> None:
    told = look(Table(5, denied=True))
    assert told.steps[0] == "k.T: not read"
    assert "nobody knows whether they are good: k.T (User medusa has no SELECT permission)" in told.told


def test_of_a_whole_node_each_table_is_read_and_only_the_sum_is_told() -> None:
    assert look_at_all(Table(5)).steps == ["reading a few rows of each table", GOOD]


def test_of_a_whole_node_what_is_not_good_takes_nothing_back() -> None:
    table = Table(5, blind=True, broken=True)
    assert "do not find rows that are there: by_c of k.T" in look_at_all(table).told
    assert table.rebuilt == ["k.T.by_c"]


def test_of_a_whole_node_only_the_first_table_that_cannot_be_read_is_waited_for() -> None:
    clock = SettableClock()
    began = clock.running()
    names = [("k", f"t{number}") for number in range(9)]
    told = look_at_all(Table(5, closed=1000), "", *names, clock=clock)
    assert "good: k.t0, k.t1, k.t2, k.t3, k.t4, k.t5 and 3 more (The index is not yet available)" in told.told
    assert clock.running() - began < 60


def test_a_node_of_very_many_tables_is_not_kept_waiting() -> None:
    names = [("k", f"t{number}") for number in range(9)]
    told = look_at_all(Table(5), "", *names, clock=SettableClock(step=50))
    assert "nobody looked at, for it took too long: 8" in told.told


def test_which_tables_a_node_has_and_whether_they_have_files(tmp_path: Path) -> None:
    one, two = "1" * 32, "2" * 32
    table = f"CREATE TABLE k.a (a int PRIMARY KEY) WITH ID = {UUID(one)};"
    select = "SELECT * FROM k.a WHERE a IS NOT NULL PRIMARY KEY (a)"
    schema = read_schema(f"{table} CREATE MATERIALIZED VIEW k.v AS {select} WITH ID = {UUID(two)};")
    (tmp_path / f"k/v-{two}").mkdir(parents=True)
    (tmp_path / f"k/v-{two}/nb-1-big-Data.db").touch()
    assert list(tables_of(schema, (tmp_path / "none", tmp_path))) == [(("k", "a"), False), (("k", "v"), True)]
