"""The mark that keeps Cassandra down: there whenever its files are on their way, and gone whenever we start it ourselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from backupstore.errors import Denied
from shipper.restore.stays_down import mark_of
from tests.killing import Point, Trigger
from tests.shipper.restore.dying import dying
from tests.shipper.restore.fake import which
from tests.shipper.restore.part import FORWARD, die, obey, obey_all
from tests.shipper.restore.world import World


@dataclass
class Witness(Trigger):
    """Looks before each change of the disk, and at each call of the service."""

    world: World
    mixed: int = 0
    starts: list[bool] = field(default_factory=list)

    def around(self, kind: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: object, **named: object) -> object:
            has_mark = mark_of(self.world.state).exists()
            if kind == "service.start":
                self.starts.append(has_mark)
            if kind.startswith("disk.") and which(self.world.base, self.world.directories) == "mixed":
                self.mixed += 1
                assert has_mark, "on the way, and anybody may start it"
            return function(*arguments, **named)

        return call


def watched(world: World, verbs: Sequence[str], **options: object) -> Witness:
    witness = Witness(world)
    with dying(witness, world.base):
        obey_all(world.deadly(witness), verbs, **options)
    return witness


@pytest.mark.parametrize(
    "verbs",
    [
        FORWARD,
        (*FORWARD[:2], "put_back", "start"),
        (*FORWARD[:3], "put_back", "start"),
        (*FORWARD[:5], "put_back", "start"),
    ],
    ids=lambda verbs: verbs[-3],
)
def test_it_is_there_while_files_move_and_gone_when_cassandra_starts(world: World, verbs: Sequence[str]) -> None:
    witness = watched(world, verbs)
    assert witness.mixed > 0
    assert witness.starts
    assert not any(witness.starts)
    assert not mark_of(world.state).exists()


def test_it_is_there_when_the_old_data_is_deleted_first(world: World) -> None:
    obey(world, "prepare", stop_first=True)
    witness = watched(world, FORWARD[1:])
    assert witness.starts == [False]
    assert not mark_of(world.state).exists()


def test_it_stays_until_the_command_to_start(world: World) -> None:
    """Until its seeds are up, or the whole cluster is back: only the coordinator knows."""
    obey_all(world, FORWARD[:3])
    assert "monday" in mark_of(world.state).read_text()
    obey(world, "put_back")
    assert mark_of(world.state).exists()
    obey(world, "start")
    assert not mark_of(world.state).exists()


def test_a_node_that_was_down_before_may_be_started_afterwards(world: World) -> None:
    world.service.stop()
    obey_all(world, (*FORWARD[:3], "put_back", "start"), in_place=True)
    assert not mark_of(world.state).exists()


def test_nothing_moves_where_it_cannot_be_made(world: World) -> None:
    obey(world, "prepare")
    mark_of(world.state).mkdir()
    with pytest.raises(Denied):
        obey(world, "stop")
    assert which(world.base, world.directories) == "old"


@pytest.mark.parametrize("verb", ["place", "put_back"])
def test_it_is_made_anew_before_cassandra_is_stopped_once_more(
    world: World, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody has removed it to start Cassandra by hand, in the middle of it."""
    obey_all(world, FORWARD[:2])
    if verb == "put_back":
        assert die(world, Point(1, "before", "disk.rename.aside"), "put_back")
    mark_of(world.state).unlink()
    (world.base / "running").touch()
    stop, seen = world.service.stop, list[bool]()

    def stopped() -> None:
        seen.append(mark_of(world.state).exists())
        stop()

    monkeypatch.setattr(world.service, "stop", stopped)
    obey(world, verb)
    assert seen == [True]
