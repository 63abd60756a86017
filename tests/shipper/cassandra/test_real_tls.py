"""A real node that speaks TLS only and writes the trie format with UUID generations."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from backupstore.core.sstables import parse_component
from backupstore.errors import Misconfigured, NodeTrouble
from shipper.cassandra import cql, data_directories
from shipper.cassandra.cql import Tls
from shipper.cassandra.node import LocalNode
from tests.harness import Cluster, ClusterConfig, Node
from tests.shipper.cassandra import real

pytestmark = [pytest.mark.cassandra, pytest.mark.xdist_group("cassandra-side")]

PASSWORD = "changeit"
SCHEMA = (
    "CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
    "CREATE TABLE k.indexed (k int PRIMARY KEY, v text)",
    "CREATE CUSTOM INDEX by_v ON k.indexed (v) USING 'StorageAttachedIndex'",
    "CREATE TABLE k.plain (k int PRIMARY KEY, v text) WITH compression = {'enabled': false}",
    "INSERT INTO k.indexed (k, v) VALUES (1, 'one')",
    "INSERT INTO k.plain (k, v) VALUES (1, 'one')",
)


@dataclass(frozen=True, slots=True)
class Secured:
    """The node and the client's files."""

    node: Node
    tls: Tls
    stranger: Path


def keytool(*arguments: str) -> None:
    program = shutil.which("keytool")
    assert program, "keytool comes with Java"
    subprocess.run([program, *arguments], check=True, capture_output=True)


def key_pair(folder: Path, name: str) -> tuple[Path, Path]:
    """A key store with a self-signed certificate, and the certificate in PEM form."""
    store, certificate = folder / f"{name}.p12", folder / f"{name}.pem"
    common = ("-alias", name, "-keystore", str(store), "-storepass", PASSWORD, "-storetype", "PKCS12")
    keytool("-genkeypair", *common, "-keyalg", "EC", "-dname", f"CN={name}", "-validity", "2")
    keytool("-exportcert", *common, "-rfc", "-file", str(certificate))
    return store, certificate


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("tls")
    store, certificate = key_pair(folder, "node")
    _, stranger = key_pair(folder, "stranger")
    encryption = {
        "enabled": True,
        "optional": False,
        "keystore": str(store),
        "keystore_password": PASSWORD,
        "store_type": "PKCS12",
    }
    config = ClusterConfig(
        name="tls",
        sstable_format="bti",
        uuid_sstables=True,
        settings={"client_encryption_options": encryption},
    )
    with Cluster.create(config) as cluster:
        (node,) = cluster.nodes
        node.start(wait=False)
        secured = Secured(node, Tls(certificate), stranger)
        wait_up(real.local(node, real.access(node, tls=secured.tls)))
        yield secured


def wait_up(node: LocalNode) -> None:
    end = time.monotonic() + 120
    while not node.is_up():
        assert time.monotonic() < end, "the node did not come up"
        time.sleep(0.2)


def test_a_session_speaks_tls(secured: Secured) -> None:
    with cql.connect(real.access(secured.node, tls=secured.tls)) as session:
        assert session.identity().address == secured.node.ip
        assert len(session.ring(lambda _, address: address)) == 1


def test_without_tls_it_says_what_is_missing(secured: Secured) -> None:
    with pytest.raises(NodeTrouble, match="does not speak CQL") as failure, cql.connect(real.access(secured.node)):
        pass
    assert "certfile" in failure.value.hint


def test_a_certificate_that_nobody_vouches_for_is_refused(secured: Secured) -> None:
    access = real.access(secured.node, tls=Tls(secured.stranger))
    with pytest.raises(NodeTrouble, match="failed TLS") as failure, cql.connect(access):
        pass
    assert "certfile" in failure.value.hint
    assert not real.local(secured.node, access).is_up()


def test_files_that_are_no_certificates_are_told(secured: Secured, tmp_path: Path) -> None:
    for tls in (Tls(tmp_path / "none.pem"), Tls(secured.node.yaml), Tls(secured.stranger, secured.stranger, tmp_path)):
        with pytest.raises(Misconfigured, match="certfile, usercert or userkey"):
            cql.connect(real.access(secured.node, tls=tls)).__enter__()
        assert not real.local(secured.node, real.access(secured.node, tls=tls)).is_up()


def test_the_trie_format_is_understood(secured: Secured) -> None:
    with cql.connect(real.access(secured.node, tls=secured.tls)) as session:
        for statement in SCHEMA:
            session.query(statement)
    node = real.local(secured.node, real.access(secured.node, tls=secured.tls))
    node.snapshot("trie")
    tables = node.snapshot_tables("trie")
    assert [problem for table in tables for problem in real.problems(table)] == []
    files = [each.file for table in tables if table.keyspace == "k" for each in data_directories.components(table)]
    parts = {parse_component(file) for file in files}
    assert {descriptor.rpartition("-")[2] for descriptor, _ in parts} == {"bti"}
    assert all("_" in descriptor for descriptor, _ in parts), "generations are UUIDs"
    assert {component for _, component in parts} >= {"Rows.db", "Partitions.db", "SAI+aa+by_v+Meta.db", "CRC.db"}
