"""Purge in trouble: what cannot be read, what is hostile, clocks that are wrong, and documents that are too old."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from backupstore.core import layout as grammar
from backupstore.errors import Refused
from backupstore.operations import deletion
from tests.operations.purging import DAY, GRACE, Place, Spy, memory_place


def test_a_manifest_that_stays_and_cannot_be_read_stops_the_node() -> None:
    place = memory_place()
    place.ship("monday", "a")
    place.begin("tuesday")
    bad = place.meta("tuesday", grammar.MANIFEST)
    place.owner.create(bad, b"[{")
    before = place.contents()
    outcome = place.purge("monday")
    assert not outcome.done
    assert bad in outcome.notes[0]
    assert "bucket's history" in outcome.notes[0]
    assert place.contents() == before

    place.owner.delete([bad])
    place.owner.create(bad, manifest_of_another_node(place))
    assert not place.purge("monday").done
    assert place.of("monday")

    outcome = place.purge("monday", "tuesday", run="by-name")
    assert outcome.done
    assert place.of("monday") == place.of("tuesday") == []


def manifest_of_another_node(place: Place) -> bytes:
    place.ship("wednesday", "a", node="n2")
    return place.owner.read(place.meta("wednesday", grammar.MANIFEST, "n2")).body


def test_a_hostile_document_deletes_nothing_of_others() -> None:
    place = memory_place()
    (shared,) = place.ship("monday", "a")
    (other,) = place.ship("monday", "a", node="n2")
    full = place.ship("tuesday", "a", mode="full")
    place.purge("monday", stock_is_idle=False, orphan_grace=1e12)
    name, document = next(iter(place.documents().items()))
    key = place.layout.condemned_document("n1", name)
    hostile = document.model_copy(
        update={"keys": (other, *full, place.meta("tuesday", "schema.cql"), "pfx/n1/data/../x")}
    )
    place.owner.put(key, hostile.model_dump_json().encode())
    before = place.contents()
    assert place.purge("monday").done
    assert place.contents() == before
    assert not place.has(shared)


def test_a_clock_that_is_behind_is_told() -> None:
    place = memory_place()
    place.ship("monday", "a")
    with pytest.raises(Refused, match="clock is behind") as caught:
        place.purge("monday", now=place.clock.now() - 2 * DAY)
    assert "chronyc" in caught.value.hint
    assert place.of("monday")


def test_a_run_with_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(Refused):
        memory_place().purge("monday", run="a/b")


def test_a_backup_that_is_not_there_is_nothing_to_do() -> None:
    place = memory_place()
    assert place.purge("never").done
    assert place.listing() == []


def test_documents_are_dropped_after_the_grace_and_not_before() -> None:
    place = memory_place()
    place.ship("monday", "a")
    place.purge("monday", run="old")
    place.clock.advance(GRACE)
    place.purge(run="early")
    assert place.documents()
    place.clock.advance(1)
    place.purge(run="late")
    assert place.documents() == {}


def test_a_document_is_carried_out_for_half_of_the_grace() -> None:
    place = memory_place()
    place.ship("monday", "a")
    place.begin("tuesday")
    assert not place.purge("monday").done
    place.abandon("tuesday")
    place.clock.advance(GRACE / 2 + 1)
    outcome = place.purge("monday")
    assert outcome.done
    assert "too long ago" in outcome.notes[0]
    assert place.of("monday")


def test_a_hand_that_wakes_late_deletes_nothing_more() -> None:
    """Asleep between two requests, by a clock that runs through suspend."""
    place = memory_place()
    keys = place.ship("monday", *(f"s{number}" for number in range(deletion.BATCH + 5)))

    class Sleepy(Spy):
        def delete(self, keys: Iterable[str]) -> None:
            super().delete(keys)
            if any("/data/" in key for key in self.batches[-1]):
                place.clock.advance(GRACE / 2 + 1)

    outcome = place.purge_through(Sleepy(place.purger), "monday", running=place.clock.running)
    assert outcome.done
    assert "too long ago" in outcome.notes[0]
    assert len([key for key in keys if place.has(key)]) == 5
    assert place.has(place.meta("monday", grammar.SCHEMA))
