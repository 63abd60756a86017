"""restore-cluster asks a real node who is in its ring, who the seeds are, and what its tables are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from backupstore.core.layout import Layout
from backupstore.core.pairing import Seat
from backupstore.core.topology import Ring
from tests.harness.cluster import Cluster
from tests.harness.config import ClusterConfig
from tests.operations.clusters import Shipped, ship_cluster
from tests.shipper.cli.program import Program

pytestmark = pytest.mark.cassandra

KEYSPACE = (
    "CREATE KEYSPACE shop WITH replication = {'class': 'NetworkTopologyStrategy', '%s': '1'} AND durable_writes = true;"
)
TABLE = "CREATE TABLE shop.%s (id int PRIMARY KEY, name text) WITH ID = %s;"
OLD_ID, GONE_ID = "00000000-1111-2222-3333-444444444444", "00000000-1111-2222-3333-555555555555"


@dataclass(frozen=True)
class There:
    """The node as it says itself."""

    ip: str
    yaml: Path
    host_id: str
    tokens: tuple[int, ...]

    def seat(self, name: str, *, host_id: str = "", tokens: tuple[int, ...] = ()) -> Seat:
        return Seat(name, "datacenter1", "rack1", tokens or self.tokens, host_id or self.host_id)


@pytest.fixture(scope="module")
def there() -> Iterator[There]:
    """One node with the tables shop.orders and shop.newer."""
    with Cluster.create(ClusterConfig(num_tokens=4, settings={"auto_snapshot": True})) as cluster:
        cluster.start()
        with cluster.session() as session:
            for statement in (
                KEYSPACE % "datacenter1",
                *(f"CREATE TABLE shop.{t} (id int PRIMARY KEY)" for t in ("orders", "newer")),
            ):
                session.execute(statement)
            (row,) = session.execute("SELECT host_id, tokens FROM system.local")
        yield There(cluster.nodes[0].ip, cluster.nodes[0].yaml, str(row.host_id), tuple(sorted(map(int, row.tokens))))


@pytest.fixture
def program(tmp_path: Path) -> Program:
    made = Program(tmp_path, cassandra=("resolve_ip_addresses = False",))
    made.bucket.mkdir()
    return made


def ship(program: Program, *seats: Seat, dc: str = "datacenter1") -> None:
    schema = "\n\n".join((KEYSPACE % dc, TABLE % ("orders", OLD_ID), TABLE % ("gone", GONE_ID)))
    ship_cluster(program.store, Layout(), "b1", Shipped(ring=Ring(seats, "harness"), described=schema))


def plan(program: Program, target: str, *more: str) -> str:
    done = program.run("restore-cluster", "--backup-name", "b1", "--dry-run", "--seed-target", target, *more)
    assert done.code == 0, done.err
    return done.out


def plan_here(tmp_path: Path, there: There, *seats: Seat) -> str:
    """As typed on the node, which nobody names."""
    program = Program(tmp_path, cassandra=("resolve_ip_addresses = False", f"config_file = {there.yaml}"))
    program.bucket.mkdir()
    ship(program, *seats)
    done = program.run("restore-cluster", "--backup-name", "b1", "--dry-run", "--seeds", seats[0].name)
    assert done.code == 0, done.err
    assert "The target is the ring that the backup b1 shows" in done.out
    return done.out


def rows(said: str, start: str) -> list[list[str]]:
    return [line.split() for line in said.splitlines() if line.startswith(start)]


def test_a_node_that_is_known_by_its_host_id_is_called_as_in_its_backups(program: Program, there: There) -> None:
    ship(program, there.seat("old-name"))
    said = plan(program, there.ip)
    assert "In place: each node gets its own files back." in said
    assert f"The target is the ring of harness, as old-name at {there.ip}:9042 sees it." in said
    (row,) = rows(said, "old-name ")
    assert (row[1:4], row[-1]) == (["datacenter1", "rack1", "yes"], "old-name"), "it says that it is a seed"
    assert "Back afterwards, though the target has them no more: 1 table, shop.gone." in said
    assert "Dropped and made again since; those of before take their place: 1 table, shop.orders." in said
    assert "Only on the target, and GONE afterwards: 1 table, shop.newer." in said


def test_typed_on_a_node_of_the_ring_its_tables_are_known(tmp_path: Path, there: There) -> None:
    said = plan_here(tmp_path, there, there.seat("old-name"))
    assert "Back afterwards, though the target has them no more: 1 table, shop.gone." in said
    assert "Snapshots that auto_snapshot left when they were dropped stay" in said
    assert "Only on the target, and GONE afterwards: 1 table, shop.newer." in said
    assert "auto_snapshot keeps nothing of them" in said


def test_a_table_whose_rows_would_be_lost_is_refused_before_anybody_is_asked(program: Program, there: There) -> None:
    ship(program, there.seat("n1"))
    done = program.run(
        "restore-cluster", "--backup-name", "b1", "-y", "--seed-target", there.ip, "--table", "shop.orders"
    )
    assert done.code == 1
    assert "shop.orders: the column name text is missing" in done.err
    assert "Drop what differs" in done.err
    assert not (program.bucket / "index" / "jobs").exists()


def test_typed_beside_another_cluster_nothing_of_that_is_told(tmp_path: Path, there: There) -> None:
    said = plan_here(tmp_path, there, there.seat("n1", host_id="another"))
    assert f"the Cassandra here, host id {there.host_id}, is none of its nodes; --seed-target tells it" in said
    assert "shop." not in said


def test_another_node_takes_the_place(program: Program, there: There) -> None:
    ship(program, there.seat("old1", host_id="another", tokens=(1, 2, 3, 4)))
    said = plan(program, f"{there.ip}:9042")
    assert "Onto other nodes" in said
    (row,) = rows(said, f"{there.ip} ")
    assert (row[3], row[-1]) == ("yes", "old1")


def test_a_smaller_ring_is_loaded_and_the_statements_are_printed(program: Program, there: There) -> None:
    ship(
        program,
        there.seat("old1", host_id="one", tokens=(1, 2, 3, 4)),
        there.seat("old2", host_id="two", tokens=(5, 6, 7, 8)),
    )
    said = plan(program, there.ip)
    why = f"datacenter1 had 2 nodes (old1, old2), and the target has 1 node ({there.ip})"
    assert f"By sstableloader, into the running cluster: {why}." in said
    assert "DROPPED on the target, and created again from the backup: 1 table, shop.orders." in said
    assert "auto_snapshot" in said
    assert "shop.newer stays as it is" in said
    statements = said.partition("statements first:")[2]
    assert re.findall(r'^(DROP TABLE|CREATE TABLE) IF (?:NOT )?EXISTS "?shop"?\."?(\w+)', statements, re.MULTILINE) == [
        ("DROP TABLE", "orders"),
        ("CREATE TABLE", "orders"),
        ("CREATE TABLE", "gone"),
    ]


def test_a_datacenter_of_another_name_is_mapped_and_told(program: Program, there: There) -> None:
    seat = there.seat("old1", host_id="one", tokens=(1, 2, 3, 4))
    ship(program, Seat(seat.name, "west", seat.rack, seat.tokens, seat.host_id), dc="west")
    said = plan(program, there.ip)
    assert "the datacenter west is called datacenter1 on the target" in said
    assert "Keyspaces with replicas in west get them in datacenter1." in said


def test_a_node_that_does_not_answer_is_told(program: Program, there: There) -> None:
    ship(program, there.seat("n1"))
    done = program.run("restore-cluster", "--backup-name", "b1", "--dry-run", "--seed-target", f"{there.ip}:9")
    assert (done.code, f"{there.ip}:9 does not answer" in done.err) == (1, True), done.err
