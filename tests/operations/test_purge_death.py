"""Purge that dies, that runs twice, and that runs beside stock."""

from __future__ import annotations

from backupstore.core import layout as grammar
from tests.killing import Point, Trigger, killed, killing
from tests.operations.purging import DAY, GRACE, LAYOUT, Meanwhile, Place, Spy, memory_place

# ---------------------------------------------------------------- death


def rich_place() -> Place:
    place = memory_place()
    place.ship("sunday", "s", "shared")
    place.ship("full", "a", "b", mode="full")
    place.begin("given-up")
    place.abandon("given-up")
    place.put("orphan")
    place.clock.advance(11 * DAY)
    place.ship("monday", "m", "shared")
    return place


DOOMED = ("sunday", "full", "given-up")


def test_killed_at_any_call_another_call_finishes_it() -> None:
    place = rich_place()
    counting = Trigger()
    place.purge_through(killing(place.purger, counting, "store"), *DOOMED)
    expected = {key for key in place.listing() if "/condemned/" not in key}
    assert len(counting.calls) > 40
    for number in range(1, len(counting.calls) + 1):
        for when in ("before", "after"):
            place = rich_place()
            point = Point(number, "before" if when == "before" else "after")
            dying = killing(place.purger, Trigger(point), "store")
            assert killed(lambda place=place, dying=dying: place.purge_through(dying, *DOOMED)), point  # type: ignore[misc]
            place.check_sound()
            outcome = place.purge(*DOOMED)
            assert outcome.done, point
            assert {key for key in place.listing() if "/condemned/" not in key} == expected, point
            place.check_sound()


def test_half_a_backup_deleted_by_another_run_is_in_nobody_s_way() -> None:
    """Killed for good after the manifest: to the next run it looks as if it was under way, but it has been condemned."""
    place = memory_place()
    place.ship("monday", "a")
    (kept,) = place.ship("tuesday", "b")
    dying = killing(place.purger, Trigger(Point(2, "after", "store.delete")), "store")
    assert killed(lambda: place.purge_through(dying, "monday", run="dead"))
    assert not place.has(place.meta("monday", grammar.MANIFEST))
    assert place.has(place.layout.attempt("n1", "monday", 1))
    place.put("orphan")
    place.clock.advance(5 * DAY)
    outcome = place.purge("tuesday", run="alive")
    assert outcome.done
    assert not place.has(kept)
    place.purge("monday", run="third")
    assert place.of("monday") == []


def test_the_same_work_twice_at_once_or_again_changes_nothing() -> None:
    place = rich_place()
    first = place.purge(*DOOMED)
    after = place.contents()
    again = place.purge(*DOOMED)
    assert (first.done, again.done, again.objects) == (True, True, 0)
    assert place.contents() == after


def test_two_purges_that_condemn_different_backups_never_take_what_stays() -> None:
    place = memory_place()
    one, both, other = place.ship("monday", "a", "b", "c")
    place.ship("tuesday", "b", "d")
    place.ship("wednesday", "c")

    def second() -> None:
        assert place.purge("tuesday", run="second").done

    store = Meanwhile(place.purger, "entries", "pfx/n1/", second)
    place.purge_through(store, "monday", run="first")
    place.check_sound()
    assert place.of("monday") == place.of("tuesday") == []
    assert not place.has(one)
    assert place.has(other)
    place.clock.advance(11 * DAY)
    place.purge(run="third")
    assert not place.has(both), "neither named it alone: it goes as an orphan"


# ---------------------------------------------------------------- stock beside us


def test_while_stock_is_at_work_shared_data_is_left_alone() -> None:
    place = memory_place()
    old = place.put("orphan")
    place.clock.advance(11 * DAY)
    (alone,) = place.ship("monday", "a")
    place.ship("full", "a", mode="full")
    place.stock("tuesday", "b")

    outcome = place.purge("monday", "full")

    assert outcome.done
    assert "stock wrote tuesday" in outcome.notes[0]
    assert place.of("monday") == place.of("full") == []
    assert place.has(alone)
    assert place.has(*old)
    assert all(document.keys == () for document in place.documents().values()), "nobody has to go beside them in vain"

    place.purge(run="later", stock_is_idle=True)
    assert not place.has(*old)
    place.check_sound()


def test_stock_that_is_under_way_counts_and_stock_of_long_ago_does_not() -> None:
    for begun, left in ((0.0, True), (GRACE + 1, False)):
        place = memory_place()
        place.begin("by-stock", seen=None)
        place.owner.put(place.meta("by-stock", grammar.TOKENMAP), b"{}")
        place.clock.advance(begun)
        (key,) = place.ship("monday", "a")
        outcome = place.purge("monday")
        assert outcome.done
        assert place.has(key) == left


def test_stock_that_begins_after_the_document_stops_the_sweep() -> None:
    place = memory_place()
    (key,) = place.ship("monday", "a")
    place.begin("slow")
    place.purge("monday")
    place.abandon("slow")
    place.stock("tuesday", "b")
    assert place.purge("monday").done
    assert place.of("monday") == []
    assert place.has(key)


def test_a_name_that_stock_uses_again_is_another_backup() -> None:
    place = memory_place()
    place.ship("monday", "a")
    place.begin("slow")
    assert not place.purge("monday").done
    place.abandon("slow")
    for key in place.of("monday"):
        place.owner.delete([key])
    place.clock.advance(10)
    place.stock("monday", "a")
    place.purge("monday", stock_is_idle=True)
    place.check_sound()
    assert place.has(place.meta("monday", grammar.MANIFEST))
    assert place.has(place.key("a"))


def test_stock_s_own_backups_are_purged_too() -> None:
    place = memory_place()
    place.stock("monday", "a")
    place.clock.advance(GRACE + 1)
    (kept,) = place.stock("tuesday", "b")
    assert place.purge("monday", stock_is_idle=True).done
    assert place.of("monday") == []
    assert not place.has(place.key("a"))
    assert place.has(kept)
    spy = Spy(place.purger)
    place.purge_through(spy, "tuesday", run="other")
    assert place.of("tuesday") == []
    assert place.listing(LAYOUT.shared_data("n1")) == [kept]
