"""The two lists side by side: in the order of SSTables, with exact folders, and an error that helps where there is no room."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from backupstore.core.keys import DataKey
from backupstore.core.layout import Layout
from backupstore.core.manifest import Entry
from backupstore.core.sstables import parse_component
from backupstore.core.verification import Listed
from backupstore.errors import NoSpace, Retryable
from backupstore.operations.inventory import Inventory
from backupstore.ports import StoredObject

LAYOUT = Layout()


@pytest.fixture
def inventory() -> Iterator[Inventory]:
    made = Inventory()
    yield made
    made.close()


def named(file: str, *, index: str | None = None, backup: str | None = None) -> tuple[DataKey, Entry]:
    key = DataKey("n1", "ks", "t", file, index, backup)
    return key, Entry("ks", "t", LAYOUT.data(key), 7, "m", "s", None)


def listing(*keys: str) -> Iterator[StoredObject]:
    return (StoredObject(key, 7, 1.0, "m") for key in keys)


def test_components_of_one_sstable_come_together(inventory: Inventory) -> None:
    generations = ("nb-1-big", "nb-10-big", "nb-2-big", "da-3h5r_08py_4k6i21ykkl1f13t4z2-bti")
    parts = ("TOC.txt", "Data.db", "SAI+aa+by_topic+Meta.db")
    inventory.add(named(f"{each}-{part}") for part in parts for each in generations)
    inventory.add([named("nb-1-big-Data.db", index=".idx")])
    inventory.add([named("stranger")])
    found = [
        (group[0].hidden, parse_component(group[0].file)[0], {parse_component(each.file)[1] for each in group})
        for group in inventory.sstables()
    ]
    assert len(found) == len(generations) + 2
    assert {(hidden, name) for hidden, name, whole in found if whole == set(parts)} == {("", g) for g in generations}


def test_each_stands_beside_what_is_listed(inventory: Inventory) -> None:
    there, gone = named("nb-1-big-Data.db"), named("nb-2-big-Data.db")
    inventory.add([there, gone])
    inventory.take("n1/data/", lambda _: listing(there[1].path))
    assert [each.listed for group in inventory.sstables() for each in group] == [Listed(7, "m"), None]
    assert [each.entry for group in inventory.sstables() for each in group] == [there[1], gone[1]]


def test_a_listing_is_taken_once_unless_it_failed(inventory: Inventory) -> None:
    asked: list[str] = []

    def failing(folder: str) -> Iterator[StoredObject]:
        asked.append(folder)
        yield from listing("n1/data/ks/t/a")
        raise Retryable("not now")

    with pytest.raises(Retryable):
        inventory.take("n1/data/", failing)

    def whole(folder: str) -> Iterator[StoredObject]:
        asked.append(folder)
        return listing("n1/data/ks/t/a")

    for _ in range(3):
        inventory.take("n1/data/", whole)
    assert asked == ["n1/data/"] * 2


def test_a_folder_has_no_neighbours(inventory: Inventory) -> None:
    inside, named_one = "n1/b/data/ks/t/extra", named("nb-1-big-Data.db", backup="b")
    inventory.add([named_one])
    inventory.take("n1/", lambda _: listing(inside, named_one[1].path, "n1/b/data0", "n1/b/data-2/x", "n1/b2/data/x"))
    assert list(inventory.extras("n1/b/data/")) == [inside]


def test_another_manifest_begins_with_nothing(inventory: Inventory) -> None:
    inventory.add([named("nb-1-big-Data.db")])
    inventory.begin()
    assert list(inventory.sstables()) == []


def test_no_room_for_the_list_is_told_with_a_way_out(inventory: Inventory) -> None:
    inventory._db.execute("PRAGMA max_page_count = 20")
    endless = (StoredObject(f"n1/data/{number:0200}", 7, 1.0) for number in count())
    with pytest.raises(NoSpace) as caught:
        inventory.take("n1/data/", lambda _: endless)
    assert "TMPDIR" in caught.value.hint
