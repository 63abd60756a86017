"""What is still to be created of a table that was dropped, and what of it may be dropped again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import pytest

from backupstore.core.schema_statements import read_schema
from backupstore.errors import NodeTrouble, Refused
from shipper.cassandra.port import CassandraNode, Schema, Statement
from shipper.progress import Silent
from shipper.restore.creating import check_absent, create, drop, missing
from shipper.restore.port import Rows, Service
from shipper.restore.tables import Creation

OURS, THEIRS = "0a5b1bb0-e742-11f1-9ff6-bd8c6a9f74a7", "1b5b1bb0-e742-11f1-9ff6-bd8c6a9f74a7"
TABLE = f"CREATE TABLE k.t (a int PRIMARY KEY, b int, c int, d frozen<u>) WITH ID = {OURS}"
TEXTS = (
    TABLE,
    "ALTER TABLE k.t DROP b USING TIMESTAMP 7",
    "ALTER TABLE k.t ADD b int",
    "ALTER TABLE k.t DROP c USING TIMESTAMP 9",
    "CREATE INDEX i ON k.t (b)",
)
KEYSPACE = Creation("KEYSPACE", "k", "k", None, ("CREATE KEYSPACE k WITH replication = {'class': 'X'}",))
TYPE = Creation("TYPE", "k", "u", None, ("CREATE TYPE k.u (x int)",))
WHOLE = Creation("TABLE", "k", "t", OURS.replace("-", ""), TEXTS)
ALL = (KEYSPACE, TYPE, WHOLE)
EVERYTHING = [text for each in ALL for text in each.texts]


def left(*there: str) -> tuple[str, ...]:
    return missing(WHOLE, read_schema(";".join(there)))


@pytest.mark.parametrize("done", range(len(TEXTS) + 1))
def test_what_a_killed_attempt_had_not_come_to(done: int) -> None:
    assert left(*TEXTS[:done]) == TEXTS[done:]


def test_a_table_of_somebody_else_is_none_of_ours() -> None:
    assert left(TABLE.replace(OURS, THEIRS)) == TEXTS


@dataclass
class Ring:
    """Its schema, as statements; a statement that is refused once is one that another node was faster with."""

    schema_text: list[str] = field(default_factory=list)
    faster: str = ""
    told: list[str] = field(default_factory=list)

    def schema(self) -> Schema:
        return Schema("", tuple(Statement("k", "table", "t", f"{text};") for text in self.schema_text))

    def query(self, statement: str) -> Rows:
        if statement.startswith("SELECT"):
            tables = read_schema(";".join(self.schema_text)).tables
            return tuple((*name, table.id) for name, table in tables.items()) if "tables" in statement else ()
        self.told.append(statement)
        if statement.startswith("DROP"):
            name = statement.rpartition('"')[0].rpartition('"')[2]
            kept = [text for text in self.schema_text if name not in text.replace("(", " ").replace(".", " ").split()]
            self.schema_text = kept
        elif statement in self.schema_text:
            raise NodeTrouble("It exists.", hint="", operation="cql")
        else:
            self.schema_text.append(statement)
            if statement == self.faster:
                raise NodeTrouble("It exists.", hint="", operation="cql")
        return ()

    def create(self) -> None:
        create(cast("Service", self), cast("CassandraNode", self), ALL, Silent())

    def drop(self) -> None:
        drop(cast("Service", self), cast("CassandraNode", self), ALL)

    def check_absent(self) -> None:
        check_absent(cast("Service", self), ALL)


def test_all_of_it_once_and_nothing_a_second_time() -> None:
    ring = Ring()
    ring.create()
    assert ring.schema_text == EVERYTHING
    ring.create()
    assert ring.told == EVERYTHING


@pytest.mark.parametrize("faster", EVERYTHING)
def test_another_node_was_faster(faster: str) -> None:
    ring = Ring(faster=faster)
    ring.create()
    assert ring.schema_text == EVERYTHING


def test_what_cannot_be_created_says_how_to_go_on() -> None:
    class Deaf(Ring):
        def query(self, statement: str) -> Rows:
            if statement == TABLE:
                raise NodeTrouble("Unrecognized strategy.", hint="", operation="cql")
            return super().query(statement)

    with pytest.raises(NodeTrouble) as caught:
        Deaf().create()
    assert "TABLE k.t was dropped since" in caught.value.hint


def test_taken_back_nothing_is_left() -> None:
    ring = Ring()
    ring.create()
    ring.told.clear()
    ring.drop()
    assert ring.told == ['DROP TABLE IF EXISTS "k"."t"', 'DROP TYPE IF EXISTS "k"."u"', 'DROP KEYSPACE IF EXISTS "k"']
    assert ring.schema_text == []


def test_what_others_use_stays() -> None:
    other = f"CREATE TABLE k.other (a int PRIMARY KEY, b frozen<u>) WITH ID = {THEIRS}"
    ring = Ring([*EVERYTHING, other])
    ring.drop()
    assert ring.told == ['DROP TABLE IF EXISTS "k"."t"']


def test_a_table_that_somebody_else_created_is_neither_ours_nor_dropped() -> None:
    ring = Ring([*KEYSPACE.texts, *TYPE.texts, TABLE.replace(OURS, THEIRS)])
    with pytest.raises(Refused, match="was created while"):
        ring.check_absent()
    ring.drop()
    assert ring.told == []


@pytest.mark.parametrize("there", [[], EVERYTHING])
def test_what_another_node_of_the_same_restore_created_is_fine(there: list[str]) -> None:
    Ring(list(there)).check_absent()
