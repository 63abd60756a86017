"""Full data that appears after its backup was deleted or given up: swept when it is old, and never from under a new backup."""

from __future__ import annotations

import pytest

from backupstore.core import layout as grammar
from backupstore.core.documents import Condemned
from backupstore.core.layout import Layout
from tests.operations.purging import DAY, GRACE, ORPHANS, Meanwhile, Place, memory_place


def woken_late(place: Place, backup: str, *names: str) -> tuple[str, ...]:
    """What a process sends that was asleep while its backup was deleted."""
    keys = tuple(place.key(name, backup=backup) for name in names)
    for key in keys:
        place.owner.create(key, key.encode())
    return keys


@pytest.fixture
def place() -> Place:
    found = memory_place()
    found.ship("tuesday", "a", mode="full")
    return found


def test_leftover_data_goes_when_it_is_as_old_as_an_orphan(place: Place) -> None:
    keys = woken_late(place, "monday", "a", "b")
    place.clock.advance(ORPHANS)
    assert place.purge(run="early").objects == 0
    assert all(map(place.has, keys))
    place.clock.advance(1)
    outcome = place.purge(run="late")
    assert (outcome.done, outcome.objects) == (True, 2)
    assert place.of("monday") == []
    assert place.of("tuesday")


def test_it_is_condemned_before_it_is_deleted(place: Place) -> None:
    woken_late(place, "monday", "a")
    place.clock.advance(ORPHANS + 1)
    place.purge()
    assert [document.backups for document in place.documents().values()] == [("monday",)]


def test_one_young_file_among_it_says_that_somebody_is_at_work(place: Place) -> None:
    keys = woken_late(place, "monday", "a")
    place.clock.advance(ORPHANS + 1)
    young = woken_late(place, "monday", "b")
    place.purge()
    assert all(map(place.has, (*keys, *young)))


@pytest.mark.parametrize("call", ["create", "entries"])
def test_a_backup_that_begins_under_the_name_meanwhile_loses_nothing(place: Place, call: str) -> None:
    """Before the document was there it could not be warned; the look after the document sees its intent."""
    woken_late(place, "monday", "a")
    place.clock.advance(ORPHANS + 1)

    def begins() -> None:
        place.begin("monday")
        woken_late(place, "monday", "new")

    about = "condemned" if call == "create" else f"{place.layout.node('n1')}monday/"
    place.purge_through(Meanwhile(place.purger, call, about, begins))
    assert len([key for key in place.of("monday") if "/data/" in key]) == 2
    assert place.has(place.meta("monday", grammar.SCHEMA))
    place.commit("monday", [place.key("new", backup="monday")])
    place.purge()
    place.check_sound()


def test_what_was_condemned_and_not_deleted_goes_with_the_next_call(place: Place) -> None:
    woken_late(place, "monday", "a")
    place.clock.advance(ORPHANS + 1)

    class DiesError(Exception):
        pass

    def dies() -> None:
        raise DiesError

    with pytest.raises(DiesError):
        place.purge_through(Meanwhile(place.purger, "list", place.layout.rows("monday"), dies))
    assert place.of("monday")
    assert place.purge().done
    assert place.of("monday") == []


def test_beside_other_files_nobody_knows_what_it_is(place: Place) -> None:
    """Without a prefix another cluster's folder looks like a node: its nodes have backups beside their data."""
    place.layout = Layout()
    place.owner.create("n1/monday/data/ks/t/a-Data.db", b"x")
    place.owner.create("n1/monday/sunday/meta/schema.cql", b"x")
    place.clock.advance(ORPHANS + GRACE)
    before = place.contents()
    place.purge_through(place.owner)
    assert place.contents() == before


def test_what_is_no_data_of_cassandras_is_nobodys_business(place: Place) -> None:
    place.owner.create(f"{place.layout.full_data('n1', 'monday')}notes.txt", b"x")
    place.clock.advance(ORPHANS + 1)
    place.purge()
    assert place.documents() == {}


def test_data_of_a_backup_that_was_given_up_goes_with_it_and_what_comes_later_is_swept(place: Place) -> None:
    place.begin("monday")
    woken_late(place, "monday", "a")
    place.abandon("monday")
    assert place.purge("monday").done
    assert place.of("monday") == []
    late = woken_late(place, "monday", "b")
    place.clock.advance(15 * DAY)
    place.purge(run="next")
    assert not any(map(place.has, late))


def test_a_hostile_document_that_names_a_living_backup_as_a_rest_does_not_delete_it(place: Place) -> None:
    document = Condemned(revision="x", run="run", node="n1", created=place.clock.now(), backups=("tuesday",))
    key = place.layout.condemned_document("n1", "run-x")
    place.owner.create(key, document.model_dump_json().encode())
    place.purge()
    assert place.has(place.meta("tuesday", grammar.MANIFEST))
