"""Options on a real node, with the program as it is run: Jolokia, an operator's snapshot, metrics and the log file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from backupstore.errors import NodeTrouble
from shipper.cassandra import cql
from shipper.cassandra.node import LocalNode
from tests.harness import Cluster, ClusterConfig, Node, jolokia
from tests.harness.s3_servers import free_port
from tests.settings.node import wiring
from tests.settings.shown import ini, settings
from tests.settings.udp import receiver
from tests.shipper.cassandra import real
from tests.shipper.cli.program import run

pytestmark = [pytest.mark.cassandra, pytest.mark.xdist_group("cassandra-side")]

SCHEMA = (
    "CREATE KEYSPACE shop WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
    "CREATE TABLE shop.orders (k int PRIMARY KEY, v text)",
    "CREATE TABLE shop.empty (k int PRIMARY KEY, v text)",
    "INSERT INTO shop.orders (k, v) VALUES (1, 'one')",
)


@dataclass(frozen=True, slots=True)
class Beside:
    """A node with Jolokia in it."""

    node: Node
    url: str

    def sections(self, folder: Path, **more: dict[str, object]) -> dict[str, dict[str, object]]:
        """The settings for it."""
        return {
            "storage": {"fqdn": self.node.ip},
            "cassandra": {"config_file": self.node.yaml, "nodetool_executable": "false", "resolve_ip_addresses": "no"},
            "kubernetes": {"enabled": "1", "cassandra_url": self.url},
            "shipper": {"state_dir": folder / "state"},
            **more,
        }

    def local(self, folder: Path) -> LocalNode:
        return wiring(settings(folder, **self.sections(folder))).node


@pytest.fixture(scope="module")
def beside() -> Iterator[Beside]:
    port = free_port()
    with Cluster.create(ClusterConfig(name="settings", jvm=(jolokia.agent(port),))) as cluster:
        cluster.start()
        (node,) = cluster.nodes
        with cql.connect(real.access(node)) as session:
            for statement in SCHEMA:
                session.query(statement)
        yield Beside(node, f"http://127.0.0.1:{port}/jolokia/")


def tables(node: LocalNode, tag: str) -> set[str]:
    return {f"{each.keyspace}.{each.table.partition('-')[0]}" for each in node.snapshot_tables(tag)}


def test_jolokia_takes_and_clears_snapshots(beside: Beside, tmp_path: Path) -> None:
    node = beside.local(tmp_path)
    node.snapshot("all")
    assert {"shop.orders", "shop.empty", "system.local"} <= tables(node, "all")
    node.snapshot("some", keyspaces=["system"], tables=["shop.orders"])
    assert "shop.orders" in tables(node, "some")
    assert "shop.empty" not in tables(node, "some")
    with pytest.raises(NodeTrouble, match="already exists"):
        node._commands.snapshot("all")
    for tag in ("all", "some", "never taken"):
        node._commands.clear_snapshot(tag)
    assert node.snapshot_tags("") == ()


def test_an_operators_snapshot_is_backed_up_measured_and_logged(beside: Beside, tmp_path: Path) -> None:
    node = beside.local(tmp_path)
    node.snapshot("medusa-b1")
    with receiver() as udp:
        file = ini(
            tmp_path,
            **beside.sections(
                tmp_path,
                monitoring={"monitoring_provider": "dog-statsd", "send_backup_name_tag": "True"},
                logging={"enabled": "1", "file": tmp_path / "medusa.log"},
                checks={"enable_md5_checks": "1"},
            ),
        )
        environ = {"DD_AGENT_HOST": "127.0.0.1", "DD_DOGSTATSD_PORT": str(udp.port)}
        command = [sys.executable, "-m", "shipper", "--config-file", str(file), "backup", "--backup-name", "b1"]
        done = run([*command, "--use-existing-snapshot"], environ)
        sent = [text.partition("|")[0].partition(":") for text in udp.taken()]
    assert done.code == 0, done.err
    said = {name.removeprefix("medusa-node-backup."): float(value) for name, _, value in sent}
    assert list(said) == [
        "backup-duration",
        "backup-size",
        "backup-corrupt",
        "medusa-shipper.backup-new-bytes",
        "backup-error",
    ]
    assert (said["backup-corrupt"], said["backup-error"]) == (0, 0)
    assert said["medusa-shipper.backup-new-bytes"] == said["backup-size"], "the first one"
    assert said["backup-size"] > 1000
    assert tables(node, "medusa-b1"), "it is left where it is"
    node.clear_snapshot("medusa-b1")
    assert node.snapshot_tags("") == ()
    assert "the snapshot medusa-b1 is left as it is" in (tmp_path / "medusa.log").read_text()
