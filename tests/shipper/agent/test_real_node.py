"""The program as it is installed, beside a real Cassandra of two nodes.

The agent of one of them: backups by its schedule, a commanded one, and systemd's socket. And both, taking turns.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from backupstore.clock import SystemClock
from backupstore.core.layout import Layout
from backupstore.core.manifest import Entry, read_manifest
from backupstore.errors import NotFound
from backupstore.signing import read_signer, write_pair
from backupstore.stores.local import LocalStore
from shipper.stagger import in_turn
from tests.demo.places import local
from tests.demo.stage import command, write_ini
from tests.harness import Cluster, ClusterConfig, Node, schema
from tests.harness.s3_servers import free_port
from tests.shipper.agent.world import Coordinator
from tests.shipper.cassandra import real
from tests.shipper.cli.program import Done, run, until

pytestmark = [pytest.mark.cassandra, pytest.mark.xdist_group("agent-real")]
JOB = "backup-20261123120000-0123abcd"


@dataclass(frozen=True)
class Running:
    """The process, and what it says to whom."""

    node: Node
    store: LocalStore
    coordinator: Coordinator
    port: int
    process: subprocess.Popen[bytes]
    systemd: socket.socket
    log: Path

    def health(self) -> dict[str, Any]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", "/health")
            loaded: dict[str, Any] = json.loads(connection.getresponse().read())
            return loaded
        finally:
            connection.close()

    def tables(self, backup: str) -> set[str]:
        """What a finished backup holds files of; empty as long as it is not finished."""
        key = Layout().meta(self.node.ip, backup, "manifest.json")
        try:
            items = read_manifest([self.store.read(key).body], key)
        except NotFound:
            return set()
        return {f"{one.keyspace}.{one.table.partition('-')[0]}" for one in items if isinstance(one, Entry)}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster.create(ClusterConfig(name="agent", nodes=2)) as made:
        made.start()
        with made.session() as session:
            schema.create(session, schema.Schema.fitting(made.config))
            session.execute("INSERT INTO shop.customers (id, name) VALUES (uuid(), 'somebody')")
        yield made


@pytest.fixture
def agent(cluster: Cluster, tmp_path: Path) -> Iterator[Running]:
    node = cluster.nodes[0]
    port, (private, public) = free_port(), write_pair(tmp_path)
    ours = {
        "backup_schedule": "* * * * *",
        "agent_listen": f"127.0.0.1:{port}",
        "command_keys_file": str(public),
        "command_interval": "1",
    }
    log, address = tmp_path / "agent.log", tmp_path / "notify"
    with (
        local(tmp_path) as place,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd,
        log.open("wb") as said,
    ):
        systemd.bind(str(address))
        systemd.settimeout(60)
        ini = write_ini(tmp_path, node, replace(place, shipper=ours))
        store = LocalStore(tmp_path / "backups")
        coordinator = Coordinator(store, Layout(), read_signer(private), SystemClock(), JOB, node.ip)
        environment = {**os.environ, "NOTIFY_SOCKET": str(address)}
        with subprocess.Popen([*command(ini), "agent"], stderr=said, env=environment) as process:
            try:
                yield Running(node, store, coordinator, port, process, systemd, log)
            finally:
                process.kill()


def test_it_backs_up_by_its_schedule_and_when_it_is_commanded_to(agent: Running) -> None:
    assert agent.systemd.recv(100) == b"READY=1"
    until(lambda: agent.systemd.recv(4096).startswith(b"WATCHDOG=1"))
    slot = agent.health()["next_backup"]
    assert time.strptime(slot, "%Y%m%d%H%M")
    until(lambda: agent.tables(slot) >= {"shop.customers", "system.local"}, 150, agent.log.read_text)
    until(lambda: (agent.health()["last_backup"] or {}).get("backup", "") >= slot, 60, agent.log.read_text)
    said = agent.health()
    assert (said["good"], said["problems"]) == (True, [])
    assert said["last_backup"]["size"] > 0

    agent.coordinator.command("backup", 1, arguments={"backup": "commanded", "mode": "full"})
    until(lambda: (1, "done") in agent.coordinator.outcomes(), 120, agent.log.read_text)
    assert agent.coordinator.outcomes() == [(1, "doing"), (1, "done")]
    assert agent.tables("commanded") == agent.tables(slot)
    assert not list(agent.node.directory.rglob("snapshots/medusa-shipper-commanded"))

    agent.process.terminate()
    assert agent.process.wait(70) == 0
    assert "stopped" in agent.log.read_text()


def test_the_first_backups_of_a_ring_take_turns(cluster: Cluster, tmp_path: Path) -> None:
    by_ip = {node.ip: node for node in cluster.nodes}
    ring = real.local(cluster.nodes[0], real.access(cluster.nodes[0])).ring()
    first, later = (by_ip[member.address] for member in in_turn(ring))
    with local(tmp_path) as place:
        files = {}
        for node in (first, later):
            (tmp_path / node.name).mkdir()
            files[node.ip] = write_ini(tmp_path / node.name, node, place)

        def backup(node: Node) -> Done:
            return run([*command(files[node.ip]), "backup", "--backup-name", "b1", "--stagger", "2"])

        early = backup(later)
        assert early.code == 1
        assert (
            f"{first.ip}, whose turn is before that of {later.ip}, has finished no backup within 2 seconds" in early.err
        )
        for node in (first, later):
            done = backup(node)
            assert done.code == 0, done.err
