"""A backup that did not end: the same name goes on with it, another name gives it up, and nothing is left behind."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from backupstore.core.documents import Mode
from backupstore.errors import Refused
from tests.killing import Point
from tests.recorded import NAME, RecordedNode
from tests.shipper.backup.world import World

DURING = Point(20, "before", "store.upload")
AFTER_SNAPSHOT = Point(1, "after", "node.snapshot")
AFTER_INTENT = Point(1, "after", "store.create")
AFTER_ATTEMPT = Point(2, "after", "store.create")
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


@pytest.mark.parametrize("stop", [1, 5, 9, 13, 17, 20, 21])
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
    world.check_tidy(*(["medusa-shipper_kept-monday"] if keep else []))


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
