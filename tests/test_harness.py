"""The harness keeps its word: what other tests build on is tried here first, on a real node."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import Cluster, ClusterConfig, HarnessError, jars, loading, processes, reading, schema
from tests.harness.__main__ import main
from tests.harness.stock import Stock

# One node for all tests of this file: they have to run in one worker.
pytestmark = pytest.mark.xdist_group("harness")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    config = ClusterConfig(name="harness-test", auth=True, sstable_format="bti")
    with Cluster.create(config) as created:
        created.start()
        with created.session() as session:
            schema.create(session, schema.Schema.fitting(config))
            loading.load(session, rows=40)
        yield created


@pytest.mark.cassandra
def test_a_node_restarted_by_its_scripts_holds_what_it_held(cluster: Cluster) -> None:
    node = cluster.nodes[0]
    with cluster.session() as session:
        before = reading.read_all(session)
        found = reading.query_indexes(session)
        described = reading.describe(session)
    assert tuple(before) == schema.TABLES
    assert all(bool(rows) != (name == "shop.empty_shelf") for name, rows in before.items())

    node.flush()
    subprocess.run([node.script("stop")], check=True)
    assert not node.running
    subprocess.run([node.script("start")], check=True)
    node.wait_up()

    with cluster.session() as session:
        assert reading.read_all(session) == before
        assert reading.query_indexes(session) == found
        assert reading.describe(session) == described


@pytest.mark.cassandra
def test_a_second_batch_changes_every_table_that_holds_rows(cluster: Cluster) -> None:
    with cluster.session() as session:
        first = reading.read_all(session)
        loading.load(session, rows=40, batch=2)
        second = reading.read_all(session)
    changed = {name for name in first if first[name] != second[name]}
    assert changed == set(schema.TABLES) - {"shop.empty_shelf"}


@pytest.mark.cassandra
def test_tools_speak_with_the_node_that_is_meant(cluster: Cluster) -> None:
    node = cluster.nodes[0]
    by_address = node.nodetool("-Dsome.flag=1", "-h", node.ip, "-p", "7199", "info")
    assert by_address.splitlines()[0] == node.nodetool("info").splitlines()[0]
    assert node.attempt("nodetool", "-h", "192.0.2.1", "info").returncode == 1

    node.flush("shop", "customers")
    tables = [line for line in node.run("sstableutil", "shop", "customers").splitlines() if line.endswith("Data.db")]
    assert "name1" in node.sstabledump(Path(tables[0]))


@pytest.mark.cassandra
@pytest.mark.stock
def test_stock_medusa_backs_up_lists_and_verifies(cluster: Cluster, tmp_path: Path) -> None:
    node = cluster.nodes[0]
    stock = Stock(work=tmp_path / "stock", base_path=tmp_path, prefix="production", node=node)

    stock.backup("monday").check()

    assert [(each["name"], each["nodes"][0]["fqdn"]) for each in stock.list_backups()] == [("monday", node.ip)]
    assert stock.status("monday")["completed_nodes"] == 1
    assert "Manifest validated: OK" in stock.verify("monday").check().stdout
    assert stock.verify("tuesday").exit_code == 1


@pytest.mark.cassandra
def test_nodes_die_with_the_program_that_started_them() -> None:
    program = (
        "from tests.harness import Cluster; cluster = Cluster.create(); cluster.start(wait=False);"
        "print(cluster.nodes[0].pid, cluster.base, flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        pid, base = owner.stdout.readline().split()
        assert processes.identity(int(pid))
        owner.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while processes.identity(int(pid)) or Path(base).exists():
        assert time.monotonic() < deadline, f"{pid} or {base} outlived its owner"
        time.sleep(0.05)


def test_a_program_on_a_leash_dies_with_the_one_that_started_it() -> None:
    program = (
        "import subprocess; from tests.harness.leash import leashed;"
        "print(subprocess.Popen(leashed(['sleep', '600'])).pid, flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert processes.identity(pid)
        owner.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while processes.identity(pid):
        assert time.monotonic() < deadline, f"{pid} outlived its owner"
        time.sleep(0.05)


@pytest.mark.cassandra
def test_clusters_at_the_same_time_share_neither_addresses_nor_ports() -> None:
    with Cluster.create(ClusterConfig(nodes=3)) as one, Cluster.create(ClusterConfig(nodes=2)) as other:
        nodes = one.nodes + other.nodes
        assert len({node.ip for node in nodes}) == 5
        assert len({node.jmx_port for node in nodes}) == 5
    assert not one.base.exists()


def test_missing_maven_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "java").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(HarnessError, match=r"mvn is not on the PATH.*install Apache Maven"):
        jars.installed()
    (tmp_path / "java").unlink()
    with pytest.raises(HarnessError, match=r"java is not on the PATH.*install a Java 17"):
        jars.installed()
    assert list((tmp_path / "cache/medusa-shipper").glob("cassandra-*")) == [
        tmp_path / "cache/medusa-shipper/cassandra-5.0.6.lock"
    ]


def test_by_hand_a_cluster_that_is_not_there_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--directory", str(tmp_path)]) == 1
    assert "there is no cluster" in capsys.readouterr().err
