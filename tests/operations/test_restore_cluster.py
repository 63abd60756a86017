"""What a cluster restore is planned from: the backup as it lies there, and the ring that the newest backups show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from backupstore.core.documents import Condemned, Head, encode
from backupstore.core.job_documents import Request
from backupstore.core.job_ids import job_id
from backupstore.core.layout import Layout
from backupstore.core.topology import Choice, Ring, match
from backupstore.errors import Conflict, NotFound, Refused
from backupstore.operations.documents import read_own
from backupstore.operations.reading import survey
from backupstore.operations.restore_cluster import (
    Asked,
    ClusterPlan,
    SeenRing,
    Source,
    ask,
    newest_ring,
    read_source,
    request_of,
    schema_of,
)
from backupstore.ports import ObjectStore
from backupstore.stores.memory import MemoryBucket
from tests.core.rings import ring, with_ids
from tests.operations.clusters import SCHEMA, Shipped, ship_cluster

LAYOUT = Layout("prod")
THREE = replace(with_ids(ring("n1 dc1/r1 10,40", "n2 dc1/r2 20,50", "n3 dc1/r3 30,60")), cluster="c")
BOTH = with_ids(ring("n1 dc1/r1 10", "n2 dc1/r1 20", "m1 dc2/r1 30"))
JOB = job_id("restore", 1_790_000_000.0, "0a1b2c3d")


@pytest.fixture
def store() -> ObjectStore:
    return MemoryBucket().open(None)


@pytest.fixture
def read(store: ObjectStore) -> Callable[..., Source]:
    return lambda name="b1", **asked: read_source(store, LAYOUT, Asked(backup=name, **asked))


def newest(store: ObjectStore) -> SeenRing:
    found = survey(store, LAYOUT, now=1.0, revision=str)
    return newest_ring(store, LAYOUT, found.head, found.documents.get)


class TestSource:
    def test_it_is_what_the_node_backups_say(self, store: ObjectStore, read: Callable[..., Source]) -> None:
        ship_cluster(store, LAYOUT, "b1", Shipped(ring=THREE, sizes={"n2": 7}))
        source = read()
        assert set(source.ring.seats) == set(THREE.seats)
        assert source.ring.cluster == "c"
        assert source.sizes == {"n1": 100, "n2": 7, "n3": 100}
        assert (source.first, source.lacking, source.warnings) == ("n1", (), ())

    def test_each_datacenter_says_who_is_in_it(self, store: ObjectStore, read: Callable[..., Source]) -> None:
        ship_cluster(store, LAYOUT, "b1", Shipped(ring=BOTH))
        assert set(read().ring.seats) == set(BOTH.seats)

    def test_stocks_backups_have_no_host_ids(self, store: ObjectStore, read: Callable[..., Source]) -> None:
        ship_cluster(store, LAYOUT, "b1", Shipped(ring=THREE, by_stock=True))
        source = read()
        assert {seat.host_id for seat in source.ring.seats} == {""}
        assert {seat.name: seat.tokens for seat in source.ring.seats}["n2"] == (20, 50)
        assert schema_of(store, LAYOUT, source) == (None, SCHEMA)

    def test_the_schema_is_that_of_the_node_that_began_first(
        self, store: ObjectStore, read: Callable[..., Source]
    ) -> None:
        ship_cluster(store, LAYOUT, "b1", Shipped(ring=THREE))
        assert schema_of(store, LAYOUT, read()) == (SCHEMA, SCHEMA)

    @pytest.mark.parametrize("name", ["b2", "../b1", ""])
    def test_a_name_that_is_none(self, store: ObjectStore, read: Callable[..., Source], name: str) -> None:
        ship_cluster(store, LAYOUT, "b1", Shipped(ring=THREE))
        with pytest.raises(NotFound, match="There is no backup"):
            read(name)

    @pytest.mark.parametrize(
        ("shipped", "said"),
        [
            (Shipped(ring=THREE, only=["n1", "n3"]), "1 node has no finished backup (n2)"),
            (Shipped(ring=THREE, unfinished=["n2", "n3"]), "2 nodes have no finished backup (n2, n3)"),
            (Shipped(ring=THREE, corrupt=["n3"]), "corrupt SSTables of n3"),
            (Shipped(ring=THREE, tables=("shop.orders",)), "only some tables of n1, n2, n3"),
            (Shipped(ring=THREE, unfinished=["n1", "n2", "n3"]), "finished on no node"),
        ],
    )
    def test_what_no_cluster_should_be_restored_from_is_refused_and_nodes_are_named(
        self, store: ObjectStore, read: Callable[..., Source], shipped: Shipped, said: str
    ) -> None:
        ship_cluster(store, LAYOUT, "b1", shipped)
        with pytest.raises(Refused) as refused:
            read()
        assert said in refused.value.message
        assert refused.value.hint

    def test_an_incomplete_one_is_taken_when_it_is_accepted_and_told(
        self, store: ObjectStore, read: Callable[..., Source]
    ) -> None:
        ship_cluster(store, LAYOUT, "b1", Shipped(ring=THREE, only=["n1"], unfinished=[]))
        source = read(accept_incomplete=True)
        assert (source.lacking, source.sizes) == (("n2", "n3"), {"n1": 100})
        assert "n2, n3" in source.warnings[0]

    def test_of_a_partial_one_the_tables_have_to_be_named(
        self, store: ObjectStore, read: Callable[..., Source]
    ) -> None:
        ship_cluster(store, LAYOUT, "b1", Shipped(ring=THREE, tables=("shop.orders",)))
        assert read(tables=("shop.orders",)).sizes.keys() == THREE.names

    def test_one_that_is_being_deleted_is_refused(self, store: ObjectStore, read: Callable[..., Source]) -> None:
        ship_cluster(store, LAYOUT, "b1", Shipped(ring=THREE))
        condemned = Condemned(revision="r", run="p", node="n2", created=1.0, backups=("b1",))
        store.create(LAYOUT.condemned_document("n2", "p-1"), encode(condemned))
        with pytest.raises(Refused, match=r"being deleted, on n2\."):
            read()


class TestNewestRing:
    def test_it_is_that_of_the_newest_backup(self, store: ObjectStore) -> None:
        ship_cluster(store, LAYOUT, "b1", Shipped(ring=THREE))
        grown = Ring((*THREE.seats, *with_ids(ring("n4 dc1/r1 35,65")).seats), "c")
        ship_cluster(store, LAYOUT, "b2", Shipped(ring=grown, only=["n2"]))
        found = newest(store)
        assert (sorted(found.ring.names), found.ring.cluster, found.backup) == (["n1", "n2", "n3", "n4"], "c", "b2")
        assert set(found.ring.seats) == set(grown.seats)

    def test_a_datacenter_without_a_newer_backup_is_known_from_an_older_one(self, store: ObjectStore) -> None:
        ship_cluster(store, LAYOUT, "b1", Shipped(ring=BOTH))
        ship_cluster(store, LAYOUT, "b2", Shipped(ring=BOTH, only=["n1"]))
        found = newest(store)
        assert (set(found.ring.seats), found.backup) == (set(BOTH.seats), "b2")

    def test_the_node_of_a_backup_that_began_last_knows_best(self, store: ObjectStore) -> None:
        left = Ring(tuple(seat for seat in THREE.seats if seat.name != "n1"))
        ship_cluster(store, LAYOUT, "b1", Shipped(ring=THREE, only=["n1", "n2"]))
        ship_cluster(store, LAYOUT, "b1", Shipped(ring=left, only=["n3"]))
        assert newest(store).ring.names == {"n2", "n3"}

    def test_an_empty_bucket_shows_none(self, store: ObjectStore) -> None:
        with pytest.raises(NotFound) as missing:
            newest_ring(store, LAYOUT, Head(revision="r", checked=0.0), lambda _: None)
        assert "--seed-target" in missing.value.hint

    def test_a_cluster_is_restored_in_place_onto_what_its_newest_backup_shows(
        self, store: ObjectStore, read: Callable[..., Source]
    ) -> None:
        ship_cluster(store, LAYOUT, "b1", Shipped(ring=THREE))
        ship_cluster(store, LAYOUT, "b2", Shipped(ring=THREE))
        source = read()
        assert match(source.ring, newest(store).ring, source.sizes, Choice()).way == "in place"


class TestRequest:
    def plan(self, target: Ring, seeds: frozenset[str], **asked: object) -> ClusterPlan:
        source = Source(name="b1", started=1.0, ring=THREE, sizes={"n1": 1, "n2": 2, "n3": 3}, first="n1")
        made = Asked(backup="b1", **asked)  # type: ignore[arg-type] # any fields
        return ClusterPlan(made, source, match(THREE, target, source.sizes, made.choice), seeds)

    def request(self, plan: ClusterPlan) -> Request:
        return request_of(plan, job=JOB, by="ops", now=5.0)

    def test_in_place(self) -> None:
        found = self.request(self.plan(THREE, frozenset({"n2"}), parallel=2, keep_auth=True, verify=False))
        told = [(each.target, each.sources, each.seed, each.remote, each.size) for each in found.assignments]
        assert told == [
            ("n1", ("n1",), False, False, 1),
            ("n2", ("n2",), True, False, 2),
            ("n3", ("n3",), False, False, 3),
        ]
        assert (found.method, found.parallel, found.keep_auth, found.verify) == ("replace", 2, True, False)

    def test_onto_other_nodes(self) -> None:
        found = self.request(self.plan(ring("x dc1/a 1,4", "y dc1/b 2,5", "z dc1/c 3,6"), frozenset({"x", "y"})))
        assert {(each.target, each.remote) for each in found.assignments} == {("x", True), ("y", True), ("z", True)}
        assert found.seeds == {"x", "y"}

    def test_by_sstableloader(self) -> None:
        found = self.request(self.plan(ring("x west/a 1,4"), frozenset()))
        (one,) = found.assignments
        assert (found.method, one.sources, one.size, one.remote) == ("sstableloader", ("n1", "n2", "n3"), 6, False)
        assert found.datacenters == {"dc1": "west"}

    def test_without_seeds_nobody_could_start(self) -> None:
        with pytest.raises(Refused) as refused:
            self.request(self.plan(THREE, frozenset()))
        assert "--seeds n1" in refused.value.hint

    def test_it_is_written_once(self, store: ObjectStore) -> None:
        request = self.request(self.plan(THREE, frozenset({"n1"})))
        ask(store, LAYOUT, request)
        assert read_own(store, Request, LAYOUT.job_request(JOB)) == request
        with pytest.raises(Conflict):
            ask(store, LAYOUT, request)
