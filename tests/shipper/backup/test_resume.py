"""A backup that did not end: the same name goes on with it, another name gives it up, and nothing is left behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from backupstore.core.documents import Mode, encode
from backupstore.errors import Corrupt, NodeTrouble, Refused
from backupstore.ports import Source, StoredObject
from backupstore.stores.sources import BytesSource
from shipper.backup import Limits
from tests.killing import Pausing, Point
from tests.recorded import NAME, RecordedNode
from tests.shipper.backup.world import DAY, World, Wrapped, elsewhere

DURING = Point(20, "before", "store.upload")
AFTER_SNAPSHOT = Point(1, "after", "node.snapshot")
AFTER_INTENT = Point(1, "after", "store.create")
AFTER_ATTEMPT = Point(2, "after", "store.create")
BEFORE_SNAPSHOT = Point(1, "before", "node.snapshot")
AFTER_MANIFEST = Point(84, "after", "store.upload")  # nobody has been told
AFTER_ANNOUNCEMENT = Point(9, "after", "store.create")  # the snapshot is still there
BEFORE_CLEAR = Point(1, "before", "node.clear_snapshot")
MODES: list[Mode] = ["full", "differential"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("at", [AFTER_SNAPSHOT, AFTER_INTENT, AFTER_ATTEMPT, DURING])
def test_the_same_command_goes_on_from_the_same_snapshot(world: World, mode: Mode, at: Point) -> None:
    contents = world.node.contents()
    world.die(at, "monday", mode)
    if at is not AFTER_SNAPSHOT:  # nothing is in the bucket yet then: a new one is taken
        world.node.flush()
        world.node.alter()
    report = world.back_up("monday", mode)

    assert report.attempt == (2 if at in {DURING, AFTER_ATTEMPT} else 1)
    world.check_backup("monday", contents)
    world.check_tidy()


def test_what_was_sent_before_the_kill_is_not_sent_again(world: World) -> None:
    world.clock.step = 2.0  # the memory is kept each second
    world.die(DURING)
    report = world.back_up()
    assert 0 < report.totals.new_files < report.totals.files - 15


def test_everything_that_describes_the_snapshot_is_of_its_own_time(world: World) -> None:
    """The schema, the tokens and the version of now are not those of the snapshot, of which the data is."""
    schema, tokens = world.node.schema(), world.node.identity().tokens
    world.die(AFTER_ATTEMPT)
    world.node.recreate("shop.reborn")
    world.node.alter()
    world.node.move()
    world.node.upgrade("5.0.7")
    world.back_up()

    meta = world.meta("monday")
    assert meta["schema.cql"].decode() == schema.export
    assert meta["describe.cql"].decode() == schema.described
    assert b"5.0.6" in meta["server_version.json"]
    assert str(tokens[0]).encode() in meta["tokenmap.json"]


# --- the snapshot is gone, or is not what it should be ---


@pytest.mark.parametrize("flag", [False, True])
def test_without_its_snapshot_a_differential_backup_takes_another_one(world: World, *, flag: bool) -> None:
    world.die(DURING, keep=flag)
    (tag,) = world.node.snapshot_tags("")
    world.node.clear_snapshot(tag)
    world.node.flush()
    world.back_up("monday", keep=flag)
    world.check_backup("monday", world.node.contents())
    world.check_tidy(*([tag] if flag else []))


CHANGES: list[tuple[Callable[[RecordedNode], None], str]] = [
    (RecordedNode.alter, "the schema has changed"),
    (lambda node: node.recreate("shop.reborn"), "the schema has changed"),
    (RecordedNode.move, "tokens have changed"),
    (lambda node: node.upgrade("5.0.7"), "another version"),
]


@pytest.mark.parametrize(("change", "why"), CHANGES)
def test_without_its_snapshot_a_changed_node_gives_it_up(
    world: World, change: Callable[[RecordedNode], None], why: str
) -> None:
    world.die(DURING)
    world.node.clear_snapshot("medusa-shipper-monday")
    change(world.node)
    with pytest.raises(Refused, match=why) as caught:
        world.back_up()
    assert "new name" in caught.value.hint
    assert "abandoned" in world.meta("monday")
    assert world.node.snapshot_tags("") == ()
    with pytest.raises(Refused, match="given up"):
        world.back_up()
    world.back_up("tuesday")
    world.check_backup("tuesday", world.node.contents())
    world.check_tidy()


def test_without_its_snapshot_a_full_backup_is_given_up(world: World) -> None:
    world.die(DURING, "monday", "full")
    world.node.clear_snapshot("medusa-shipper-monday")
    with pytest.raises(Refused, match="cannot mix two"):
        world.back_up("monday", "full")
    assert "abandoned" in world.meta("monday")
    world.check_tidy()


def test_a_snapshot_of_which_a_part_was_cleared_is_not_used(world: World) -> None:
    world.die(DURING)
    for folder in world.node.folders("shop.orders"):
        snapshot = folder / "snapshots" / "medusa-shipper-monday"
        for path in snapshot.iterdir():
            path.unlink()
        snapshot.rmdir()
    world.back_up()
    world.check_backup("monday", world.node.contents())


@pytest.mark.parametrize("stop", range(1, 9))
def test_half_a_snapshot_is_never_taken_for_a_whole_one(world: World, stop: int) -> None:
    """Killed while a resume takes its snapshot anew: the attempt in the bucket names the tag that is half there."""
    world.die(DURING)
    world.node.clear_snapshot("medusa-shipper-monday")
    left = iter(range(stop))

    def between() -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    world.node.between = between
    with pytest.raises(KeyboardInterrupt):
        world.back_up()
    world.node.between = lambda: None
    assert world.node.snapshot_tags("") == ("medusa-shipper-monday",)
    world.back_up()
    world.check_backup("monday", world.node.contents())
    world.check_tidy()


def test_a_node_that_lost_its_memory_finds_its_unfinished_backup_by_listing(world: World) -> None:
    world.back_up("sunday")
    world.node.restart_generations()
    world.die(DURING)
    for path in world.state.path.iterdir():
        path.unlink()
    world.back_up("monday")
    world.check_backup("monday", world.node.contents())
    world.check_tidy()


# --- flags ---


def test_a_kept_snapshot_of_a_killed_backup_is_found_and_cleared(world: World) -> None:
    for at in (AFTER_SNAPSHOT, DURING):
        world.die(at, "monday", keep=True)
        assert world.node.snapshot_tags("") == ("medusa-shipper_kept-monday",)
        world.back_up(f"tuesday-{at.number}")
        world.check_tidy()
        world.node.restart_generations()


def test_begun_with_keep_and_finished_without_leaves_nothing(world: World) -> None:
    contents = world.node.contents()
    world.die(DURING, "monday", "full", keep=True)
    world.node.flush()
    world.back_up("monday", "full")
    world.check_backup("monday", contents)
    world.check_tidy()


def test_begun_without_keep_and_finished_with_it_uses_the_snapshot_and_says_that_it_goes(world: World) -> None:
    contents = world.node.contents()
    world.die(DURING, "monday", "full")
    world.node.flush()
    world.back_up("monday", "full", keep=True)
    world.check_backup("monday", contents)
    assert any("is not kept" in warning for warning in world.listener.warnings)
    world.back_up("tuesday")
    world.check_tidy()


@pytest.mark.parametrize("flag", [False, True])
def test_a_run_that_is_refused_leaves_no_snapshot_of_another_one(world: World, *, flag: bool) -> None:
    world.back_up("sunday")
    world.node.restart_generations()
    world.die(DURING, "monday", keep=flag)
    with pytest.raises(Refused, match="already finished"):
        world.back_up("sunday")
    world.check_tidy()


def test_a_run_of_the_wrong_mode_is_refused_and_harms_nothing(world: World) -> None:
    contents = world.node.contents()
    world.die(DURING, "monday", "full")
    world.node.flush()
    with pytest.raises(Refused, match="begun in full mode") as caught:
        world.back_up("monday", "differential")
    assert "--mode full" in caught.value.hint
    with pytest.raises(Refused, match="other --keyspace or --table"):
        world.back_up("monday", "full", tables=("shop.orders",))
    world.back_up("monday", "full")
    world.check_backup("monday", contents)


# --- the very end ---


@pytest.mark.parametrize(
    "at",
    [
        AFTER_MANIFEST,
        AFTER_ANNOUNCEMENT,
        BEFORE_CLEAR,
        Point(1, "after", "node.clear_snapshot"),
    ],
)
@pytest.mark.parametrize("keep", [False, True])
def test_killed_after_the_manifest_the_same_command_only_ends_it(world: World, at: Point, *, keep: bool) -> None:
    if keep and "clear" in at.kind:
        return
    world.die(at, keep=keep)
    assert "manifest.json" in world.meta("monday")
    world.node.flush()
    before = {key: body for key, body in world.comparable().items() if "announced" not in key}

    report = world.back_up("monday", keep=keep)

    assert (report.attempt, report.totals.files, report.totals.new_files) == (1, len(world.entries()), 0)
    assert {key: body for key, body in world.comparable().items() if "announced" not in key} == before
    assert world.announced("monday") == {"started", "finished"}
    world.check_tidy(*(["medusa-shipper_kept-monday"] if keep else []))
    with pytest.raises(Refused, match="already finished"):
        world.back_up("monday")


def test_killed_after_the_manifest_the_next_name_tells_of_it(world: World) -> None:
    world.die(AFTER_MANIFEST)
    world.back_up("tuesday")
    assert world.announced("monday") == {"started", "finished"}
    assert "abandoned" not in world.meta("monday")
    world.check_tidy()


def test_ending_one_backup_does_not_forget_that_another_was_begun(world: World) -> None:
    world.die(AFTER_MANIFEST, "monday")
    world.node.restart_generations()
    world.die(DURING, "tuesday")
    world.owner.delete([world.layout.announced(NAME, "monday", "finished")])
    world.back_up("monday")
    world.back_up("wednesday")
    assert "abandoned" in world.meta("tuesday")


def test_a_snapshot_that_cannot_be_cleared_does_not_spoil_a_good_backup(world: World) -> None:
    world.node.fails = {"clear_snapshot"}
    report = world.back_up("monday", keep=False)
    assert report.is_good
    assert any("left for the next backup" in warning for warning in world.listener.warnings)
    assert world.announced("monday") == {"started", "finished"}
    world.node.fails = set()
    world.back_up("tuesday")
    world.check_tidy()


# --- another name ---


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
