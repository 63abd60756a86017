"""Single tables of a ring of two, restored on both nodes together as a job does it: both create what was dropped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count

import pytest

from backupstore.errors import Refused
from shipper.restore.phases import Request
from shipper.restore.places import WORK
from shipper.snapshot import Filters
from tests.harness import Cluster, ClusterConfig, loading, reading, schema
from tests.harness.reading import Row
from tests.shipper.listener import Listener
from tests.shipper.restore.part import BACK, FORWARD, act
from tests.shipper.restore.real import Wired, wire

pytestmark = [pytest.mark.cassandra, pytest.mark.timeout(900)]
_jobs = count(1)
TABLES = ("shop.customers", "shop.orders", "shop.QuotedTable")
RESTORED = ("shop.customers", "shop.orders", "shop.orders_by_kind", 'shop."QuotedTable"')


@dataclass
class Ring:
    """``rows`` and ``found``: what the backup ``one`` holds, and what its indexes find."""

    cluster: Cluster
    nodes: tuple[Wired, ...]
    rows: dict[str, list[Row]]
    found: dict[str, list[Row]]

    def read(self) -> dict[str, list[Row]]:
        self.cluster.wait_up()
        with self.cluster.session() as session:
            return reading.read_all(session)

    def drop(self) -> None:
        with self.cluster.session() as session:
            for name in ("MATERIALIZED VIEW shop.orders_by_kind", "TABLE shop.orders", "TABLE shop.customers"):
                session.execute(f"DROP {name}")
            session.execute("DROP TYPE shop.address")
            session.execute('INSERT INTO shop."QuotedTable" ("Id", v) VALUES (1, \'after the backup\')')
            session.execute("INSERT INTO shop.empty_shelf (k, v) VALUES (1, 'after the backup')")

    def obey(self, job: str, verbs: Sequence[str]) -> None:
        """Both at once, verb by verb."""
        request = Request(
            "one", job=job, together=frozenset(n.ip for n in self.cluster.nodes), filters=Filters((), TABLES)
        )
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            for verb in verbs:
                parts = [
                    pool.submit(act, wired.site(), wired.machine(), verb, request, Listener()) for wired in self.nodes
                ]
                for part in parts:
                    part.result()


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ring]:
    config = ClusterConfig(name="restore-tables-ring", nodes=2)
    folder = tmp_path_factory.mktemp("restore-tables-ring")
    with Cluster.create(config) as cluster:
        cluster.start()
        nodes = tuple(wire(node, folder / node.name, folder / "bucket") for node in cluster.nodes)
        with cluster.session() as session:
            schema.create(session, schema.Schema.fitting(config))
            loading.load(session, rows=20)
            made = Ring(cluster, nodes, reading.read_all(session), reading.query_indexes(session))
        for wired in nodes:
            wired.back_up("one")
        made.drop()
        yield made


def test_one_node_alone_is_refused(ring: Ring) -> None:
    with pytest.raises(Refused, match="The ring has moved on"):
        ring.nodes[0].restore_part("one", tables=TABLES)


@pytest.mark.parametrize("done", [2, 5])
def test_taken_back_on_both(ring: Ring, done: int) -> None:
    before = ring.read()
    job = f"restore-{next(_jobs)}"
    ring.obey(job, FORWARD[:done])
    ring.obey(job, BACK)
    assert ring.read() == before
    assert not list(ring.cluster.base.rglob(f"{WORK}*"))


def test_both_together(ring: Ring) -> None:
    before = ring.read()
    ring.obey(f"restore-{next(_jobs)}", FORWARD)
    now = ring.read()
    assert {name: now.pop(name) for name in RESTORED} == {name: ring.rows[name] for name in RESTORED}
    assert now == {name: rows for name, rows in before.items() if name not in RESTORED}
    with ring.cluster.session() as session:
        assert reading.query_indexes(session) == ring.found
    one, two = ring.cluster.nodes
    for node, other in ((one, two), (two, one)):
        # Each holds all of the rows itself: the other one is not there to be asked.
        other.stop()
        with ring.cluster.session(node, consistency="ONE") as session:
            assert reading.read_all(session) == {**before, **{name: ring.rows[name] for name in RESTORED}}
        other.start()
        ring.cluster.wait_ring()
