"""A backup of three nodes on clusters that are others: three nodes with other addresses and tokens, two, and a single one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from shipper.cassandra import cql
from shipper.cassandra.cql import CqlAccess
from shipper.cassandra.wire import Address
from tests.cluster.rings import rows_at, seat
from tests.cluster.world import World, assert_same, opened, rows_of, serving, until
from tests.demo.story import Rows
from tests.demo_cluster.fleet import Depot, move_tokens
from tests.harness import Cluster, ClusterConfig
from tests.harness.replacing import host_ids

pytestmark = [pytest.mark.cassandra, pytest.mark.xdist_group("cluster-elsewhere"), pytest.mark.timeout(900)]


@dataclass(frozen=True)
class Lost:
    """A cluster that is no more: its backup, what was in it, and who was who."""

    depot: Depot
    backup: str
    rows: Rows
    nodes: tuple[str, ...]
    host_ids: frozenset[str]


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> Lost:
    depot = Depot(tmp_path_factory.mktemp("elsewhere"))
    with (
        Cluster.create(ClusterConfig(name="lost", nodes=3, racks=3)) as cluster,
        opened(depot, cluster, with_rows=True) as world,
        serving(depot.operator_ini()),
    ):
        rows = world.backed_up("last")
        ids = frozenset(host_ids(world.nodes[0]).values())
        nodes = tuple(node.ip for node in world.nodes)
    return Lost(depot, "last", rows, nodes, ids)


def test_three_other_nodes_take_their_places(lost: Lost, tmp_path: Path) -> None:
    with Cluster.create(ClusterConfig(name="found", nodes=3, racks=3)) as cluster:
        move_tokens(cluster, 1 << 60)
        with opened(lost.depot, cluster, with_rows=False) as world, serving(lost.depot.operator_ini()):
            yamls = [node.yaml.read_text() for node in world.nodes]
            hosts = tmp_path / "hosts.csv"
            pairs = zip(world.nodes, lost.nodes, strict=True)
            hosts.write_text("".join(f"True,{node.ip},{source}\n" for node, source in pairs))
            said = world.restore(lost.backup, "--host-list", str(hosts)).out
            assert "Onto other nodes" in said
            cluster.wait_up()
            assert_same(lost.rows, rows_of(cluster))
            assert [node.yaml.read_text() for node in world.nodes] == yamls, "what was for one start is undone"
            found = host_ids(world.nodes[0])
            assert set(found) == {node.ip for node in world.nodes}, "nobody of the old ring is known"
            assert lost.host_ids.isdisjoint(found.values())
            assert world.leftovers() == []
            cluster.stop()
            cluster.start()
            assert_same(lost.rows, rows_of(cluster))


def test_a_single_node_in_another_datacenter_loads_some_tables_though_its_agent_is_killed(lost: Lost) -> None:
    names = ("shop.orders", "shop.documents")
    with Cluster.create(ClusterConfig(name="single")) as cluster:
        seat(cluster.nodes[0], dc="east")
        with opened(lost.depot, cluster, with_rows=False) as world, serving(lost.depot.operator_ini()):
            asked = ("--seed-target", world.nodes[0].ip, *(word for name in names for word in ("--table", name)))
            shown = world.restore(lost.backup, *asked, "--dry-run").out
            assert "the keyspace shop has its replicas of datacenter1 in east" in shown
            assert "the keyspace shop asks for 3 replicas in east, which has 1 node" in shown
            assert "CREATE TABLE IF NOT EXISTS shop.orders" in shown
            assert rows_at(cluster, "ONE") == {}, "nothing was done yet"
            node = world.nodes[0]
            with world.restoring(lost.backup, *asked):
                until((world.fleet.ini(node).parent / "state/load.json").exists, 300, world.said)
                world.fleet.kill(node)
                world.fleet.start_one(node)
            loads = [line for line in world.fleet.log(node).read_text().splitlines() if ": loading shop." in line]
            assert 6 <= len(loads) <= 7, "two tables of three nodes; what was loaded is not loaded again"
            expected = {name: rows for name, rows in lost.rows.items() if "orders" in name or "documents" in name}
            assert_same(expected, rows_at(cluster, "ONE"))


@pytest.fixture(scope="module")
def pair(lost: Lost) -> Iterator[tuple[World, str]]:
    """Two nodes into which all three were loaded, and what was said about it."""
    with (
        Cluster.create(ClusterConfig(name="pair", nodes=2, racks=2)) as cluster,
        opened(lost.depot, cluster, with_rows=False) as world,
    ):
        with serving(lost.depot.operator_ini()):
            done = world.restore(lost.backup, "--seed-target", world.nodes[0].ip)
        yield world, done.out + done.err


def test_two_nodes_load_all_three(lost: Lost, pair: tuple[World, str]) -> None:
    world, said = pair
    assert "By sstableloader, into the running cluster: datacenter1 had 3 nodes" in said
    assert "the keyspace shop asks for 3 replicas in datacenter1, which has 2 nodes" in said
    assert "Made when all rows are loaded, and then built by each node: 2 storage attached indexes" in said
    assert "committed" in said
    assert "Tables and views with rows: 9, without: 1." in said
    assert_same(lost.rows, rows_at(world.cluster, "QUORUM"))
    assert world.leftovers() == []


def test_what_a_node_has_not_heard_of_the_schema_the_others_say_themselves(pair: tuple[World, str]) -> None:
    """Whoever makes a schema goes on when all have it: gossip may say so of the schema before."""
    world, _ = pair
    first, second = world.nodes
    with cql.connect(CqlAccess(Address(first.ip, 9042))) as session:

        def versions() -> tuple[str | None, ...]:
            return tuple(session.schema_versions()[f"{node.ip}:9042"] for node in world.nodes)

        assert len(set(versions())) == 1
        first.nodetool("disablegossip")
        try:
            with world.cluster.session(second, consistency="ONE") as admin:
                admin.execute("CREATE TABLE shop.unheard_of (k int PRIMARY KEY)")
            before, now = versions()
        finally:
            first.nodetool("enablegossip")
        assert before != now
        assert None not in {before, now}
        world.cluster.wait_ring()
        until(lambda: len(set(versions())) == 1, 60)
        second.nodetool("disablebinary")
        try:
            assert versions()[1] is None, "nobody can be sure of it"
        finally:
            second.nodetool("enablebinary")
