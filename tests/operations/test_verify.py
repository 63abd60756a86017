"""Each kind of damage is found at the level that promises it, and a good backup is good at every level."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import md5, sha256

import pytest

from backupstore.core import layout as grammar
from backupstore.core.documents import Damaged, Findings, Level, encode
from backupstore.core.verification import Subset, subset_of
from backupstore.errors import Denied, Retryable
from backupstore.operations.findings import LEVELS, read_findings, read_verified, write_findings
from backupstore.operations.verify import Verified, verify
from backupstore.operations.verify_node import Wanted
from backupstore.ports import ObjectStore, Sink, StoredObject
from tests.interleaving import Around
from tests.operations.ring import NODES, Ring

DATA = "nb-2-big-Data.db"
DAY = 86_400.0


def look(ring: Ring, level: Level = "listing", *, store: ObjectStore | None = None, **more: object) -> Verified:
    wanted = replace(Wanted(level), **more)  # type: ignore[arg-type]  # fields of Wanted
    (verified,) = verify(store or ring.store, ring.layout, ["b"], wanted)
    return verified


def kinds(verified: Verified) -> dict[str, int]:
    return dict(verified.tally.counts)


class Asked(Around):
    """Counts what is asked of a store."""

    def __init__(self, store: ObjectStore) -> None:
        super().__init__(store)
        self.calls: Counter[str] = Counter()

    def before(self, call: str) -> None:
        self.calls[call] += 1


@pytest.fixture(params=["differential", "full"])
def ring(request: pytest.FixtureRequest) -> Ring:
    made = Ring()
    made.back_up("b", request.param)
    return made


def of(ring: Ring, node: str, file: str) -> str:
    """The key of a file, whatever the mode."""
    (key,) = (each["path"] for each in ring.objects(node, "b") if each["path"].endswith(f"/{file}"))
    return str(key)


@pytest.mark.parametrize("level", LEVELS)
def test_what_is_good_is_good(ring: Ring, level: Level) -> None:
    verified = look(ring, level)
    assert kinds(verified) == {}
    findings = verified.findings(now=5.0, revision="r")
    assert (findings.ok, findings.nodes, findings.objects, findings.by_size) == (True, 3, 3 * 3 * 8, 0)
    assert findings.size == sum(each["size"] for node in NODES for each in ring.objects(node, "b"))
    assert findings.read == (findings.size if level == "content" else 0)


def damage_missing(ring: Ring, key: str) -> None:
    ring.store.delete([key])


def damage_longer(ring: Ring, key: str) -> None:
    ring.store.put(key, ring.store.read(key).body + b"x")


def damage_other(ring: Ring, key: str) -> None:
    body = bytearray(ring.store.read(key).body)
    body[0] ^= 1
    ring.store.put(key, bytes(body))


@pytest.mark.parametrize("checksums", [False, True])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("damage", "kind"),
    [(damage_missing, "missing"), (damage_longer, "different"), (damage_other, "different")],
)
def test_what_somebody_did_to_an_object_is_found(
    ring: Ring, damage: Callable[[Ring, str], None], kind: str, level: Level, *, checksums: bool
) -> None:
    key = of(ring, "n2", DATA)
    damage(ring, key)
    verified = look(ring, level, checksums=checksums)
    expected = "mismatch" if damage is damage_other and level == "content" else kind
    assert kinds(verified)[expected] >= 1
    assert {(found.node, found.path) for found in verified.tally.findings} == {("n2", key)}
    assert not verified.tally.ok


def test_what_is_too_much_in_a_full_backup_is_found() -> None:
    ring = Ring()
    ring.back_up("b", "full")
    key = ring.key("n1", "nb-9-big-Data.db", "b")
    ring.store.create(key, b"x")
    ring.store.create(ring.key("n1", "nb-9-big-Data.db", "b2"), b"a neighbour, whose name begins alike")
    verified = look(ring)
    assert [(found.kind, found.path) for found in verified.tally.findings] == [("extra", key)]


def test_what_other_backups_hold_is_nothing_too_much_in_a_differential_one() -> None:
    ring = Ring()
    ring.back_up("b")
    ring.store.create(ring.key("n1", "nb-9-big-Data.db"), b"x")
    assert look(ring).tally.ok


def test_one_listing_for_each_folder_whatever_the_number_of_backups_and_nothing_is_read() -> None:
    ring = Ring()
    for name in ("b", "c", "d"):
        ring.back_up(name)
    listed: list[str] = []

    class Listing(Asked):
        def list(self, folder: str) -> Iterator[StoredObject]:
            listed.append(folder)
            return super().list(folder)

    asked = Listing(ring.store)
    found = verify(asked, ring.layout, ["b", "c", "d"], Wanted())
    assert [each.tally.ok for each in found] == [True] * 3
    data = [ring.layout.shared_data(node) for node in NODES]
    assert sorted(folder for folder in listed if "/data" in folder) == data
    assert not asked.calls["head"]
    assert asked.calls["fetch"] == 2 * 9, "each manifest, for its sums and for its objects"


def test_a_listing_that_is_older_than_the_backup_does_it_no_harm() -> None:
    """The first manifest is read before the second backup's data came; the listing is shared."""
    ring = Ring()
    ring.back_up("a")

    class Forgetting(Around):
        def list(self, folder: str) -> Iterator[StoredObject]:
            found = list(super().list(folder))
            return iter([each for each in found if not each.key.endswith(DATA)])

    assert look_at(ring, Forgetting(ring.store)) == {}


def look_at(ring: Ring, store: ObjectStore) -> dict[str, int]:
    (verified,) = verify(store, ring.layout, ["a"], Wanted())
    return kinds(verified)


def test_a_node_without_a_backup_and_one_without_an_end_are_waited_for() -> None:
    ring = Ring()
    ring.back_up("b", nodes=("n1",))
    ring.begin("n2", "b")
    verified = look(ring)
    assert [(each.kind, each.node) for each in verified.tally.findings] == [("incomplete", "n2"), ("incomplete", "n3")]


def test_a_manifest_that_cannot_be_read_is_never_good(ring: Ring) -> None:
    ring.store.put(ring.layout.meta("n2", "b", grammar.MANIFEST), b"[{]")
    verified = look(ring)
    (found,) = verified.tally.findings
    assert (found.kind, found.node) == ("incomplete", "n2")
    assert "manifest" in found.why


def test_a_backup_of_which_there_is_nothing_is_left_out(ring: Ring) -> None:
    assert verify(ring.store, ring.layout, ["c"], Wanted()) == ()


@pytest.mark.parametrize("error", [Denied("no"), Retryable("not now")])
def test_what_the_store_does_not_show_is_unchecked(error: Exception) -> None:
    ring = Ring()
    ring.back_up("b")

    class Closed(Around):
        def list(self, folder: str) -> Iterator[StoredObject]:
            if folder == ring.layout.shared_data("n2"):
                raise error
            return super().list(folder)

    verified = look(ring, store=Closed(ring.store))
    assert [(each.kind, each.node) for each in verified.tally.findings] == [("unchecked", "n2")]


def test_a_backup_that_is_deleted_meanwhile_is_gone_and_not_damaged() -> None:
    ring = Ring()
    ring.back_up("b")

    class Purging(Around):
        def list(self, folder: str) -> Iterator[StoredObject]:
            if folder == ring.layout.shared_data("n2"):
                ring.store.delete([ring.layout.meta("n2", "b", grammar.MANIFEST)])
                ring.store.delete([each.key for each in ring.store.list(folder)])
            return super().list(folder)

    verified = look(ring, store=Purging(ring.store))
    assert [(each.kind, each.node) for each in verified.tally.findings] == [("incomplete", "n2")]


def test_damage_that_is_on_record_is_told() -> None:
    ring = Ring()
    ring.back_up("b")
    objects = ring.objects("n1", "b")
    objects[0]["corrupt"] = "bit rot"
    ring.commit("n1", "b", objects)
    damaged = Damaged(node="n2", backup="b", by="c", at=1.0, count=7)
    ring.store.create(ring.layout.meta("n2", "b", grammar.DAMAGED), encode(damaged))
    verified = look(ring)
    assert [(each.kind, each.node, each.path) for each in verified.tally.findings] == [
        ("corrupt", "n1", objects[0]["path"]),
        ("corrupt", "n2", ring.layout.meta("n2", "b", grammar.DAMAGED)),
    ]
    assert "7 objects" in verified.tally.findings[1].why


# ---------------------------------------------------------------- structure


def leave_out(ring: Ring, node: str, *parts: str) -> None:
    """The manifest names no such component of one SSTable."""
    files = {f"nb-2-big-{part}" for part in parts}
    ring.commit(node, "b", [each for each in ring.objects(node, "b") if each["path"].rpartition("/")[2] not in files])


def test_an_sstable_that_lacks_a_component_is_found_by_its_names_alone() -> None:
    ring = Ring()
    ring.back_up("b")
    leave_out(ring, "n3", "Index.db")
    assert look(ring).tally.ok
    asked = Asked(ring.store)
    verified = look(ring, "structure", store=asked)
    assert [(each.kind, each.node, each.why) for each in verified.tally.findings] == [
        ("broken", "n3", "Index.db is missing")
    ]


def test_a_component_that_only_the_toc_names_is_found_where_that_is_read() -> None:
    ring = Ring()
    ring.back_up("b")
    leave_out(ring, "n3", "Filter.db")
    assert kinds(look(ring, "structure")) == {}
    verified = look(ring, "structure", checksums=True)
    (found,) = verified.tally.findings
    assert found.kind == "warning"
    assert "TOC.txt names it" in found.why
    assert verified.tally.ok, "Cassandra does without it"


def test_the_ring_is_covered_as_long_as_each_range_has_a_replica() -> None:
    ring = Ring(factor=2)
    ring.back_up("b", nodes=("n1", "n2"))
    assert kinds(look(ring, "structure")) == {"incomplete": 1}
    alone = Ring(factor=1)
    alone.back_up("b", nodes=("n1", "n2"))
    verified = look(alone, "structure")
    assert kinds(verified) == {"incomplete": 1, "uncovered": 1}
    assert "keyspace shop: 2 of 6 token ranges" in verified.tally.findings[0].why


def test_a_schema_that_says_nothing_of_replication_leaves_it_unchecked() -> None:
    ring = Ring()
    ring.back_up("b")
    for node in NODES:
        ring.store.put(ring.layout.meta(node, "b", grammar.SCHEMA), b"CREATE KEYSPACE shop;")
    assert kinds(look(ring, "structure")) == {"unchecked": 1}


def test_each_datacenter_counts() -> None:
    """Two datacenters, each with a tokenmap of its own; only one of them is backed up."""
    ring = Ring()
    ring.back_up("b")
    schema = b"CREATE KEYSPACE shop WITH replication = {'class': 'NetworkTopologyStrategy', 'dc2': '1'};"
    for node in NODES:
        ring.store.put(ring.layout.meta(node, "b", grammar.SCHEMA), schema)
    assert kinds(look(ring, "structure")) == {"uncovered": 1}


# ---------------------------------------------------------------- content


def test_bytes_that_rot_under_a_good_listing_are_found_by_reading_only() -> None:
    ring = Ring()
    ring.back_up("b")
    key = of(ring, "n1", "nb-1-big-Index.db")

    class Rotten(Around):
        def fetch(self, key_: str, sink: Sink) -> StoredObject:
            return super().fetch(key_, (lambda piece: sink(bytes(len(piece)))) if key_ == key else sink)

    for level in ("listing", "structure"):
        assert look(ring, level, store=Rotten(ring.store)).tally.ok
    verified = look(ring, "content", store=Rotten(ring.store))
    assert [(each.kind, each.path) for each in verified.tally.findings] == [("mismatch", key)]
    assert "sha256" in verified.tally.findings[0].why


def forge(ring: Ring, file: str, body: bytes, node: str = "n1") -> None:
    """An object, and a manifest that vouches for it."""
    key = of(ring, node, file)
    ring.store.put(key, body)
    digests = {"size": len(body), "MD5": md5(body, usedforsecurity=False).hexdigest()}
    if not ring.by_stock:
        digests["sha256"] = sha256(body).hexdigest()
    ring.commit(node, "b", [{**each, **digests} if each["path"] == key else each for each in ring.objects(node, "b")])


def test_data_that_was_bad_before_it_was_shipped_is_found_by_cassandras_own_digest() -> None:
    ring = Ring()
    ring.back_up("b")
    body = bytearray(ring.store.read(of(ring, "n1", DATA)).body)
    body[0] ^= 1
    forge(ring, DATA, bytes(body))
    assert look(ring, "structure").tally.ok
    (found,) = look(ring, "content").tally.findings
    assert found.kind == "mismatch"
    assert "CRC" in found.why
    forge(ring, "nb-2-big-Digest.crc32", str(zlib.crc32(body)).encode())
    assert look(ring, "content").tally.ok


def test_another_digest_of_the_same_bytes_is_cleared_by_reading_them() -> None:
    """As in a bucket that was copied in parts of another size."""
    ring = Ring()
    ring.back_up("b")
    copied = [{**each, "MD5": f"{each['MD5']}-2"} for each in ring.objects("n1", "b")]
    ring.commit("n1", "b", copied)
    assert kinds(look(ring)) == {"different": len(copied)}
    assert look(ring, "content").tally.ok


def test_stocks_objects_are_compared_by_its_own_digests() -> None:
    ring = Ring(by_stock=True)
    ring.back_up("b")
    assert look(ring, "content").tally.ok
    key = of(ring, "n2", "nb-1-big-Statistics.db")
    damage_other(ring, key)
    assert [(each.kind, each.path) for each in look(ring, "content").tally.findings] == [("mismatch", key)]


def test_an_object_in_parts_is_compared_by_the_digest_of_its_parts() -> None:
    ring = Ring(by_stock=True)
    ring.back_up("b")
    digests = {}
    for each in ring.objects("n1", "b"):
        body = ring.store.read(each["path"]).body
        parts = [body[at : at + 100] for at in range(0, len(body), 100)] or [b""]
        whole = b"".join(md5(part, usedforsecurity=False).digest() for part in parts)
        digests[each["path"]] = f"{md5(whole, usedforsecurity=False).hexdigest()}-{len(parts)}"
    ring.commit("n1", "b", [{**each, "MD5": digests[each["path"]]} for each in ring.objects("n1", "b")])
    assert look(ring, "content", part_size=100).tally.ok
    verified = look(ring, "content", part_size=7)
    assert set(kinds(verified)) == {"unchecked"}
    assert DATA not in {found.path.rpartition("/")[2] for found in verified.tally.findings}, "its CRC vouches for it"


def test_what_nothing_vouches_for_is_never_good() -> None:
    ring = Ring(by_stock=True)
    ring.back_up("b")
    for node in NODES:
        ring.commit(node, "b", [{**each, "MD5": None} for each in ring.objects(node, "b")])
    listed = look(ring)
    assert (listed.tally.ok, listed.tally.by_size) == (True, listed.tally.objects)
    verified = look(ring, "content")
    assert kinds(verified) == {"unchecked": 3 * 3 * 7}, "all but Data.db, of which Cassandra wrote a digest"


# ---------------------------------------------------------------- a part at a time


def rotten(ring: Ring) -> ObjectStore:
    class Rotten(Around):
        def fetch(self, key: str, sink: Sink) -> StoredObject:
            spoiled = key.endswith("Index.db")
            return super().fetch(key, (lambda piece: sink(bytes(len(piece)))) if spoiled else sink)

    return Rotten(ring.store)


def test_everything_is_read_in_turn_and_nothing_that_was_found_is_forgotten() -> None:
    ring = Ring(sstables=6)
    ring.back_up("b")
    store, found, read = rotten(ring), set[str](), 0
    for day in range(20):
        subset = subset_of("5%", now=day * DAY, every=DAY)
        verified = look(ring, "content", store=store, subset=subset)
        now = {each.path for each in verified.tally.findings}
        assert found <= now
        found, read = now, read + verified.tally.read
        write_findings(ring.store, ring.layout, verified.findings(now=day * DAY, revision=str(day)))
    assert len(found) == 3 * 6
    assert read == sum(each["size"] for node in NODES for each in ring.objects(node, "b"))
    for day in range(20, 40):
        verified = look(ring, "content", subset=subset_of("5%", now=day * DAY, every=DAY))
        write_findings(ring.store, ring.layout, verified.findings(now=day * DAY, revision=str(day)))
    assert verified.tally.ok, "each was read again, and is good now"


def test_more_findings_than_are_put_down_keep_it_bad_until_all_is_read() -> None:
    ring = Ring()
    ring.back_up("b")
    before = look(ring, "content").findings(now=1.0, revision="r")
    crowded = before.model_copy(update={"counts": {"mismatch": 5000}, "ok": False})
    write_findings(ring.store, ring.layout, crowded)
    for _ in range(2):
        verified = look(ring, "content", subset=Subset(0, 20))
        assert kinds(verified) == {"untold": 1}
        write_findings(ring.store, ring.layout, verified.findings(now=1.0, revision="r"))
    assert look(ring, "content").tally.ok


def test_findings_that_cannot_be_read_are_not_good() -> None:
    ring = Ring()
    ring.back_up("b")
    ring.store.put(ring.layout.finding("b", "content"), b"{")
    assert kinds(look(ring, "content", subset=Subset(0, 20))) == {"untold": 1}
    assert [(each.level, each.ok) for each in read_verified(ring.store, ring.layout, "b")] == [("content", False)]


def test_what_is_put_down_can_be_read_again(ring: Ring) -> None:
    damage_missing(ring, of(ring, "n2", DATA))
    assert read_findings(ring.store, ring.layout, "b", "structure") is None
    findings = look(ring, "structure").findings(now=7.0, revision="r")
    key = write_findings(ring.store, ring.layout, findings)
    assert key == "p/index/findings/b/structure.json"
    assert read_findings(ring.store, ring.layout, "b", "structure") == findings
    assert isinstance(findings, Findings)
