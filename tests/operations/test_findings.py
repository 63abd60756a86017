"""What verify found gets into the catalog by events and by reconcile alike, with the rights of each, and out of it again."""

from __future__ import annotations

import pytest

from backupstore.core.documents import ClusterBackup, Findings, Head, Level, Verification, decode, encode
from backupstore.core.events import ObjectEvent, subjects
from backupstore.core.layout import Layout
from backupstore.core.writers import Principal
from backupstore.operations.findings import read_verified, write_findings
from backupstore.operations.index import IndexReport, index
from backupstore.operations.reading import survey
from backupstore.operations.reconcile import reconcile
from backupstore.operations.verify import sweep_findings, verify
from backupstore.operations.verify_node import Wanted
from tests.operations.ring import NODES, Ring


@pytest.fixture
def ring() -> Ring:
    made = Ring()
    made.back_up("b")
    reconcile(made.store, made.layout, now=1.0, revision=lambda: "r")
    return made


def put_down(ring: Ring, level: Level = "listing", at: float = 9.0) -> str:
    """Verify, with no more rights than that needs; the key of what was written."""
    store = ring.bucket.open(Principal.VERIFY, ring.layout)
    (verified,) = verify(store, ring.layout, ["b"], Wanted(level))
    return write_findings(store, ring.layout, verified.findings(now=at, revision="r"))


def tell(ring: Ring, key: str) -> IndexReport:
    wanted = subjects([ObjectEvent("created", key)])
    return index(ring.bucket.open(Principal.INDEXER, ring.layout), wanted, now=2.0, revision=lambda: "r2")


def catalog(ring: Ring) -> tuple[ClusterBackup, Head]:
    key, head = ring.layout.catalog_backup("b"), ring.layout.head()
    return decode(ClusterBackup, ring.store.read(key).body, key), decode(Head, ring.store.read(head).body, head)


def test_an_event_takes_it_into_the_catalog(ring: Ring) -> None:
    report = tell(ring, put_down(ring))
    assert set(report.written) == {ring.layout.catalog_backup("b"), ring.layout.head()}
    assert not report.failed
    document, head = catalog(ring)
    assert document.verified == (Verification(at=9.0, level="listing", ok=True),)
    assert head.backups[0].verified == document.verified[0]
    assert not tell(ring, ring.layout.finding("b", "listing")).written, "the same event again"


def test_what_is_found_bad_stays_so_until_its_level_finds_it_good(ring: Ring) -> None:
    key = ring.key("n1", "nb-1-big-Data.db")
    body = ring.store.read(key).body
    ring.store.delete([key])
    tell(ring, put_down(ring, "content", at=5.0))
    ring.store.put(key, body)
    tell(ring, put_down(ring, "listing", at=6.0))
    assert catalog(ring)[1].backups[0].verified == Verification(at=5.0, level="content", ok=False, harm=True)
    tell(ring, put_down(ring, "content", at=7.0))
    assert catalog(ring)[1].backups[0].verified == Verification(at=7.0, level="content", ok=True)


def test_reconcile_and_a_rebuild_and_a_survey_say_the_same(ring: Ring) -> None:
    put_down(ring)
    put_down(ring, "structure", at=10.0)
    reconcile(ring.store, ring.layout, now=3.0, revision=lambda: "r3")
    document, head = catalog(ring)
    assert [each.level for each in document.verified] == ["listing", "structure"]
    found = survey(ring.store, ring.layout, now=3.0, revision=lambda: "r3")
    assert (found.documents["b"].verified, found.head.backups) == (document.verified, head.backups)
    ring.store.delete([ring.layout.catalog_backup("b"), ring.layout.head()])
    reconcile(ring.store, ring.layout, now=3.0, revision=lambda: "r3", everything=True)
    assert catalog(ring)[0].verified == document.verified
    assert catalog(ring)[1].backups == head.backups


def test_findings_about_a_backup_that_is_gone_make_none(ring: Ring) -> None:
    key = put_down(ring)
    tell(ring, key)
    for node in NODES:
        ring.store.delete([each.key for each in ring.store.list(ring.layout.meta_folder(node, "b"))])
    reconcile(ring.store, ring.layout, now=3.0, revision=lambda: "r3")
    document, head = catalog(ring)
    assert (document.nodes, document.verified, head.backups) == ({}, (), ())
    report = tell(ring, ring.layout.finding("never", "listing"))
    assert (report.written, report.failed) == ((), {})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"format": 2}',
        b"\xff",
        encode(Findings(revision="r", backup="other", level="listing", at=9.0, ok=True, nodes=1, objects=1, size=1)),
    ],
)
def test_what_cannot_be_read_is_not_good(ring: Ring, body: bytes) -> None:
    stored = ring.store.put(ring.layout.finding("b", "listing"), body)
    assert read_verified(ring.store, ring.layout, "b") == (
        Verification(at=stored.modified, level="listing", ok=False, harm=True),
    )


def test_other_objects_in_the_folder_are_none(ring: Ring) -> None:
    ring.store.put(f"{ring.layout.findings('b')}listing.json.bak", b"x")
    ring.store.put(f"{ring.layout.findings('b')}deep.json", b"x")
    ring.store.put(Layout().finding("b", "listing"), b"x")
    assert read_verified(ring.store, ring.layout, "b") == ()


def test_fields_of_a_later_version_are_kept() -> None:
    findings = Findings(revision="r", backup="b", level="listing", at=9.0, ok=True, nodes=1, objects=1, size=1)
    body = encode(findings)[:-1] + b',"later":[1]}'
    assert encode(decode(Findings, body, "k")) == body


def test_findings_about_what_is_gone_go_when_they_are_old(ring: Ring) -> None:
    store = ring.bucket.open(Principal.VERIFY, ring.layout)
    kept = put_down(ring)
    gone = ring.store.put(ring.layout.finding("gone", "listing"), b"{}")
    ring.store.put(ring.layout.finding("unclear", "listing"), b"{}")
    ring.store.put(ring.layout.catalog_backup("unclear"), b"{")
    assert sweep_findings(store, ring.layout, {"b"}, before=gone.modified) == 0
    assert sweep_findings(store, ring.layout, {"gone"}, before=gone.modified + 100) == 0
    assert sweep_findings(store, ring.layout, set(), before=gone.modified + 100) == 1
    left = {each.key for each in ring.store.list(ring.layout.all_findings())}
    assert left == {kept, ring.layout.finding("unclear", "listing")}
