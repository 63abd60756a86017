"""Another name gives a dead backup up; half of the grace after its intent nobody may finish it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backupstore.core.documents import encode
from backupstore.errors import Corrupt, NodeTrouble, Refused
from backupstore.ports import Source, StoredObject
from backupstore.stores.sources import BytesSource
from shipper.backup import Limits
from tests.killing import Pausing, Point
from tests.recorded import NAME
from tests.shipper.backup.world import DAY, World, Wrapped, elsewhere

DURING = Point(20, "before", "store.upload")
AFTER_SNAPSHOT = Point(1, "after", "node.snapshot")
AFTER_INTENT = Point(1, "after", "store.create")
AFTER_ATTEMPT = Point(2, "after", "store.create")
BEFORE_SNAPSHOT = Point(1, "before", "node.snapshot")
AFTER_MANIFEST = Point(84, "after", "store.upload")  # nobody has been told


@pytest.mark.parametrize("at", [BEFORE_SNAPSHOT, AFTER_SNAPSHOT, AFTER_INTENT, AFTER_ATTEMPT, DURING])
@pytest.mark.parametrize("remembering", [True, False])
def test_another_name_gives_the_dead_backup_up(world: World, at: Point, *, remembering: bool) -> None:
    world.back_up("sunday")
    world.node.restart_generations()
    world.die(at, "monday")
    if not remembering:
        (world.state.path / "open-backups.json").unlink()
    world.back_up("tuesday")

    meta = world.meta("monday")
    known = at in {AFTER_ATTEMPT, DURING} or (at is AFTER_INTENT and remembering)
    assert ("abandoned" in meta) == known
    assert "abandoned" not in world.meta("sunday")
    world.check_backup("tuesday", world.node.contents())
    world.check_tidy()
    if known:
        assert any("monday was never finished" in warning for warning in world.listener.warnings)
        with pytest.raises(Refused, match="given up"):
            world.back_up("monday")


def test_a_dead_backup_whose_attempt_cannot_be_read_does_not_stop_the_next_one(world: World) -> None:
    world.die(DURING, "monday")
    world.owner.put(world.layout.attempt(NAME, "monday", 1), b"{broken")
    with pytest.raises(Corrupt, match=r"attempt-1\.json") as caught:
        world.back_up("monday")
    assert "another name" in caught.value.hint
    world.back_up("tuesday")
    assert "abandoned" in world.meta("monday")
    world.check_tidy()


@pytest.mark.parametrize("field", [{"node": "10.0.0.9"}, {"backup": "sunday"}, {"attempt": 7}])
def test_an_attempt_that_speaks_of_another_backup_is_not_believed(world: World, field: dict[str, object]) -> None:
    world.die(DURING, "monday")
    forged = world.attempt("monday").model_copy(update=field)
    world.owner.put(world.layout.attempt(NAME, "monday", 1), encode(forged))
    with pytest.raises(Corrupt, match="another node backup"):
        world.back_up("monday")


def test_a_forged_snapshot_tag_is_never_used(world: World) -> None:
    world.node.snapshot("somebody-elses")
    world.die(DURING, "monday")
    forged = world.attempt("monday").model_copy(update={"snapshot": "somebody-elses"})
    world.owner.put(world.layout.attempt(NAME, "monday", 1), encode(forged))
    world.back_up("monday")
    assert world.node.snapshot_tags("") == ("somebody-elses",)


# --- time ---


def test_a_resume_after_half_of_the_grace_is_refused(world: World) -> None:
    world.limits = Limits(grace=10 * DAY)
    world.die(DURING)
    world.clock.advance(5 * DAY + 3600)
    with pytest.raises(Refused, match="too long to be finished safely"):
        world.back_up("monday")


def test_a_clock_that_was_set_back_does_not_make_an_old_backup_young(memory_world: World) -> None:
    world = memory_world
    world.limits = Limits(grace=10 * DAY)
    world.die(DURING)
    world.clock.advance(6 * DAY)
    lying = world.site.clock.now
    world.clock.now = lambda: lying() - 6 * DAY  # type: ignore[method-assign] # the store's clock is right, ours is not
    with pytest.raises(Refused, match="cannot be finished in time"):
        world.back_up("monday")
    assert "manifest.json" not in world.meta("monday")


@pytest.mark.parametrize(
    "at", [Point(1, "after", "store.create"), Point(2, "after", "store.create"), replace(AFTER_MANIFEST, when="before")]
)
def test_a_machine_that_slept_too_long_does_not_commit(world: World, at: Point) -> None:
    """Suspended in the middle, it wakes up later than half of the grace, and believes that nothing has happened."""
    world.limits = Limits(grace=10 * DAY)
    with pytest.raises(Refused, match="cannot be finished in time"):
        world.deadly(Pausing(at, lambda: world.clock.advance(6 * DAY))).back_up()
    assert "manifest.json" not in world.meta("monday")
    world.back_up("tuesday")
    assert "abandoned" in world.meta("monday")
    world.check_tidy()


def test_a_manifest_that_arrives_too_late_all_the_same_is_void(memory_world: World) -> None:
    world = memory_world
    world.limits = Limits(grace=10 * DAY)

    class Slow(Wrapped):
        """Has taken the last byte, and then the machine sleeps."""

        def upload(self, key: str, source: Source) -> StoredObject:
            body = b"".join(source.chunks())
            if key.endswith("manifest.json"):
                world.clock.advance(6 * DAY)
            return self.store.upload(key, BytesSource(body))

    with pytest.raises(Refused, match="committed too late"):
        elsewhere(world, store=Slow(world.store)).back_up()
    assert {"manifest.json", "abandoned"} <= set(world.meta("monday"))
    assert "finished" not in world.announced("monday")
    world.check_tidy()


def test_a_reboot_on_the_way_changes_nothing(world: World) -> None:
    contents = world.node.contents()
    world.die(DURING)
    world.clock.reboot()
    world.back_up()
    world.check_backup("monday", contents)
    assert world.attempt("monday", 1).boot_id != world.attempt("monday", 2).boot_id


def test_what_cannot_be_done_in_time_is_not_begun(world: World) -> None:
    world.back_up("sunday")
    world.state.write("pace", {"bytes_per_second": 0.001})
    world.node.restart_generations()
    with pytest.raises(Refused, match=r"hours are left, about .* are needed") as caught:
        world.back_up("monday")
    assert "incomplete_grace_days" in caught.value.hint
    assert "pace.json" in caught.value.hint
    assert not [key for key in world.listing() if "/data-v/" in key]


def test_a_failing_snapshot_while_resuming_is_an_error_and_not_the_end(world: World) -> None:
    world.die(DURING)
    world.node.clear_snapshot("medusa-shipper-monday")
    world.node.fails = {"snapshot halfway"}
    with pytest.raises(NodeTrouble):
        world.back_up()
    world.node.fails = set()
    world.back_up()
    world.check_backup("monday", world.node.contents())
    world.check_tidy()
