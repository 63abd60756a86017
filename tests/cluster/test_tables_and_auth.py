"""Parts of a ring of two that asks for passwords, restored as jobs: all but the roles, all with them, single tables.

Whatever is not named keeps what was written since the backup; every row of every table is compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from cassandra import Unauthorized

from tests.cluster.world import World, assert_same, opened, rows_of, serving
from tests.demo.stage import command
from tests.demo.story import Rows
from tests.demo_cluster.fleet import Depot
from tests.harness import Cluster, ClusterConfig, driver
from tests.shipper.cli.program import run

pytestmark = [pytest.mark.cassandra, pytest.mark.xdist_group("cluster-tables"), pytest.mark.timeout(900)]

BACKUP = "one"
THEN, NOW, NEWER = ("alice", "then"), ("alice", "now"), ("bob", "newer")
GONE = (
    "DROP MATERIALIZED VIEW shop.orders_by_kind",
    "DROP TABLE shop.orders",
    "DROP TABLE shop.customers",
    "DROP TYPE shop.address",
    'DROP KEYSPACE "MixedCase"',
)
ANEW = ("DROP TABLE shop.reborn", "CREATE TABLE shop.reborn (k int PRIMARY KEY, second_life text, third text)")
NAMED = ("shop.orders", "shop.customers", "shop.reborn")
RESTORED = ("shop.orders", "shop.orders_by_kind", "shop.customers", '"MixedCase"."Tab"')


@dataclass
class Guarded:
    """The cluster and its backup ``one``: ``rows`` is what it holds; alice had her first password, and read readings."""

    world: World
    rows: Rows

    def run(self, *statements: str) -> None:
        with self.world.cluster.session() as session:
            driver.define(session, statements)

    def move_on(self) -> Rows:
        """Newer rows, another password, another role, other grants. What there is then."""
        self.world.write()
        self.run(
            "ALTER ROLE alice WITH PASSWORD = 'now'",
            "REVOKE SELECT ON shop.readings FROM alice",
            "CREATE ROLE IF NOT EXISTS bob WITH PASSWORD = 'newer' AND LOGIN = true",
            "GRANT SELECT ON shop.hits TO bob",
        )
        return self.read()

    def read(self) -> Rows:
        self.world.cluster.wait_up()
        return rows_of(self.world.cluster)

    def accepts(self, *logins: tuple[str, str]) -> list[bool]:
        """By both nodes alike."""
        one, two = ([driver.accepts(node.ip, login) for login in logins] for node in self.world.nodes)
        assert one == two
        return one

    def may_read(self, login: tuple[str, str], table: str) -> bool:
        with self.world.cluster.session(user=login) as session:
            try:
                session.execute(f"SELECT * FROM {table}")  # noqa: S608 - our own names
            except Unauthorized:
                return False
        return True


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    depot = Depot(tmp_path_factory.mktemp("tables"))
    with Cluster.create(ClusterConfig(name="guarded", nodes=2, auth=True)) as cluster:
        with opened(depot, cluster, with_rows=True) as world, serving(depot.operator_ini()):
            made = Guarded(world, {})
            made.run(
                "CREATE ROLE alice WITH PASSWORD = 'then' AND LOGIN = true", "GRANT SELECT ON shop.readings TO alice"
            )
            made.rows = world.backed_up(BACKUP)
            yield made
        print(world.said())  # noqa: T201 - pytest shows it where a test failed


def test_roles_that_are_kept(guarded: Guarded) -> None:
    guarded.move_on()
    done = guarded.world.restore(BACKUP, "--keep-auth")
    assert "OVERWRITTEN on 2 nodes: everything but roles, passwords and grants." in done.out
    assert "The target has the same tables as the backup." in done.out
    assert_same(guarded.rows, guarded.read())
    assert guarded.accepts(NOW, NEWER, THEN) == [True, True, False]
    assert guarded.may_read(NEWER, "shop.hits")
    assert not guarded.may_read(NOW, "shop.readings")
    assert "The old data is dropped. Tables and views with rows: 9, without: 1. Indexes that find them: 2." in done.out


def test_roles_that_are_overwritten(guarded: Guarded) -> None:
    guarded.move_on()
    done = guarded.world.restore(BACKUP, "--overwrite-auth")
    assert "Roles, passwords and grants become those of the backup" in done.out
    assert_same(guarded.rows, guarded.read())
    assert guarded.accepts(THEN, NOW, NEWER) == [True, False, False]
    assert guarded.may_read(THEN, "shop.readings")
    assert not guarded.may_read(THEN, "shop.hits")
    assert "until a repair" not in guarded.world.said(), "nobody of the ring was left out"


def test_tables_and_a_keyspace_go_back_and_all_else_stays(guarded: Guarded) -> None:
    guarded.move_on()
    guarded.run(*GONE, *ANEW)
    guarded.run("INSERT INTO shop.reborn (k, third) VALUES (1, 'after the backup')")
    before = guarded.read()
    tables = (word for name in NAMED for word in ("--table", name))
    done = guarded.world.restore(BACKUP, "--keyspace", "MixedCase", *tables)
    assert "no more: 3 tables, MixedCase.Tab, shop.customers, shop.orders, created as they were" in done.out
    assert "with views and indexes; all other tables stay as they are." in done.out
    assert "Dropped and made again since; they stay, with the rows of before: 1 table, shop.reborn." in done.out
    old = {name: rows for name, rows in guarded.rows.items() if name in RESTORED or " FROM shop.customers " in name}
    reborn = [row | {"third": None} for row in guarded.rows["shop.reborn"]]
    assert_same({**before, **old, "shop.reborn": reborn}, guarded.read())
    assert guarded.accepts(NOW, NEWER, THEN) == [True, True, False]
    assert guarded.may_read(NEWER, "shop.hits")
    assert guarded.world.leftovers() == []


def test_tables_that_would_lose_rows_are_refused_and_nobody_is_stopped(guarded: Guarded) -> None:
    world = guarded.world
    guarded.run(
        "ALTER TABLE shop.readings DROP raw",
        'DROP TABLE shop."QuotedTable"',
        'CREATE TABLE shop."QuotedTable" ("Id" text PRIMARY KEY, v text)',
    )
    before, pids = guarded.read(), [node.pid for node in world.nodes]
    tables = ("--table", "shop.readings", "--table", "shop.QuotedTable")
    at_once = world.restore(BACKUP, *tables, "--dry-run", code=1)
    # On a machine that is no node, nobody knows of it before the nodes look.
    elsewhere = [*command(world.fleet.depot.operator_ini()), "restore-cluster", "--backup-name", BACKUP, "-y", *tables]
    by_nodes = run([*elsewhere, "--seeds", world.nodes[0].ip])
    assert by_nodes.code == 1
    assert "rolled-back" in by_nodes.err
    for done in (at_once, by_nodes):
        assert "shop.readings: the column raw blob is missing" in done.err
        assert "shop.QuotedTable: its key is ((Id text)), and was ((Id int))" in done.err
        assert "Drop what differs" in done.err
    assert [node.pid for node in world.nodes] == pids
    assert_same(before, guarded.read())
