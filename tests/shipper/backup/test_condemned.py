"""What purge has condemned is not to be relied on, whatever it holds; what cannot be read condemns everything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from backupstore.errors import Corrupt
from backupstore.ports import StoredObject
from shipper.backup import back_up
from shipper.begin import Request
from tests.recorded import NAME
from tests.shipper.backup.world import World, Wrapped, elsewhere


def test_condemned_keys_are_taken_as_absent_even_where_they_hold_the_right_content(world: World) -> None:
    world.back_up("monday")
    condemned = tuple(sorted(entry.path for entry in world.entries("monday").values()))[::2]
    world.condemn("run-1", keys=condemned)
    world.back_up("tuesday")

    named = {entry.path for entry in world.entries("tuesday").values()}
    assert not named & set(condemned)
    world.owner.delete(condemned)
    world.check_backup("tuesday", world.node.contents())


def test_where_the_versioned_key_is_condemned_too_a_new_one_is_made(world: World) -> None:
    world.back_up("monday")
    world.condemn("run-1", keys=tuple(entry.path for entry in world.entries("monday").values()))
    world.back_up("tuesday")
    tuesday = tuple(entry.path for entry in world.entries("tuesday").values())
    world.condemn("run-2", keys=tuesday)
    world.back_up("wednesday")

    for entry in world.entries("wednesday").values():
        assert f"/data-v/{entry.sha256}-wednesday-1/" in entry.path
    world.owner.delete([entry.path for entry in world.entries("monday").values()])
    world.owner.delete(tuesday)
    world.check_backup("wednesday", world.node.contents())
    assert world.attempt("wednesday").condemned_seen == ("run-1", "run-2")
    assert world.back_up("thursday").totals.new_files == 0


@pytest.mark.parametrize("body", [b"", b"{", b'{"format":1}', b'{"format":9}', b"[]", b"\xff\xfe", b"null"])
def test_a_condemned_document_that_cannot_be_read_stops_the_backup_before_it_writes(world: World, body: bytes) -> None:
    world.back_up("monday")
    before = world.comparable()
    world.owner.put(f"{world.layout.condemned(NAME)}run-1.json", body)
    with pytest.raises(Corrupt, match=r"condemned/10\.0\.0\.1/run-1\.json") as caught:
        world.back_up("tuesday")
    assert "purge" in caught.value.hint
    world.owner.delete([f"{world.layout.condemned(NAME)}run-1.json"])
    assert world.comparable() == before
    assert world.node.snapshot_tags("") == ()


def test_a_condemned_document_that_is_dropped_while_it_is_read_counts_no_more(memory_world: World) -> None:
    world = memory_world
    world.condemn("run-1", keys=("prod/x",))
    world.condemn("run-2")

    class Dropping(Wrapped):
        def list(self, folder: str) -> Iterator[StoredObject]:
            found = list(super().list(folder))
            if folder == world.layout.condemned(NAME):
                world.owner.delete([f"{folder}run-1.json"])
            return iter(found)

    elsewhere(world, store=Dropping(world.store)).back_up("monday")
    assert world.attempt().condemned_seen == ("run-2",)


@pytest.mark.parametrize("late", [True, False])
def test_an_attempt_says_whether_what_is_condemned_may_be_seen_late(world: World, *, late: bool) -> None:
    site = replace(world.site, cached_mount=late)
    back_up(site, Request("monday"), world.limits, world.listener)
    assert world.attempt("monday").cached_mount == late
