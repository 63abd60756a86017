"""Purge beside everybody else: shippers before and after it, holds, stock, its own death, and a second purge."""

from __future__ import annotations

import pytest

from backupstore.core.documents import Condemned, encode
from tests.operations.purging import DAY, GRACE, Meanwhile, Place, memory_place

# ---------------------------------------------------------------- shippers


def test_a_shipper_that_began_before_keeps_what_it_may_rely_on_until_it_has_ended() -> None:
    place = memory_place()
    alone, shared = place.ship("monday", "a", "b")
    place.begin("tuesday")

    outcome = place.purge("monday")
    assert not outcome.done
    assert outcome.objects == 0
    assert "tuesday of n1 is under way" in outcome.notes[0]
    assert place.has(alone)

    place.commit("tuesday", (shared,))
    assert place.purge("monday").done
    assert place.of("monday") == []
    assert not place.has(alone)
    assert place.has(shared)
    place.check_sound()


def test_an_intent_without_an_attempt_may_be_anybody_s() -> None:
    place = memory_place()
    (key,) = place.ship("monday", "a")
    place.begin("tuesday", seen=None)
    assert not place.purge("monday").done
    assert not place.purge("monday", stock_is_idle=True).done
    assert place.has(key)


def test_a_shipper_that_has_read_what_is_condemned_is_in_nobody_s_way() -> None:
    place = memory_place()
    (key,) = place.ship("monday", "a")
    place.begin("tuesday", seen=None)
    assert not place.purge("monday").done
    place.begin("tuesday", seen=place.documents(), attempt=2)
    assert place.purge("monday").done
    assert not place.has(key)


def test_only_the_latest_attempt_counts() -> None:
    place = memory_place()
    (key,) = place.ship("monday", "a")
    place.begin("tuesday")
    place.purge("monday")
    place.begin("tuesday", attempt=2)
    assert not place.purge("monday").done
    place.begin("tuesday", attempt=10, seen=place.documents())
    assert place.purge("monday").done
    assert not place.has(key)


def test_the_name_of_a_document_is_never_used_again() -> None:
    """Work items may come again after weeks. Who has seen the first document must not seem to have seen the second."""
    place = memory_place()
    place.ship("monday", "a")
    place.hold("monday")
    place.purge("monday")
    (old,) = place.documents()
    place.clock.advance(GRACE + 1)
    (key,) = place.ship("tuesday", "b")
    place.begin("wednesday", seen=[old])
    outcome = place.purge("tuesday")
    assert not outcome.done
    assert place.has(key)
    assert old not in place.documents()


def test_documents_of_another_run_say_nothing_about_this_one() -> None:
    place = memory_place()
    place.ship("monday", "a")
    place.begin("tuesday")
    place.purge("monday", run="run")
    seen = tuple(place.documents())
    place.begin("wednesday", seen=seen)
    place.abandon("tuesday")
    assert not place.purge("monday", run="ru").done
    assert place.purge("monday", run="run").done


def test_who_comes_after_the_document_is_in_nobody_s_way() -> None:
    """The look may show it or not: its attempt has seen the document."""
    for call, about in (("list", "holds/"), ("entries", "pfx/n1/")):
        place = memory_place()
        alone, shared = place.ship("monday", "a", "b")
        place.ship("sunday", "b")

        def begins(place: Place = place, shared: str = shared) -> None:
            place.begin("tuesday", seen=place.documents())
            if place.documents():
                place.commit("tuesday", (shared,))

        store = Meanwhile(place.purger, call, about, begins)
        done = place.purge_through(store, "monday").done
        assert done == (call == "list"), "when it began before there was a document, it is waited for"
        assert place.has(shared)
        assert place.has(alone) != done
        place.check_sound()


def test_a_backup_that_commits_between_the_listing_and_the_look_is_seen() -> None:
    place = memory_place()
    (key,) = place.ship("monday", "a")
    place.begin("tuesday")
    place.purge("monday")
    folder = place.layout.meta_folder("n1", "tuesday")
    store = Meanwhile(place.purger, "list", folder, lambda: place.commit("tuesday", (key,)))
    assert place.purge_through(store, "monday").done
    assert place.has(key)
    place.check_sound()


@pytest.mark.parametrize("how", ["abandoned", "old"])
def test_who_can_never_finish_is_in_nobody_s_way(how: str) -> None:
    place = memory_place()
    place.begin("sunday")
    if how == "old":
        place.clock.advance(GRACE + 1)
    (key,) = place.ship("monday", "a")
    if how == "abandoned":
        place.abandon("sunday")
        place.commit("sunday", (key,))  # late: it is no backup all the same
    assert place.purge("monday").done
    assert not place.has(key)


def test_an_attempt_that_cannot_be_read_has_seen_nothing() -> None:
    place = memory_place()
    place.ship("monday", "a")
    place.begin("tuesday")
    place.owner.put(place.layout.attempt("n1", "tuesday", 1), b"{")
    assert not place.purge("monday").done
    place.clock.advance(GRACE + 1)
    assert place.purge("monday").done


def test_what_is_under_way_is_not_condemned_itself() -> None:
    place = memory_place()
    place.begin("monday")
    place.ship("sunday", "a")
    outcome = place.purge("monday")
    assert "monday of n1 is under way and is not deleted" in outcome.notes[0]
    assert place.of("monday")
    place.commit("monday", ())
    assert place.purge("monday", run="later").done
    assert place.of("monday") == []


def test_stale_and_abandoned_backups_go_and_their_uploads_when_they_are_old() -> None:
    place = memory_place()
    place.begin("sunday")
    place.abandon("sunday")
    (upload,) = place.put("half")
    place.purge("sunday")
    assert place.of("sunday") == []
    assert place.has(upload)
    place.clock.advance(11 * DAY)
    place.purge(run="later")
    assert not place.has(upload)


def test_what_a_late_writer_leaves_of_a_deleted_backup_is_swept() -> None:
    place = memory_place()
    place.abandon("sunday")
    place.purge(run="early")
    assert place.of("sunday")
    place.commit("saturday", ())
    place.clock.advance(GRACE + 1)
    place.purge(run="late")
    assert place.of("sunday") == place.of("saturday") == []


# ---------------------------------------------------------------- holds


def test_a_hold_that_comes_after_the_document_is_answered_by_it_or_obeyed() -> None:
    """Whoever holds reads what is condemned after that; in whichever order, one of the two knows of the other."""
    for about in ("condemned/", "holds/", "n1/"):
        place = memory_place()
        place.ship("monday", "a")
        told: list[bool] = []

        def holds(place: Place = place, told: list[bool] = told) -> None:
            place.hold("monday")
            told.append(any("monday" in document.backups for document in place.documents().values()))

        call = {"condemned/": "create", "holds/": "list", "n1/": "entries"}[about]
        place.purge_through(Meanwhile(place.purger, call, about, holds), "monday")
        assert told == [True] or place.of("monday"), about


def test_a_hold_that_is_released_lets_the_work_go_on() -> None:
    place = memory_place()
    (key,) = place.ship("monday", "a")
    place.hold("monday")
    assert place.purge("monday").notes
    place.owner.delete([place.layout.hold("monday", "h")])
    assert place.purge("monday").notes == ()
    assert place.of("monday") == []
    assert not place.has(key)


def test_what_commits_and_is_condemned_after_it_was_seen_keeps_its_data() -> None:
    """It is no rest of a deletion. The simulation found it."""
    place = memory_place()
    shared = place.ship("b0", "x")
    place.begin("b1")
    place.ship("b2", "y")
    assert not place.purge("b0").done

    def another_purge() -> None:
        place.commit("b1", shared)
        document = Condemned(revision="1", run="other", node="n1", created=place.clock.now(), backups=("b1",))
        place.owner.create(place.layout.condemned_document("n1", "other-1"), encode(document))

    place.purge_through(Meanwhile(place.purger, "list", "/n1/b2/meta/", another_purge), "b0")
    place.check_sound()
