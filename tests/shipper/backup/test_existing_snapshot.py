"""``--use-existing-snapshot``: what the operator snapped is backed up, and never touched."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backupstore.errors import NotFound, Refused
from shipper.backup import Report, back_up
from shipper.begin import Request
from shipper.snapshot import Filters
from tests.killing import Point, Trigger, killed
from tests.shipper.backup.world import World

TAG = "medusa-monday"
DURING = Point(3, "before", "store.upload")
COMMIT = Point(1, "before", "state.forget")


def from_existing(world: World, name: str = "monday", *, keep: bool = False, existing: bool = True) -> Report:
    request = Request(name, "differential", Filters(), keep, existing)
    return back_up(world.site, request, world.limits, world.listener)


def test_it_is_what_is_backed_up_and_stays(world: World) -> None:
    world.node.snapshot(TAG)
    contents = world.node.contents()
    world.node.flush("shop.orders")
    from_existing(world)
    world.check_backup("monday", contents)
    world.check_tidy(TAG)
    assert world.attempt().snapshot == TAG
    assert any("as they are now" in warning for warning in world.listener.warnings)


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("at", [DURING, COMMIT])
def test_killed_it_goes_on_from_there_and_it_stays(world: World, at: Point, *, keep: bool) -> None:
    world.node.snapshot(TAG)
    contents = world.node.contents()
    assert killed(lambda: from_existing(world.deadly(Trigger(at)), keep=keep))
    world.node.compact("shop.orders")
    from_existing(world, keep=keep)
    world.check_backup("monday", contents)
    world.check_tidy(TAG)


def test_it_stays_when_the_resume_does_not_name_it(world: World) -> None:
    world.node.snapshot(TAG)
    contents = world.node.contents()
    assert killed(lambda: from_existing(world.deadly(Trigger(DURING))))
    from_existing(world, existing=False)
    world.check_backup("monday", contents)
    world.check_tidy(TAG)


def test_it_stays_when_its_backup_is_given_up(world: World) -> None:
    world.node.snapshot(TAG)
    assert killed(lambda: from_existing(world.deadly(Trigger(DURING))))
    world.back_up("tuesday")
    assert "abandoned" in world.meta("monday")
    world.check_tidy(TAG)


def test_one_that_was_taken_anew_is_noticed(world: World) -> None:
    world.node.snapshot(TAG)
    assert killed(lambda: from_existing(world.deadly(Trigger(DURING))))
    world.node.clear_snapshot(TAG)
    world.node.compact("shop.orders")
    world.node.snapshot(TAG)
    contents = world.node.contents()
    from_existing(world)
    world.check_backup("monday", contents)
    world.check_tidy(TAG)


def test_one_that_was_taken_anew_of_another_schema_ends_the_backup_and_stays(world: World) -> None:
    world.node.snapshot(TAG)
    assert killed(lambda: from_existing(world.deadly(Trigger(DURING))))
    world.node.clear_snapshot(TAG)
    world.node.alter()
    world.node.snapshot(TAG)
    with pytest.raises(Refused, match="the schema has changed"):
        from_existing(world)
    assert "abandoned" in world.meta("monday")
    world.check_tidy(TAG)


def test_it_stays_when_the_grace_is_over(world: World) -> None:
    world.limits = replace(world.limits, grace=86400.0)
    world.node.snapshot(TAG)
    assert killed(lambda: from_existing(world.deadly(Trigger(DURING))))
    world.clock.advance(86400)
    with pytest.raises(Refused):
        from_existing(world)
    world.back_up("tuesday")
    world.check_tidy(TAG)


def test_a_snapshot_of_our_own_goes_first_in_a_resume_and_is_cleared(world: World) -> None:
    contents = world.node.contents()
    world.die(DURING)
    world.node.flush("shop.orders")
    world.node.snapshot(TAG)
    from_existing(world)
    world.check_backup("monday", contents)
    world.check_tidy(TAG)


def test_without_one_nothing_is_begun(world: World) -> None:
    with pytest.raises(NotFound, match=TAG) as caught:
        from_existing(world)
    assert f"nodetool snapshot -t {TAG}" in caught.value.hint
    assert world.listing() == []
    world.back_up("tuesday")
    assert world.listing(world.layout.meta_folder("10.0.0.1", "monday")) == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda world: world.node.create("shop.new"), "shop.new is not in it"),
        (lambda world: world.node.recreate("shop.reborn"), "shop.reborn is not in it; shop.reborn in it was dropped"),
    ],
)
def test_one_of_another_schema_is_refused(world: World, change: object, why: str) -> None:
    world.node.snapshot(TAG)
    assert callable(change)
    change(world)
    with pytest.raises(Refused, match=why):
        from_existing(world)
    assert world.listing() == []
    world.check_tidy(TAG)


def test_one_of_a_keyspace_is_not_the_node(world: World) -> None:
    world.node.snapshot(TAG, keyspaces=["shop"])
    with pytest.raises(Refused, match=r"system\.local is not in it"):
        from_existing(world)
    world.check_tidy(TAG)


def test_a_name_that_makes_it_look_like_ours_is_refused(world: World) -> None:
    """``medusa-shipper-a`` is what a backup called ``a`` takes and clears."""
    world.node.snapshot("medusa-shipper-a")
    with pytest.raises(Refused, match="taken for our own"):
        from_existing(world, "shipper-a")
