"""The backup of one real node on another one, with another address, other tokens, a host id of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness import Cluster, ClusterConfig, Node, loading, reading, schema
from tests.harness.reading import Row
from tests.shipper.restore.real import Wired, wire

pytestmark = [pytest.mark.cassandra, pytest.mark.timeout(900)]
TOKENS = "-9000000000000000000,-3000000000000000000,1000000000000000000,7000000000000000000"


@dataclass(frozen=True)
class Pair:
    """A node that is no more, its rows and tokens, and the node that takes them over."""

    rows: dict[str, list[Row]]
    host_id: str
    tokens: set[str]
    here: Cluster
    wired: Wired
    source: str

    @property
    def node(self) -> Node:
        return self.here.nodes[0]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The command line, as the operator of the other machine types it."""
        config = str(self.wired.folder / "medusa.ini")
        command = [sys.executable, "-m", "shipper", "--config-file", config, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


def who(cluster: Cluster) -> tuple[str, set[str]]:
    with cluster.session(consistency="ONE") as session:
        row = session.execute("SELECT host_id, tokens FROM system.local").one()
        return str(row.host_id), set(row.tokens)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder: Path = tmp_path_factory.mktemp("remote")
    config = ClusterConfig(name="remote", num_tokens=4, data_dirs=2)
    with Cluster.create(config) as source:
        source.start()
        ip = source.nodes[0].ip
        with source.session() as session:
            schema.create(session, schema.Schema.fitting(config))
            loading.load(session, rows=20)
            session.execute("CREATE TABLE shop.peers (k int PRIMARY KEY, v text)")
            session.execute("INSERT INTO shop.peers (k, v) VALUES (1, 'no table of the system')")
        wire(source.nodes[0], folder / "source", folder / "bucket").back_up("one")
        with source.session() as session:
            rows = reading.read_all(session)
        host_id, tokens = who(source)
        other = ClusterConfig(name="remote", num_tokens=4, data_dirs=2, settings={"initial_token": TOKENS})
        with Cluster.create(other) as here:  # while the first one runs, so that it has another address
            source.stop()
            here.start()
            with here.session() as session:
                session.execute(
                    "CREATE KEYSPACE here WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"
                )
                session.execute("CREATE TABLE here.mine (k int PRIMARY KEY)")
                session.execute("INSERT INTO here.mine (k) VALUES (7)")
            wired = wire(here.nodes[0], folder / "here", folder / "bucket")
            yield Pair(rows, host_id, tokens, here, wired, ip)


def test_a_start_that_fails_leaves_everything_as_it_was(pair: Pair) -> None:
    before, yaml = who(pair.here), pair.node.yaml.read_bytes()
    start = pair.wired.folder / "start"
    start.write_text(
        f'#!/bin/sh\n[ -e "{start}.once" ] && exec {pair.node.script("start")}\ntouch "{start}.once"; exit 3\n'
    )
    start.chmod(0o755)
    ini = pair.wired.folder / "medusa.ini"
    text = ini.read_text()
    ini.write_text(text.replace(f"start_cmd = {pair.node.script('start')}", f"start_cmd = {start}"))
    done = pair.run("--fqdn", pair.source, "restore-node", "--remote", "--backup-name", "one")
    ini.write_text(text)
    assert done.returncode == 1, done.stderr
    assert "The old data is back in place" in done.stderr
    assert pair.node.yaml.read_bytes() == yaml
    assert who(pair.here) == before
    with pair.here.session() as session:
        assert [row.k for row in session.execute("SELECT k FROM here.mine")] == [7]


def test_the_other_nodes_rows_and_tokens_and_a_host_id_of_its_own(pair: Pair) -> None:
    before, yaml = who(pair.here), pair.node.yaml.read_bytes()
    done = pair.run("--fqdn", pair.source, "restore-node", "--remote", "--backup-name", "one")
    assert done.returncode == 0, done.stderr
    host_id, tokens = who(pair.here)
    assert tokens == pair.tokens != before[1]
    assert host_id not in {pair.host_id, before[0]}
    assert pair.node.yaml.read_bytes() == yaml
    with pair.here.session() as session:
        assert reading.read_all(session) == pair.rows
        assert [row.v for row in session.execute("SELECT v FROM shop.peers")] == ["no table of the system"]
        assert list(session.execute("SELECT peer FROM system.peers_v2")) == []


def test_it_starts_again_with_its_own_yaml_and_is_backed_up_under_its_own_name(pair: Pair) -> None:
    before = who(pair.here)
    pair.node.stop()
    pair.here.start()
    assert who(pair.here) == before
    done = pair.run("backup", "--backup-name", "mine")
    assert done.returncode == 0, done.stderr
    with pair.here.session() as session:
        assert reading.read_all(session) == pair.rows


def test_what_was_its_own_is_not_restored_as_anothers(pair: Pair) -> None:
    done = pair.run("restore-node", "--remote", "--backup-name", "mine")
    assert done.returncode == 1
    assert "made by this very node" in done.stderr
    done = pair.run("--fqdn", pair.source, "restore-node", "--in-place", "--backup-name", "one")
    assert done.returncode == 1
    assert f"was made by the node with host id {pair.host_id}" in done.stderr
