"""Looking into restored tables when the look itself goes wrong: that is told, and takes no restore back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import pytest

from backupstore.core.schema_statements import Name, read_schema
from backupstore.errors import Denied, NodeTrouble
from shipper.cassandra.port import Undecoded
from shipper.in_threads import Ended
from shipper.restore.port import Rows, Service
from shipper.restore.sampling import Sampling
from tests.clocks import SettableClock
from tests.shipper.listener import Listener
from tests.shipper.restore.test_sampling import SCHEMA, Table, look

UNDECODED = Undecoded('Failed decoding result column "at" of type timestamp.', hint="", operation="cql")
BUILDING = NodeTrouble("The index is not yet available.", hint="", operation="cql")


@dataclass
class Fragile(Table):
    """``fails``: what a statement with these words comes to; ``closed_jmx``: nodetool may do nothing."""

    fails: dict[str, Exception] = field(default_factory=dict)
    closed_jmx: bool = False

    def query(self, statement: str, values: tuple[object, ...] = ()) -> Rows:
        found = super().query(statement, values)
        for words, error in self.fails.items():
            if words in statement:
                raise error
        return found

    def rebuild_index(self, keyspace: str, table: str, index: str) -> None:
        super().rebuild_index(keyspace, table, index)
        if self.closed_jmx:
            raise Denied("JMX refused the login.", hint="", operation="nodetool")


def look_at_all(table: Table, schema: str = SCHEMA, *names: Name, clock: SettableClock | None = None) -> Listener:
    told = Listener()
    sampling = Sampling(cast("Service", table), clock or SettableClock(), read_schema(schema), told)
    sampling.look_at_all([(name, True) for name in names or [("k", "T")]])
    sampling.tell()
    return told


def test_a_percent_sign_in_a_name_stands_for_itself() -> None:
    """The driver puts values into the text by Python's ``%``."""
    table = Table(5)
    assert "Indexes that find them: 1." in look(table, SCHEMA.replace('"C"', '"cpu%s"')).steps[-1]
    assert table.asked[-1] % ("'v'",) == """SELECT "cpu%s" FROM "k"."T" WHERE "cpu%s" = 'v' LIMIT 1"""


def test_an_index_that_may_not_be_built_anew_is_told() -> None:
    for see in (look, look_at_all):
        told = see(Fragile(5, blind=True, closed_jmx=True))
        assert "the index by_c of k.T was not checked: JMX refused the login." in told.warnings
        assert "Not asked: by_c of k.T" in told.steps[-1]


def test_values_that_python_cannot_show_are_told() -> None:
    told = look(Fragile(5, fails={"SELECT *": UNDECODED}))
    assert told.steps[0] == "k.T: at least 1 row"
    assert "such as times after the year 9999, so that they were not counted: k.T (Failed decoding" in told.told
    assert "Indexes that find them: 1." in told.steps[-1]


@pytest.mark.parametrize("column", ['"a", "b"', '"C"'])
def test_they_are_not_asked_for_again_and_again(column: str) -> None:
    clock = SettableClock()
    began = clock.running()
    told = look_at_all(Fragile(50, fails={f"SELECT {column} FROM": UNDECODED}), clock=clock)
    assert told.steps[-1].startswith("Tables and views with rows: 1, without: 0.")
    assert clock.running() == began


def test_indexes_are_waited_for_once_and_tables_whose_indexes_may_not_be_built_yet_come_last() -> None:
    names = [("k", f"c{number}") for number in range(9)]
    one = "CREATE TABLE k.{0} (a int PRIMARY KEY, v text); CREATE CUSTOM INDEX by_{0} ON k.{0} (v);"
    schema = "".join(one.format(name) for _, name in names)
    clock, table = SettableClock(), Fragile(5, fails={"WHERE": BUILDING})
    began = clock.running()
    told = look_at_all(table, f"{schema} CREATE TABLE k.z (a int PRIMARY KEY);", *names, ("k", "z"), clock=clock)
    assert len([line for line in told.warnings if "was not checked" in line]) == 9
    assert clock.running() - began < 60
    assert table.asked[0] == 'SELECT * FROM "k"."z" LIMIT 20'


def test_a_table_whose_index_gives_no_answer_is_read_all_the_same_and_so_are_others() -> None:
    told = look_at_all(Fragile(5, fails={'SELECT "C" FROM "k"."T" LIMIT': NodeTrouble("A replica failed.", hint="")}))
    assert "Tables and views with rows: 1, without: 0. Not asked: by_c of k.T" in told.steps[-1]


@pytest.mark.parametrize(
    ("error", "said"), [(ValueError("no bytes"), "ValueError: no bytes"), (Denied("Gone.", hint=""), "Gone")]
)
def test_whatever_goes_wrong_takes_no_whole_node_back(error: Exception, said: str) -> None:
    told = look_at_all(Fragile(5, fails={"SELECT *": error}))
    assert f"nobody knows whether they are good: k.T ({said})" in told.told


def test_who_is_to_end_looks_no_further() -> None:
    with pytest.raises(Ended):
        look_at_all(Fragile(5, fails={"SELECT *": Ended()}))
