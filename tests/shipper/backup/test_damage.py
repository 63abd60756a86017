"""Whether an object is still what a manifest names, and what becomes of a look that may not be taken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from backupstore.core import layout as grammar
from backupstore.core.manifest import Entry
from backupstore.errors import Denied
from backupstore.operations.truth import read_fact
from backupstore.ports import Source, StoredObject
from shipper.damage import difference
from tests.recorded import NAME
from tests.shipper.backup.world import World, Wrapped, elsewhere

ENTRY = Entry("ks", "t-1", "n/data/ks/t-1/f", 7, md5="a" * 32, sha256="b" * 64)
FINISHED = 100.0


@pytest.mark.parametrize(
    ("stored", "why"),
    [
        (None, "is gone"),
        (StoredObject("k", 8, 50.0, "a" * 32), "was overwritten: 8 bytes instead of 7"),
        (StoredObject("k", 7, 150.0, "a" * 32), ""),
        (StoredObject("k", 7, 50.0, "c" * 32), None),
        (StoredObject("k", 7, 50.0, "a" * 32 + "-1"), None),
        (StoredObject("k", 7, 50.0, None), ""),
        (StoredObject("k", 7, 100.0, None), ""),
        (StoredObject("k", 7, 100.1, None), None),
    ],
)
def test_what_size_digest_and_time_tell(stored: StoredObject | None, why: str | None) -> None:
    assert difference(ENTRY, stored, FINISHED) == why


def stranger(world: World) -> str:
    """Somebody else overwrites a file of monday's."""
    key = next(entry.path for entry in world.entries("monday").values() if entry.path.endswith("Filter.db"))
    world.clock.advance(10)
    world.owner.put(key, world.body(key) + b"more")
    return key


def test_one_backup_is_marked_and_no_other(world: World) -> None:
    world.back_up("monday")
    world.node.compact("shop.orders")
    world.back_up("full", "full")
    key = stranger(world)
    world.back_up("tuesday")
    marked = {name for name in ("monday", "full", "tuesday") if grammar.DAMAGED in world.meta(name)}
    assert marked == {"monday"}
    assert any(key in warning for warning in world.listener.warnings)
    world.check_backup("tuesday", world.node.contents())


def test_content_of_the_same_size_is_read_to_be_judged(world: World) -> None:
    world.back_up("monday")
    same, other = [entry.path for entry in world.entries("monday").values() if entry.size][:2]
    world.clock.advance(10)
    world.owner.put(same, world.body(same))
    world.owner.put(other, bytes(len(world.body(other))))
    world.back_up("tuesday")
    assert other in world.meta("monday")[grammar.DAMAGED].decode()
    assert same not in world.meta("monday")[grammar.DAMAGED].decode()


def test_an_object_that_is_gone_is_told_and_shipped_anew(world: World) -> None:
    world.back_up("monday")
    key = next(iter(world.entries("monday").values())).path
    world.owner.delete([key])
    report = world.back_up("tuesday")
    assert report.totals.new_files == 1
    assert b"is gone" in world.meta("monday")[grammar.DAMAGED]
    world.check_backup("tuesday", world.node.contents())


def test_who_may_not_read_manifests_backs_up_all_the_same(world: World) -> None:
    class Blind(Wrapped):
        def fetch(self, key: str, sink: object) -> StoredObject:
            if key.endswith("manifest.json"):
                raise Denied(f"{key} may not be read", hint="", operation="fetch")
            return self.store.fetch(key, sink)  # type: ignore[arg-type] # passed on

    world.back_up("monday")
    stranger(world)
    elsewhere(world, store=Blind(world.store)).back_up("tuesday")
    world.check_backup("tuesday", world.node.contents())
    assert any("cannot be looked at" in warning for warning in world.listener.warnings)
    assert grammar.DAMAGED not in world.meta("monday")
    world.back_up("wednesday")
    assert grammar.DAMAGED in world.meta("monday"), f"the next look of {NAME} finds it"


def test_a_backup_that_is_given_up_or_condemned_is_left_out(world: World) -> None:
    world.back_up("monday")
    stranger(world)
    world.owner.put(world.layout.meta(NAME, "monday", grammar.ABANDONED), b"{}")
    world.back_up("tuesday")
    assert grammar.DAMAGED not in world.meta("monday")


def test_without_anybody_else_no_manifest_is_ever_read(memory_world: World) -> None:
    world = memory_world
    read: list[str] = []

    class Watched(Wrapped):
        def fetch(self, key: str, sink: object) -> StoredObject:
            read.append(key)
            return self.store.fetch(key, sink)  # type: ignore[arg-type] # passed on

    watched = elsewhere(world, store=Watched(world.store))
    for name in ("monday", "tuesday", "wednesday"):
        watched.back_up(name)
        world.clock.advance(3600)
        watched.node.flush()
        watched.node.rewrite_statistics()
    assert [key for key in read if key.endswith(grammar.MANIFEST)] == []
    stranger(world)
    watched.back_up("thursday")
    assert len([key for key in read if key.endswith(grammar.MANIFEST)]) == 3


def test_a_mark_that_cannot_be_read_makes_no_good_backup(world: World) -> None:
    world.back_up("monday")
    stranger(world)
    world.back_up("tuesday")
    fact = read_fact(world.store, world.layout, node=NAME, backup="monday").fact
    assert fact is not None
    assert (fact.corrupt, fact.problem) == (1, None)
    world.owner.put(world.layout.meta(NAME, "monday", grammar.DAMAGED), b'{"format": 1}')
    fact = read_fact(world.store, world.layout, node=NAME, backup="monday").fact
    assert fact is not None
    assert "damaged cannot be read" in str(fact.problem)


def test_what_is_overwritten_while_we_back_up_is_found_by_the_next_backup(world: World) -> None:
    """After our listing, and before our manifest: that backup cannot know, and the next one tells."""
    world.back_up("monday")

    class Late(Wrapped):
        def upload(self, key: str, source: Source) -> StoredObject:
            if key.endswith(grammar.MANIFEST):
                stranger(world)
            return self.store.upload(key, source)

    elsewhere(world, store=Late(world.store)).back_up("tuesday")
    assert world.listener.warnings == []
    world.back_up("wednesday")
    assert {name for name in ("monday", "tuesday") if grammar.DAMAGED in world.meta(name)} == {"monday", "tuesday"}
    world.check_backup("wednesday", world.node.contents())


def test_a_listing_that_changed_on_its_way_marks_nothing(world: World) -> None:
    """What is put down stays, so the object itself is asked before."""
    world.back_up("monday")
    wrong, missing = [entry.path for entry in world.entries("monday").values()][:2]

    class Garbled(Wrapped):
        def list(self, folder: str) -> Iterator[StoredObject]:
            for stored in self.store.list(folder):
                if stored.key != missing:
                    yield replace(stored, size=stored.size + 64) if stored.key == wrong else stored

    elsewhere(world, store=Garbled(world.store)).back_up("tuesday")
    assert grammar.DAMAGED not in world.meta("monday")
    assert world.announced("monday") == {"started", "finished"}
    world.check_backup("tuesday", world.node.contents())
