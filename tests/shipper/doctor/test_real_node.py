"""A real Cassandra: all is well while it runs, and what is said when it does not, or is another one than was thought."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import Cluster, ClusterConfig, Node
from tests.shipper.cli.program import Program
from tests.shipper.doctor.asked import S3Program, ask, run_index

pytestmark = [pytest.mark.cassandra, pytest.mark.xdist_group("doctor-real")]

LOGIN = ("cql_username = backup", "cql_password = backup")


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    with Cluster.create(ClusterConfig(name="doctor", auth=True)) as cluster:
        cluster.start()
        with cluster.session() as session:
            session.execute("CREATE ROLE backup WITH PASSWORD = 'backup' AND LOGIN = true")
        yield cluster.nodes[0]


def program(folder: Path, node: Node, *cassandra: str, fqdn: str = "") -> Program:
    """The node with a local bucket."""
    (folder / "buckets/bucket").mkdir(parents=True, exist_ok=True)
    storage = ("storage_provider = local", f"base_path = {folder / 'buckets'}", "bucket_name = bucket")
    common = (
        f"config_file = {node.yaml}",
        f"nodetool_executable = {node.script('nodetool')}",
        "stop_cmd = true",
        "start_cmd = true",
        "resolve_ip_addresses = False",
    )
    return S3Program(folder, (*storage, f"fqdn = {fqdn or node.ip}"), cassandra=(*common, *(cassandra or LOGIN)))


def test_a_node_that_is_well(node: Node, tmp_path: Path) -> None:
    well = program(tmp_path, node)
    assert not well.run("backup", "--backup-name", "b1").code
    run_index(well)
    found = ask(well)
    assert not found.said("fail")
    for check in (
        "node/cassandra.yaml",
        "node/data",
        "node/nodetool",
        "node/cql",
        "node/same",
        "node/commands",
        "node/state",
        "node/room",
        "node/restore",
        "names/own",
        "names/ring",
        "names/neighbours",
        "names/identity",
        "index/catalog",
        "index/events",
        "stock/data",
    ):
        assert found.status(check) == {"ok"}, (check, found.of(check))


def test_a_login_that_is_wrong(node: Node, tmp_path: Path) -> None:
    found = ask(program(tmp_path, node, "cql_username = backup", "cql_password = other"), "node")
    assert found.status("node/cql") == {"fail"}
    assert "Check cql_username and cql_password" in found.said("fail")
    assert found.status("node/nodetool") == {"ok"}
    assert found.status("node/same") == {"not checked"}


def test_nodetool_that_is_not_there(node: Node, tmp_path: Path) -> None:
    found = ask(program(tmp_path, node, *LOGIN, "nodetool_port = 1"), "node")
    assert "Is Cassandra running?" in found.said("fail")
    assert found.status("node/cql") == {"ok"}


def test_commands_that_are_not_there(node: Node, tmp_path: Path) -> None:
    made = program(tmp_path, node)
    without = tuple(line.replace("stop_cmd = true", "stop_cmd = no-such-program stop") for line in made.cassandra)
    found = ask(S3Program(tmp_path, made.storage, cassandra=without), "node")
    assert "no-such-program is not on this machine" in found.said("warn")


def test_a_name_that_the_ring_does_not_know(node: Node, tmp_path: Path) -> None:
    """Another machine's medusa.ini was copied: two nodes would ship under one name."""
    made = program(tmp_path, node, fqdn="other")
    assert not made.run("backup", "--backup-name", "b1").code
    remembered = tmp_path / "state/identity.json"
    remembered.write_text(remembered.read_text().replace('"host_id": "', '"host_id": "f'))
    found = ask(made, "names")
    assert "the last backup under the name other was made by host id f" in found.said("warn")


def test_a_configuration_of_another_cluster(node: Node, tmp_path: Path) -> None:
    copied = tmp_path / "cassandra.yaml"
    copied.write_text(node.yaml.read_text().replace("cluster_name:", "cluster_name: elsewhere #"))
    made = program(tmp_path, node)
    other = tuple(line.replace(str(node.yaml), str(copied)) for line in made.cassandra)
    found = ask(S3Program(tmp_path, made.storage, cassandra=other), "node")
    assert "and " + str(copied) + " is of elsewhere" in found.said("fail")


def test_a_node_that_is_down(node: Node, tmp_path: Path) -> None:
    node.stop()
    found = ask(program(tmp_path, node), "node", "names")
    assert found.status("node/nodetool") == found.status("node/cql") == {"fail"}
    assert found.status("node/same") == found.status("names/ring") == {"not checked"}
    assert found.status("node/data") == found.status("node/cassandra.yaml") == found.status("names/own") == {"ok"}
