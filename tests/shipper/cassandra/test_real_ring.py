"""Two real nodes with logins and two data directories each: what CQL, nodetool and the disks say about them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from backupstore.clock import SystemClock
from backupstore.errors import BackupError, Denied, NodeTrouble, Refused
from shipper.cassandra import cql, data_directories
from shipper.cassandra.addresses import all_addresses, cql_address, storage_address
from shipper.cassandra.holders import holders
from shipper.cassandra.naming import Naming
from shipper.cassandra.node import LocalNode
from shipper.cassandra.port import CassandraNode
from shipper.cassandra.service import Commands, HealthCheck, Limits, Presence, Service
from shipper.cassandra.wire import Address, accepts
from tests.harness import Cluster, ClusterConfig, Node
from tests.harness import schema as harness_schema
from tests.shipper.cassandra import real

pytestmark = [pytest.mark.cassandra, pytest.mark.xdist_group("cassandra-side")]

PLAIN_ROLE = ("backup", "backup")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    config = ClusterConfig(name="ring side", nodes=2, data_dirs=2, racks=2, auth=True)
    with Cluster.create(config) as cluster:
        cluster.start()
        with cluster.session() as session:
            session.execute("CREATE ROLE backup WITH PASSWORD = 'backup' AND LOGIN = true")
            harness_schema.create(session, harness_schema.Schema.fitting(config))
            for statement in real.MORE_THAN_THE_HARNESS:
                session.execute(statement)
        yield cluster


@pytest.fixture(scope="module")
def first(cluster: Cluster) -> Node:
    return cluster.nodes[0]


@pytest.fixture(scope="module")
def node(first: Node) -> Iterator[LocalNode]:
    with real.local(first, real.access(first, PLAIN_ROLE)) as node:
        yield node


def test_each_node_speaks_for_itself_only(cluster: Cluster) -> None:
    found = []
    for number, each in enumerate(cluster.nodes, 1):
        with cql.connect(real.access(each, PLAIN_ROLE)) as session:
            found.append(session.identity())
            assert found[-1].address == each.ip
            assert set(found[-1].tokens) == set(cluster.config.tokens(number))
    assert len({each.host_id for each in found}) == 2
    assert {(each.cluster, each.dc, each.release_version, each.server_type) for each in found} == {
        ("ring side", "datacenter1", cluster.config.version, "cassandra")
    }
    assert [each.rack for each in found] == ["rack1", "rack2"]


def test_the_ring_is_the_same_from_everywhere_but_for_who_is_up(cluster: Cluster) -> None:
    views = []
    for each in cluster.nodes:
        with real.local(each, real.access(each, PLAIN_ROLE)) as node:
            views.append({(m.name, m.address, m.host_id, m.dc, m.rack, m.tokens) for m in node.ring()})
            assert [(m.name, m.is_up) for m in node.ring()] == [
                (other.ip, True if other == each else None) for other in cluster.nodes
            ]
    assert views[0] == views[1]


def test_a_configured_name_is_in_the_ring(first: Node) -> None:
    node = real.local(first, real.access(first, PLAIN_ROLE), Naming("db1", resolve=False))
    own = node.identity()
    assert {m.name for m in node.ring() if m.host_id == own.host_id} == {"db1"}


def test_the_schema_comes_in_both_forms(node: LocalNode) -> None:
    schema = node.schema()
    assert schema == node.schema()
    kinds = {(each.keyspace, each.kind, each.name) for each in schema.statements}
    assert kinds >= {
        ("MixedCase", "keyspace", "MixedCase"),
        ("MixedCase", "table", "Tab"),
        ("shop", "table", "QuotedTable"),
        ("shop", "view", "orders_by_kind"),
        ("shop", "index", "customers_by_name"),
        ("shop", "type", "address"),
        ("shop", "function", "plus(int, int)"),
    }
    (shrunk,) = (each.text for each in schema.statements if each.name == "shrunk")
    assert shrunk.count("shop.shrunk") == 2, "CREATE and ALTER … DROP in one text"
    assert "DROP gone USING TIMESTAMP" in shrunk
    assert shrunk in schema.described
    assert "ID = " in shrunk


def test_the_export_is_as_stock_writes_it(node: LocalNode) -> None:
    export = node.schema().export
    assert "CREATE KEYSPACE shop WITH" in export
    assert "CREATE KEYSPACE system_auth WITH" in export
    assert "system_traces" not in export
    assert "\n\nCREATE TABLE shop.orders (" in export


def test_truncations_have_their_time(cluster: Cluster, node: LocalNode) -> None:
    with cluster.session() as session:
        session.execute("CREATE TABLE shop.cut (k int PRIMARY KEY)")
        session.execute("INSERT INTO shop.cut (k) VALUES (1)")
        began = time.time()
        session.execute("TRUNCATE shop.cut")
        ended = time.time()
        query = "SELECT id FROM system_schema.tables WHERE keyspace_name = 'shop' AND table_name = 'cut'"
        table = str(session.execute(query).one().id)
    with node.session() as asked:
        assert began - 0.01 <= asked.truncations()[table] <= ended + 0.01


def test_a_snapshot_holds_every_table_and_every_sstable_is_sound(first: Node, node: LocalNode) -> None:
    node.snapshot("whole")
    tables = node.snapshot_tables("whole")
    names = {(table.keyspace, table.table.partition("-")[0]) for table in tables}
    assert names >= {("shop", "empty_shelf"), ("MixedCase", "Tab"), ("shop", "QuotedTable"), ("system", "local")}
    assert "system_traces" not in {keyspace for keyspace, _ in names}
    assert {table.disk for table in tables} == {0, 1}
    assert [problem for table in tables for problem in real.problems(table)] == []
    components = [each for table in tables for each in data_directories.components(table)]
    assert {each.index for each in components} == {None, ".customers_by_name"}
    plain = {each.file.rpartition("-")[2] for each in components if each.table.startswith("plain-")}
    assert "CRC.db" in plain
    assert "CompressionInfo.db" not in plain
    on_disk = {
        path
        for directory in first.data_dirs
        for path in directory.glob("[!.]*/*/snapshots/whole/**/*")
        if path.is_file() and path.name not in {"manifest.json", "schema.cql"} and "system_traces" not in path.parts
    }
    assert {each.path for each in components} == on_disk
    assert len(components) == len(on_disk)


def test_an_existing_tag_is_refused_even_for_other_tables(node: LocalNode) -> None:
    node.snapshot("taken", tables=["shop.orders"])
    for tables in ([], ["shop.hits"]):
        with pytest.raises(NodeTrouble, match="There is a snapshot taken already"):
            node.snapshot("taken", tables=tables)
    assert {table.table.partition("-")[0] for table in node.snapshot_tables("taken")} == {"orders"}


def test_keyspaces_and_tables_can_be_chosen(node: LocalNode) -> None:
    node.snapshot("some", keyspaces=["MixedCase"], tables=["shop.hits", "shop.QuotedTable", "MixedCase.Tab"])
    names = {f"{table.keyspace}.{table.table.partition('-')[0]}" for table in node.snapshot_tables("some")}
    assert names == {"MixedCase.Tab", "shop.hits", "shop.QuotedTable"}


@pytest.mark.parametrize(
    ("keyspaces", "tables", "why"),
    [
        ([], ["shop.nosuch"], "Unknown keyspace/cf pair"),
        ([], ["shop.orders", "nosuch.orders"], "nosuch"),
        (["nosuch"], [], "nosuch"),
    ],
)
def test_what_is_unknown_is_an_error(node: LocalNode, keyspaces: list[str], tables: list[str], why: str) -> None:
    with pytest.raises(NodeTrouble, match=why):
        node.snapshot("unknown", keyspaces=keyspaces, tables=tables)


@pytest.mark.parametrize(
    ("tag", "keyspaces", "tables"), [("a/b", [], []), ("-t", [], []), ("t", ["-x"], []), ("t", [], ["shop"])]
)
def test_what_is_no_name_is_refused(node: LocalNode, tag: str, keyspaces: list[str], tables: list[str]) -> None:
    with pytest.raises(Refused, match="cannot be a name"):
        node.snapshot(tag, keyspaces=keyspaces, tables=tables)


def test_a_snapshot_that_is_taken_elsewhere_is_an_error(cluster: Cluster, first: Node) -> None:
    other = cluster.nodes[1]
    wrong = LocalNode(real.configuration(other), real.access(first), real.nodetool(first), Naming())
    with pytest.raises(NodeTrouble, match=r"took the snapshot astray, but system\.local is not in it") as failure:
        wrong.snapshot("astray")
    assert "config_file" in failure.value.hint
    assert data_directories.snapshot_tags(first.data_dirs, "astray") == ()


def test_snapshots_are_cleared(node: LocalNode) -> None:
    node.snapshot("medusa-a", tables=["shop.hits"])
    node.snapshot("medusa-b", tables=["shop.orders"])
    assert node.snapshot_tags("medusa-") == ("medusa-a", "medusa-b")
    node.clear_snapshot("medusa-a")
    node.clear_snapshot("medusa-nosuch")
    assert node.snapshot_tags("medusa-") == ("medusa-b",)


def test_nodetool_tells_about_ring_and_node_and_reaches_a_peer(cluster: Cluster, first: Node) -> None:
    nodetool = real.nodetool(first)
    assert [(each.address, each.is_up, each.is_normal) for each in nodetool.status()] == [
        (each.ip, True, True) for each in cluster.nodes
    ]
    assert nodetool.info()["ID"] in {each.host_id for each in nodetool.status()}
    peer = cluster.nodes[1]
    nodetool.at(peer.ip).disable_handoff()
    assert "not running" in peer.nodetool("statushandoff")
    assert "not running" not in first.nodetool("statushandoff")
    nodetool.at(peer.ip).enable_handoff()
    assert "not running" not in peer.nodetool("statushandoff")


def test_a_wrong_login_is_denied(first: Node) -> None:
    for login in (("backup", "hunter2"), real.NOBODY):
        with pytest.raises(Denied, match="refused the login") as failure, cql.connect(real.access(first, login)):
            pass
        assert "hunter2" not in failure.value.explained
        assert "cql_password" in failure.value.hint


def test_a_query_without_the_right_is_denied_and_a_wrong_one_is_told(node: LocalNode) -> None:
    with node.session() as session, pytest.raises(Denied, match="SELECT permission"):
        session.query("SELECT * FROM shop.orders")
    with node.session() as session, pytest.raises(NodeTrouble, match="refused a query"):
        session.query("SELECT nonsense FROM system.local")


def test_the_operators_question_is_compared(node: LocalNode) -> None:
    query = "SELECT key, bootstrapped FROM system.local"
    with node.session() as session:
        assert HealthCheck().problems(session) == ()
        assert HealthCheck(query, 1, "local,COMPLETED").problems(session) == ()
        assert HealthCheck(query, 2, "local").problems(session) == (
            "the query gave 1 rows, not 2",
            "the first row is 'local,COMPLETED', not 'local'",
        )


def test_sessions_leave_no_threads_behind(first: Node) -> None:
    with cql.connect(real.access(first, PLAIN_ROLE)) as session:
        session.identity()
    before = set(threading.enumerate())
    for _ in range(3):
        with cql.connect(real.access(first, PLAIN_ROLE)) as session:
            session.identity()
    end = time.monotonic() + 5
    while set(threading.enumerate()) - before and time.monotonic() < end:
        time.sleep(0.05)
    assert not set(threading.enumerate()) - before


def test_a_closed_port_and_a_port_that_is_not_cql_are_told_apart(first: Node) -> None:
    address = Address(first.ip, 9999)
    with pytest.raises(NodeTrouble, match="does not answer"), cql.connect(real.access(first).at(address)):
        pass
    storage = Address(first.ip, 7000)
    with pytest.raises(NodeTrouble, match="does not"), cql.connect(real.access(first).at(storage)):
        pass


def test_stopping_waits_for_the_process_and_starting_for_an_answer(cluster: Cluster, first: Node) -> None:
    kept = real.local(first, real.access(first, PLAIN_ROLE))
    found = real.configuration(first)
    directories = (*found.directories.data, *found.directories.beside_data)
    presence = Presence(cql_address(found, tls=False), storage_address(found), all_addresses(found), directories)
    # A stop command that comes back at once, as many do.
    hasty = ("sh", "-c", f"kill {first.pid}")
    commands = Commands((str(first.script("start")),), hasty)
    service = Service(commands, presence, Limits(stop=60, start=120), SystemClock())
    with kept:
        before = kept.identity()
        kept.snapshot("kept", tables=["shop.orders"])
        assert service.ailments("all") == ()
        assert any("takes connections" in trace for trace in service.traces())
        assert {each.pid for each in holders(directories)} == {first.pid}
        pid = first.pid
        service.stop()
        assert holders(directories) == ()
        assert not accepts(presence.storage, 1)
        assert not kept.is_up()
        with pytest.raises(BackupError):
            kept.identity()
        assert kept.snapshot_tags("kept") == ("kept",)
        service.stop()
        service.start("all")
        assert first.pid != pid
        assert kept.is_up()
        cluster.wait_ring()
        assert kept.identity().host_id == before.host_id


def test_a_session_kept_over_a_restart_is_renewed(node: LocalNode) -> None:
    port: CassandraNode = node
    assert {member.host_id for member in port.ring()} >= {port.identity().host_id}
    assert "shop" in port.schema().export
