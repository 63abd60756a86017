"""A node, or a purge, that may be shown the bucket as it was a while ago: NFS that remembers directories."""

from __future__ import annotations

import pytest

from backupstore.core.documents import Attempt, decode, encode
from tests.operations.purging import DAY, GRACE, Place, memory_place


def through_a_cache(place: Place, backup: str, number: int = 1, *, cached: bool = True) -> None:
    """Let this attempt have been made on such a mount."""
    key = place.layout.attempt("n1", backup, number)
    attempt = decode(Attempt, place.owner.read(key).body, key)
    place.owner.put(key, encode(attempt.model_copy(update={"cached_mount": cached})))


def test_where_the_last_backup_was_made_through_a_cache_shared_data_is_not_swept() -> None:
    place = memory_place()
    shared = place.ship("monday", "a", "b")
    place.clock.advance(DAY)
    place.ship("tuesday", "b")
    through_a_cache(place, "tuesday")

    outcome = place.purge("monday")

    assert outcome.done
    assert place.of("monday") == []
    assert all(map(place.has, shared))
    assert not [key for document in place.documents().values() for key in document.keys]
    (note,) = outcome.notes
    assert "shared data of n1 is left as it is: it wrote tuesday through a mount" in note
    assert "lookupcache=none" in note


def test_once_a_backup_was_made_through_another_mount_it_is_swept() -> None:
    place = memory_place()
    alone, both = place.ship("monday", "a", "b")
    through_a_cache(place, "monday")
    place.clock.advance(DAY)
    place.ship("tuesday", "b")
    assert place.purge("monday").notes == ()
    assert not place.has(alone)
    assert place.has(both)


def test_an_older_one_that_is_under_way_counts_too() -> None:
    place = memory_place()
    place.ship("monday", "a")
    place.begin("tuesday")
    through_a_cache(place, "tuesday")
    place.clock.advance(DAY)
    place.ship("wednesday", "b")
    place.purge("monday")
    place.begin("tuesday", attempt=2, seen=place.documents())
    through_a_cache(place, "tuesday", 2)
    outcome = place.purge("monday", run="run")
    assert outcome.done
    assert place.has(place.key("a"))
    assert "it wrote tuesday" in outcome.notes[-1]


def test_the_latest_attempt_counts() -> None:
    place = memory_place()
    (key,) = place.ship("monday", "a")
    place.clock.advance(DAY)
    place.begin("tuesday")
    through_a_cache(place, "tuesday")
    place.begin("tuesday", attempt=2)
    place.commit("tuesday", ())
    assert place.purge("monday").notes == ()
    assert not place.has(key)


@pytest.mark.parametrize("body", [b"{", None])
def test_of_an_attempt_that_cannot_be_read_nobody_knows(body: bytes | None) -> None:
    place = memory_place()
    (key,) = place.ship("monday", "a")
    place.clock.advance(DAY)
    place.ship("tuesday", "b")
    if body is not None:
        place.owner.put(place.layout.attempt("n1", "tuesday", 1), body)
    outcome = place.purge("monday")
    assert bool(outcome.notes) == place.has(key) == (body is not None)


def test_orphans_are_left_too_and_go_when_the_mount_was_changed() -> None:
    place = memory_place()
    (orphan,) = place.put("orphan")
    place.clock.advance(2 * GRACE)
    place.ship("monday", "a")
    through_a_cache(place, "monday")
    assert place.purge().done
    assert place.has(orphan)
    through_a_cache(place, "monday", cached=False)
    assert place.purge(run="next").done
    assert not place.has(orphan)


def test_a_purge_through_such_a_mount_sweeps_nothing_either() -> None:
    place = memory_place()
    (key,) = place.ship("monday", "a")
    outcome = place.purge("monday", cached_mount=True)
    assert outcome.done
    assert place.of("monday") == []
    assert place.has(key)
    assert "this machine's mount of the bucket shows late what others write" in outcome.notes[0]
