"""A bucket that stock Medusa wrote, on nodes with single tokens, restored by our agents: where it was made, and on another ring.

The other ring has the same tokens at other nodes, and its racks in another order. With two replicas of each row in two racks,
rows are where Cassandra looks for them only when each node got the files of the one whose token it holds.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.cluster.rings import disagreements, seat
from tests.cluster.world import World, assert_same, opened, rows_of, serving
from tests.demo.story import Rows
from tests.demo_cluster.fleet import BUCKET, Depot
from tests.harness import Cluster, ClusterConfig, Node, schema
from tests.harness.stock import Stock

pytestmark = [
    pytest.mark.cassandra,
    pytest.mark.stock,
    pytest.mark.xdist_group("cluster-stock"),
    pytest.mark.timeout(900),
]

CONFIG = ClusterConfig(name="stocks", nodes=3, racks=2, num_tokens=1)


@dataclass(frozen=True)
class Written:
    """What stock backed up as ``theirs``, and where its nodes were; what the ring held after we restored it there."""

    depot: Depot
    rows: Rows
    nodes: tuple[str, ...]
    restored: Rows
    said: str


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    depot = Depot(tmp_path_factory.mktemp("stocks"))
    with Cluster.create(CONFIG) as cluster, opened(depot, cluster, with_rows=False) as world:
        with cluster.session() as session:
            schema.create(session, schema.Schema.fitting(CONFIG, replication=2))
        world.write()
        rows = rows_of(cluster)
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda node: stock_of(world, node).backup("theirs").check(), world.nodes))
        world.write()
        world.drop_all()
        with serving(depot.operator_ini()):
            said = world.restore("theirs").out
        return Written(depot, rows, tuple(node.ip for node in world.nodes), rows_of(cluster), said)


def stock_of(world: World, node: Node) -> Stock:
    """Stock beside a node, writing into the bucket of all."""
    directory = world.fleet.depot.directory
    return Stock(work=directory / f"stock-{node.ip}", base_path=directory, bucket=BUCKET, node=node)


def test_where_it_was_made(written: Written) -> None:
    assert "In place: each node gets its own files back." in written.said
    assert_same(written.rows, written.restored)


def test_on_a_ring_with_the_same_tokens_and_racks_in_another_order(written: Written) -> None:
    first, second, third = (CONFIG.tokens(number) for number in (1, 2, 3))
    with Cluster.create(ClusterConfig(name="others", nodes=3, num_tokens=1)) as cluster:
        # Before, the first and the third node were in one rack, and the second alone.
        seat(cluster.nodes[0], tokens=second, rack="rack1")
        seat(cluster.nodes[1], tokens=third, rack="rack2")
        seat(cluster.nodes[2], tokens=first, rack="rack2")
        with opened(written.depot, cluster, with_rows=False) as world, serving(written.depot.operator_ini()):
            one, two, three = world.nodes
            said = world.restore("theirs", "--seed-target", one.ip).out
            assert "Onto other nodes" in said
            pairs = {words[0]: words[-1] for line in said.splitlines() if (words := line.split())}
            assert [pairs[node.ip] for node in (one, two, three)] == [written.nodes[at] for at in (1, 2, 0)]
            cluster.wait_up()
            assert disagreements(cluster, written.rows) == 0
            assert_same(written.rows, rows_of(cluster))
            assert world.leftovers() == []
