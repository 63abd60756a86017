"""One node of a real ring of three: when it may be restored alone, and when not. The tests build on each other."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from backupstore.errors import Refused
from tests.harness import Cluster, ClusterConfig, Node, loading, reading, schema
from tests.harness.stock import Stock
from tests.killing import Pausing, Point
from tests.shipper.restore.real import Wired, wire

pytestmark = [pytest.mark.cassandra, pytest.mark.timeout(900)]


@dataclass(frozen=True)
class Ring:
    cluster: Cluster
    first: Wired
    folder: Path

    @property
    def node(self) -> Node:
        return self.cluster.nodes[0]

    @property
    def bucket(self) -> Path:
        return self.folder / "bucket"

    def rows(self) -> dict[str, list[reading.Row]]:
        """Of all nodes; where one differs, this is what they agree on after a read of all."""
        with self.cluster.session() as session:
            return reading.read_all(session)

    def host_id(self) -> str:
        with self.cluster.session(self.node, consistency="ONE") as session:
            return str(session.execute("SELECT host_id FROM system.local").one()[0])


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ring]:
    config = ClusterConfig(name="restore-ring", nodes=3, num_tokens=4)
    folder = tmp_path_factory.mktemp("restore-ring")
    with Cluster.create(config) as cluster:
        cluster.start()
        first = wire(cluster.nodes[0], folder / "first", folder / "bucket")
        with cluster.session() as session:
            schema.create(session, schema.Schema.fitting(config))
            loading.load(session, rows=20)
        first.back_up("one")
        yield Ring(cluster, first, folder)


def test_a_ring_that_stands_still_takes_one_node_back_and_hints_wait(ring: Ring) -> None:
    before, host_id = ring.rows(), ring.host_id()
    seen: list[str] = []

    def look() -> None:
        seen.extend(node.nodetool("statushandoff").strip() for node in ring.cluster.nodes[1:])

    report = ring.first.restore("one", trigger=Pausing(Point(1, "before", "service.start"), act=look))
    ring.cluster.wait_up()
    assert report.members == 3
    assert seen == ["Hinted handoff is not running"] * 2
    after = [node.nodetool("statushandoff").strip() for node in ring.cluster.nodes[1:]]
    assert after == ["Hinted handoff is running"] * 2
    assert (ring.rows(), ring.host_id()) == (before, host_id)


def test_the_backup_of_one_node_is_not_for_another(ring: Ring) -> None:
    second = wire(ring.cluster.nodes[1], ring.folder / "second", ring.bucket, fqdn=ring.node.ip)
    with pytest.raises(Refused, match=f"made by the node with host id {ring.host_id()}"):
        second.restore("one", in_place=True)


def test_a_second_machine_may_not_become_a_node_that_is_up(ring: Ring) -> None:
    spare = wire(ring.node, ring.folder / "spare", ring.bucket)
    text = ring.node.yaml.read_text().replace(str(ring.node.directory), str(ring.folder / "spare" / "cassandra"))
    network = ring.node.ip.rpartition(".")[0]
    for key in ("listen_address", "rpc_address"):
        text = text.replace(f'{key}: "{ring.node.ip}"', f'{key}: "{network}.77"')
    (ring.folder / "spare" / "cassandra.yaml").write_text(text)
    ini = ring.folder / "spare" / "medusa.ini"
    ini.write_text(ini.read_text().replace(str(ring.node.yaml), str(ring.folder / "spare" / "cassandra.yaml")))
    with pytest.raises(Refused, match="Nothing here tells"):
        spare.restore("one")
    with pytest.raises(Refused, match=f"host id {ring.host_id()} is up at {ring.node.ip}"):
        spare.restore("one", in_place=True)


def test_a_wiped_node_becomes_itself_again_when_it_is_told_who_it_is(ring: Ring) -> None:
    before, host_id = ring.rows(), ring.host_id()
    ring.node.stop()
    for folder in (*ring.node.data_dirs, ring.node.commitlog, ring.node.hints, ring.node.saved_caches):
        shutil.rmtree(folder)
    shutil.rmtree(ring.first.state_dir)
    with pytest.raises(Refused, match="Nothing here tells") as caught:
        ring.first.restore("one")
    assert "--in-place" in caught.value.hint

    config = str(ring.first.folder / "medusa.ini")
    command = [sys.executable, "-m", "shipper", "--config-file", config, "restore-node", "--backup-name", "one"]
    done = subprocess.run([*command, "--in-place"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "nodetool repair --full" in done.stdout
    ring.cluster.wait_up()
    assert (ring.rows(), ring.host_id()) == (before, host_id)


@pytest.mark.stock
def test_a_backup_that_stock_made_goes_to_the_node_with_its_tokens(ring: Ring, tmp_path: Path) -> None:
    stock = Stock(work=tmp_path / "stock", base_path=ring.folder, node=ring.node)
    stock.backup("stocks").check()
    before = ring.rows()
    second = wire(ring.cluster.nodes[1], tmp_path / "second", ring.bucket, fqdn=ring.node.ip)
    with pytest.raises(Refused, match="holds other tokens"):
        second.restore("stocks", in_place=True)
    ring.first.restore("stocks")
    ring.cluster.wait_up()
    assert ring.rows() == before


def test_a_table_truncated_or_dropped_since_stops_it(ring: Ring) -> None:
    with ring.cluster.session() as session:
        session.execute("TRUNCATE shop.hits")
    with pytest.raises(Refused, match=r"TABLE shop\.hits was truncated") as caught:
        ring.first.restore("one")
    assert "TABLE shop.readings" not in caught.value.message
    assert "--ignore-ring-changes" in caught.value.hint
    with ring.cluster.session() as session:
        session.execute("DROP TABLE shop.readings")
    with pytest.raises(Refused, match=r"TABLE shop\.readings was dropped"):
        ring.first.restore("one")
    assert ring.node.running
