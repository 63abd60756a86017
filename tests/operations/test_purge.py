"""Purge of one node: what goes, what stays, and in which order."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, pairwise
from pathlib import Path

import pytest

from backupstore.core import layout as grammar
from backupstore.core.layout import Layout
from backupstore.stores.local import LocalStore
from tests.harness import s3_servers
from tests.harness.s3_servers import S3Server
from tests.harness.s3_stores import opened
from tests.operations.purging import DAY, LAYOUT, Place, Spy, memory_place, place_on

_BUCKETS = count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_servers.versitygw(tmp_path_factory.mktemp("versitygw")) as running:
        yield running


@pytest.fixture(params=["memory", "local", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "memory":
        return memory_place()
    if request.param == "local":
        (tmp_path / "bucket").mkdir()
        return place_on(LocalStore(tmp_path / "bucket"))
    server: S3Server = request.getfixturevalue("server")
    return place_on(opened(server, server.bucket(f"purged-{next(_BUCKETS)}")))


def test_a_backup_goes_with_the_data_that_only_it_names(place: Place) -> None:
    alone, both = place.ship("monday", "a", "b")
    place.ship("tuesday", "b", "c")

    outcome = place.purge("monday")

    assert place.of("monday") == []
    assert not place.has(alone)
    assert place.has(both)
    place.check_sound()
    assert outcome.done
    assert outcome.notes == ()
    (document,) = place.documents().values()
    assert (document.run, document.node, document.backups, document.keys) == ("run", "n1", ("monday",), (alone,))
    assert place.of("tuesday")


def test_what_was_freed_is_counted(place: Place) -> None:
    place.ship("monday", "a")
    before = {stored.key: stored.size for stored in place.owner.list("")}
    outcome = place.purge("monday")
    gone = before.keys() - set(place.listing())
    assert (outcome.objects, outcome.bytes) == (len(gone), sum(before[key] for key in gone))


def test_a_full_backup_goes_with_its_own_folder_and_leaves_the_others(place: Place) -> None:
    place.ship("monday", "a", "b", mode="full")
    place.ship("tuesday", "a", "b", mode="full")
    stray = place.key("never-named", backup="monday")
    place.owner.create(stray, b"of an attempt before")
    shared = place.put("a")

    place.purge("monday")

    assert place.of("monday") == []
    assert len([key for key in place.of("tuesday") if "/data/" in key]) == 2
    assert all(map(place.has, shared))
    assert next(iter(place.documents().values())).keys == ()


def test_versioned_data_goes_and_stays_like_shared_data(place: Place) -> None:
    gone, kept = place.key("a", version="1" * 64), place.key("b", version="2" * 64)
    for key in (gone, kept):
        place.owner.create(key, b"content")
    place.ship("monday", "x")
    place.begin("tuesday")
    place.commit("tuesday", (gone, kept))
    place.begin("wednesday")
    place.commit("wednesday", (kept,))
    place.purge("tuesday")
    assert not place.has(gone)
    assert place.has(kept)


@pytest.mark.parametrize("doomed", ["n1", "n10"])
def test_neighbours_whose_names_begin_alike_are_left_alone(place: Place, doomed: str) -> None:
    for node in ("n1", "n10"):
        for backup in ("b", "b1", "b10", "database"):
            place.ship(backup, f"a{backup}", node=node)
            place.ship(f"f{backup}", "a", node=node, mode="full")
    before = place.contents()

    place.purge("b1", "fb1", node=doomed)

    gone = before.keys() - set(place.listing())
    nodes = (f"pfx/{doomed}/", f"index/announced/pfx/{doomed}/")
    folders = tuple(f"{folder}{backup}/" for folder in nodes for backup in ("b1", "fb1"))
    rows = {key for key in before if key.startswith((LAYOUT.rows("b1"), LAYOUT.rows("fb1")))}
    own_rows = {key for key in rows if f"_{doomed}." in key or f"_{doomed}_" in key}
    assert len(own_rows) == len(rows) / 2
    assert gone == {key for key in before if key.startswith(folders)} | own_rows | {place.key("ab1", doomed)}
    for node in ("n1", "n10"):
        place.check_sound(node)


def test_without_a_prefix_other_clusters_are_left_alone() -> None:
    place = memory_place(Layout())
    place.ship("b", "a")
    other = Place(place.owner, place.purger, place.clock, Layout("other"))
    other.ship("b", "a")
    theirs = {
        key: body for key, body in place.contents().items() if key.startswith(("other/", "index/announced/other"))
    }
    place.purge("b")
    assert place.of("b") == []
    assert theirs
    assert all(place.contents()[key] == body for key, body in theirs.items())


def test_the_order_is_rows_manifests_data_meta_schema(place: Place) -> None:
    place.ship("monday", "a")
    place.ship("sunday", "b", mode="full")
    place.begin("saturday")
    place.abandon("saturday")
    spy = Spy(place.purger)
    place.purge_through(spy, "monday", "sunday", "saturday")

    order = [key for batch in spy.batches for key in batch]
    at, meta = order.index, place.meta
    rows = [at(key) for key in order if "backup_index" in key]
    manifests = [at(key) for key in order if "backup_index" not in key and key.endswith(grammar.MANIFEST)]
    data = [at(key) for key in order if "/data/" in key]
    rest = [at(meta(name, grammar.TOKENMAP)) for name in ("monday", "sunday")]
    attempts = [at(place.layout.attempt("n1", name, 1)) for name in ("monday", "sunday", "saturday")]
    given_up = [at(meta("saturday", grammar.ABANDONED))]
    schemas = [at(meta(name, grammar.SCHEMA)) for name in ("monday", "sunday", "saturday")]
    stages = [rows, manifests, data, rest, attempts, schemas, given_up]
    assert all(max(one) < min(after) for one, after in pairwise(stages))
    assert "tokenmap_" in order[0]


def test_more_than_a_thousand_keys_go_in_batches_of_a_thousand() -> None:
    place = memory_place()
    place.ship("monday", *(f"s{number}" for number in range(1500)))
    place.ship("sunday", *(f"f{number}" for number in range(1200)), mode="full")
    spy = Spy(place.purger)
    place.purge_through(spy, "monday", "sunday")
    assert sorted(map(len, spy.batches), reverse=True)[:4] == [1000, 1000, 500, 200]
    assert not [key for key in place.listing() if "/data/" in key]


def test_what_is_condemned_is_split_into_documents_that_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    place = memory_place()
    keys = place.ship("monday", *(f"s{number}" for number in range(100)))
    parts = iter((keys[:40], keys[40:]))
    monkeypatch.setattr("backupstore.operations.purge.in_documents", lambda _: parts)
    place.begin("tuesday", seen=())
    assert not place.purge("monday").done
    assert sorted(key for document in place.documents().values() for key in document.keys) == sorted(keys)
    assert {document.backups for document in place.documents().values()} == {("monday",)}

    one, *_ = place.documents()
    place.begin("tuesday", seen=(one,), attempt=2)
    assert not place.purge("monday").done, "it has seen one of the two"
    place.begin("tuesday", seen=place.documents(), attempt=3)
    assert place.purge("monday").done
    assert not [key for key in place.listing() if "/data/" in key]


def test_orphans_go_when_they_are_old_enough() -> None:
    place = memory_place()
    old = place.put("old")
    place.clock.advance(9 * DAY)
    (kept,) = place.ship("monday", "kept")
    young = place.put("young")
    place.owner.create(f"{LAYOUT.shared_data('n1')}ks/t/what is this", b"?")
    assert place.purge(run="one") == place.purge(run="two")
    assert place.has(*old)
    assert place.documents() == {}

    place.clock.advance(2 * DAY)
    outcome = place.purge(run="three")

    assert outcome.objects == 1
    assert not place.has(*old)
    assert place.has(*young)
    assert place.has(kept)
    assert place.has(f"{LAYOUT.shared_data('n1')}ks/t/what is this"), "nobody knows what it is"


def test_a_hold_keeps_the_backup_and_what_it_names() -> None:
    place = memory_place()
    (held,) = place.ship("monday", "a")
    place.ship("tuesday", "b")
    place.hold("monday")
    there = place.of("monday")
    outcome = place.purge("monday", "tuesday")
    assert "monday is held" in " ".join(outcome.notes)
    assert place.of("tuesday") == []
    assert place.has(held)
    assert place.of("monday") == there


def test_a_hold_that_has_ended_holds_nothing_and_one_that_cannot_be_read_does() -> None:
    place = memory_place()
    place.ship("monday", "a")
    place.ship("tuesday", "b")
    place.hold("monday", expires=place.clock.now() - 1)
    place.owner.put(place.layout.hold("tuesday", "x"), b"{")
    place.purge("monday", "tuesday")
    assert place.of("monday") == []
    assert place.of("tuesday")
