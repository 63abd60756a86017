"""What is said of tables when their rows were loaded: only of those, and the ones that may still be building come last."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from backupstore.core.schema_statements import read_schema
from backupstore.errors import Denied, NodeTrouble
from shipper.restore.port import Rows, Service
from shipper.restore.sampling import look_into
from shipper.site import Site
from tests.clocks import SettableClock
from tests.shipper.listener import Listener

LIVE = """
CREATE KEYSPACE shop WITH replication = {'class': 'SimpleStrategy', 'replication_factor': '1'};
CREATE TABLE shop.attached (k int PRIMARY KEY, v text) WITH ID = 01010101-0101-0101-0101-010101010101;
CREATE CUSTOM INDEX by_v ON shop.attached (v) USING 'StorageAttachedIndex';
CREATE TABLE shop.plain (k int PRIMARY KEY, v text) WITH ID = 01010101-0101-0101-0101-010101010102;
CREATE INDEX by_w ON shop.plain (v);
CREATE TABLE shop.stays (k int PRIMARY KEY) WITH ID = 01010101-0101-0101-0101-010101010103;
CREATE MATERIALIZED VIEW shop.viewed AS SELECT k, v FROM shop.plain WHERE k IS NOT NULL PRIMARY KEY (k)
 WITH ID = 01010101-0101-0101-0101-010101010104;
"""
LOADED = read_schema(re.sub(r"CREATE TABLE shop\.stays[^;]*;", "", LIVE))


@dataclass
class Queries:
    """A service whose storage attached indexes are being built; ``empty`` tables have no rows."""

    empty: tuple[str, ...] = ()
    closed: bool = False
    asked: list[str] = field(default_factory=list)

    @contextmanager
    def asking(self) -> Iterator[None]:
        if self.closed:
            raise Denied("The login was refused.", hint="", operation="cql")
        yield

    def query(self, statement: str, _values: tuple[object, ...] = ()) -> Rows:
        table = statement.partition(" FROM ")[2].partition(" ")[0].replace('"', "")
        self.asked.append(table)
        if "WHERE" in statement and table == "shop.attached":
            raise NodeTrouble("The index is not yet available.", hint="", operation="cql")
        return () if table in self.empty else (("v",),)


def looked_into(service: Queries, folder: Path) -> tuple[str, Listener]:
    told = Listener()
    node = SimpleNamespace(schema=lambda: SimpleNamespace(described=LIVE), data_directories=(folder,))
    site = cast("Site", SimpleNamespace(cassandra=node, clock=SettableClock()))
    return look_into(site, cast("Service", service), told, LOADED), told


def test_what_was_loaded_is_looked_into_and_nothing_else(tmp_path: Path) -> None:
    service = Queries()
    said, told = looked_into(service, tmp_path)
    assert (
        said
        == "Tables and views with rows: 3, without: 0. Indexes that find them: 1. Not asked: by_v of shop.attached."
    )
    assert "shop.stays" not in service.asked
    assert [line for line in told.warnings if "by_v of shop.attached was not checked" in line]


def test_those_that_may_wait_for_an_index_come_last(tmp_path: Path) -> None:
    service = Queries()
    looked_into(service, tmp_path)
    assert list(dict.fromkeys(service.asked)) == ["shop.plain", "shop.viewed", "shop.attached"]


def test_what_is_not_good_is_said_first(tmp_path: Path) -> None:
    folder = tmp_path / f"shop/viewed-{'01' * 15}04"
    folder.mkdir(parents=True)
    (folder / "nb-1-big-Data.db").touch()
    said, _ = looked_into(Queries(empty=("shop.viewed",)), tmp_path)
    assert said.startswith("There are SSTables and no row of shop.viewed")
    assert said.endswith("without: 1. Indexes that find them: 1. Not asked: by_v of shop.attached.")


def test_a_look_that_cannot_even_begin_is_told(tmp_path: Path) -> None:
    said, told = looked_into(Queries(closed=True), tmp_path)
    assert said == "No table was looked into: The login was refused."
    assert told.warnings == ["no table was looked into: The login was refused."]
