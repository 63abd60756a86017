"""Single tables of a real node: dropped, created again, truncated, changed; all others keep what was written since.

Every row of every table is compared, and the indexes are asked, after each.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import pytest

from backupstore.errors import NodeTrouble, NotFound, Refused
from shipper.restore.places import WORK
from tests.harness import Cluster, ClusterConfig, loading, reading, schema
from tests.harness.reading import Row
from tests.killing import Point
from tests.shipper.restore.real import Wired, wire

pytestmark = [pytest.mark.cassandra, pytest.mark.timeout(900)]
Rows = dict[str, list[Row]]
_batches = count(2)

CUSTOMERS = ("shop.customers",)
ORDERS = ("shop.orders", "shop.orders_by_kind")


@dataclass
class Node:
    """``rows``, ``found`` and ``described``: what the backup ``one`` holds, what its indexes find, its statements."""

    cluster: Cluster
    wired: Wired
    rows: Rows
    found: Rows
    described: list[str]

    def run(self, *statements: str) -> None:
        with self.cluster.session() as session:
            for statement in statements:
                session.execute(statement)

    def write(self) -> Rows:
        """Newer rows in every table; what all of them hold then."""
        with self.cluster.session() as session:
            loading.load(session, rows=20, batch=next(_batches))
        return self.read()

    def read(self) -> Rows:
        with self.cluster.session() as session:
            return reading.read_all(session)

    def ask_indexes(self) -> Rows:
        with self.cluster.session() as session:
            return reading.query_indexes(session)

    def describe(self) -> list[str]:
        with self.cluster.session() as session:
            return reading.describe(session)

    def check(self, before: Rows, *restored: str) -> None:
        """These tables are as they were at the backup, all others as before the restore, and nothing is left."""
        now = self.read()
        assert {name: now[name] for name in restored} == {name: self.rows[name] for name in restored}
        others = {name: rows for name, rows in before.items() if name not in restored}
        assert {name: rows for name, rows in now.items() if name not in restored} == others
        assert self.wired.journal() is None
        assert not list(self.cluster.base.rglob(f"{WORK}*"))

    def check_indexes(self, table: str) -> None:
        found = {query: rows for query, rows in self.found.items() if f"FROM {table} " in query}
        assert any(found.values())
        now = self.ask_indexes()
        assert {query: now[query] for query in found} == found


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    config = ClusterConfig(name="restore-tables", data_dirs=2)
    folder = tmp_path_factory.mktemp("restore-tables")
    with Cluster.create(config) as cluster:
        cluster.start()
        wired = wire(cluster.nodes[0], folder / "node", folder / "bucket")
        with cluster.session() as session:
            schema.create(session, schema.Schema.fitting(config))
            loading.load(session, rows=20)
        made = Node(cluster, wired, {}, {}, [])
        wired.back_up("one")
        made.rows, made.found, made.described = made.read(), made.ask_indexes(), made.describe()
        yield made


def test_some_tables_go_back_and_all_others_keep_what_was_written_since(node: Node) -> None:
    before = node.write()
    told = node.wired.restore_part("one", tables=("shop.customers", "shop.orders", "shop.hits", "shop.documents"))
    node.check(before, "shop.customers", "shop.hits", "shop.documents", *ORDERS)
    node.check_indexes("shop.customers")
    node.check_indexes("shop.documents")
    assert "draining" in "\n".join(told.steps)
    assert "shop.customers: 20 rows" in "\n".join(told.steps)
    # The commit log is the node's own.
    node.cluster.nodes[0].kill()
    node.cluster.start()
    node.check(before, "shop.customers", "shop.hits", "shop.documents", *ORDERS)


def test_dropped_tables_come_back_with_their_ids_types_views_and_indexes(node: Node) -> None:
    node.run("DROP MATERIALIZED VIEW shop.orders_by_kind", "DROP TABLE shop.orders", "DROP TABLE shop.customers")
    node.run('DROP TABLE shop."QuotedTable"', "DROP TYPE shop.address")
    before = node.read()
    tables = ("shop.orders", "shop.customers", "shop.QuotedTable")
    node.wired.restore_part("one", tables=tables)
    node.check(before, "shop.customers", 'shop."QuotedTable"', *ORDERS)
    node.check_indexes("shop.customers")
    assert sorted(node.describe()) == sorted(node.described)


def test_a_dropped_keyspace(node: Node) -> None:
    node.run('DROP KEYSPACE "MixedCase"')
    before = node.read()
    node.wired.restore_part("one", keyspaces=("MixedCase",))
    node.check(before, '"MixedCase"."Tab"')
    assert sorted(node.describe()) == sorted(node.described)


def test_a_table_that_was_created_again(node: Node) -> None:
    old = {text for text in node.describe() if "shop.reborn" in text}
    node.run("DROP TABLE shop.reborn", "CREATE TABLE shop.reborn (k int PRIMARY KEY, second_life text, third text)")
    node.run("INSERT INTO shop.reborn (k, third) VALUES (1, 'after the backup')")
    before = node.read()
    told = node.wired.restore_part("one", tables=("shop.reborn",))
    assert "dropped and created again since" in "\n".join(told.steps)
    assert not old & set(node.describe())
    now = node.read()
    assert now["shop.reborn"] == [row | {"third": None} for row in node.rows["shop.reborn"]]
    assert {**now, "shop.reborn": []} == {**before, "shop.reborn": []}
    node.run("ALTER TABLE shop.reborn DROP third")


def test_a_truncated_table_with_an_index_that_the_backup_does_not_know(node: Node) -> None:
    node.run('CREATE INDEX tab_by_v ON "MixedCase"."Tab" (v)', 'TRUNCATE "MixedCase"."Tab"')
    before = node.read()
    told = node.wired.restore_part("one", tables=("MixedCase.Tab",))
    assert "truncated since" in "\n".join(told.steps)
    node.check(before, '"MixedCase"."Tab"')
    wanted = [row for row in node.rows['"MixedCase"."Tab"'] if row["v"] == "00000003"]
    assert wanted
    with node.cluster.session() as session:
        query = 'SELECT * FROM "MixedCase"."Tab" WHERE v = \'00000003\''
        assert reading.select(session, query) == wanted
    node.run('DROP INDEX "MixedCase".tab_by_v')


def test_rows_that_would_be_lost_without_a_word_are_refused(node: Node) -> None:
    node.run("ALTER TABLE shop.readings DROP raw")
    before, pid = node.read(), node.cluster.nodes[0].pid
    with pytest.raises(Refused, match=r"shop\.readings: the column raw blob is missing"):
        node.wired.restore_part("one", keyspaces=("shop",))
    node.run("ALTER TABLE shop.readings ADD raw blob")
    with pytest.raises(Refused, match="column raw was dropped and added again"):
        node.wired.restore_part("one", tables=("shop.readings",))
    with pytest.raises(NotFound, match=r"no table shop\.readinks"):
        node.wired.restore_part("one", tables=("shop.readinks",))
    assert node.cluster.nodes[0].pid == pid
    node.check({**before, "shop.readings": node.read()["shop.readings"]})
    # As the message says: dropped, it is created as it was.
    node.run("DROP TABLE shop.readings")
    node.wired.restore_part("one", tables=("shop.readings",))
    assert node.read()["shop.readings"] == node.rows["shop.readings"]


def test_taken_back_everything_is_as_it_was(node: Node) -> None:
    node.run("DROP TABLE shop.hits", "DROP TABLE shop.documents")
    before, described = node.read(), node.describe()
    ini = node.wired.folder / "medusa.ini"
    text = ini.read_text()
    check = "SELECT key FROM system.local"
    ini.write_text(f"{text}[checks]\nquery = {check}\nexpected_rows = 7\n")
    with pytest.raises(NodeTrouble, match="health check") as caught:
        node.wired.restore_part("one", tables=("shop.hits", "shop.documents", "shop.customers"))
    ini.write_text(text)
    assert caught.value.hint.startswith("The old data is back in place.")
    assert node.describe() == described
    node.check(before)
    node.wired.restore_part("one", tables=("shop.hits", "shop.documents"))
    node.check(before, "shop.hits", "shop.documents")
    node.check_indexes("shop.documents")


@pytest.mark.parametrize(
    ("point", "way"),
    [
        (Point(3, "after", "service.query"), "again"),
        (Point(1, "after", "service.drain"), "undo"),
        (Point(2, "before", "disk.rename.shop"), "again"),
        (Point(1, "before", "service.start"), "undo"),
        (Point(1, "after", "service.start"), "undo"),
        (Point(1, "before", "disk.remove"), "again"),
    ],
    ids=str,
)
def test_killed(node: Node, point: Point, way: str) -> None:
    node.run("DROP TABLE IF EXISTS shop.empty_shelf")
    before = node.write()
    described = node.describe()
    tables = ("shop.empty_shelf", "shop.orders")
    node.wired.die(point, "restore", "one", tables)
    if way == "again":
        node.wired.restore_part("one", tables=tables)
        node.check(before, "shop.empty_shelf", *ORDERS)
    else:
        node.wired.undo()
        node.check(before)
        assert node.describe() == described
        node.wired.restore_part("one", tables=tables)
        node.check(before, "shop.empty_shelf", *ORDERS)


def test_the_plan_is_said_and_nothing_touched(node: Node) -> None:
    node.run("TRUNCATE shop.hits")
    before, pid = node.write(), node.cluster.nodes[0].pid
    held = {path: path.stat().st_mtime_ns for path in node.wired.bucket.rglob("*")}
    command = [sys.executable, "-m", "shipper", "--config-file", str(node.wired.folder / "medusa.ini")]
    command += ["restore-node", "--backup-name", "one", "--table", "shop.hits", "--dry-run"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
    assert "replaced, all others stay as they are: shop.hits\n" in done.stdout
    assert "shop.hits was truncated since: its rows come back\n" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in node.wired.bucket.rglob("*")} == held
    assert node.cluster.nodes[0].pid == pid
    node.check(before)
    node.wired.restore_part("one", tables=("shop.hits",))
    node.check(before, "shop.hits")
