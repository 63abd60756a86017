"""A verb of a job killed at every change of the disk and every call: it is repeated, or everything is put back.

At every other point the one, at those between the other; the way back is killed at every point, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from backupstore.errors import Refused
from tests.killing import Point
from tests.shipper.restore.part import BACK, FORWARD, die, obey, obey_all, points_of
from tests.shipper.restore.world import World, copy_of, make_world

_numbers = count(1)


@pytest.fixture(scope="module")
def template(folder: Path) -> World:
    return make_world(folder / "template")


def come_to(template: World, folder: Path, verbs: Sequence[str]) -> World:
    """A node that has obeyed these. One worker: the n-th call is the same one in every run."""
    world = replace(copy_of(template, folder / f"node-{next(_numbers)}"), workers=1)
    obey_all(world, verbs)
    return world


def go_back(world: World) -> str:
    """Put back and start; where it is too late, commit. How it stands then."""
    try:
        obey(world, "put_back")
    except Refused:
        journal = world.journal()
        assert journal is None or journal.phase == "committed"
        obey(world, "commit")
        return "new"
    obey(world, "start")
    return "old"


@pytest.mark.parametrize("verb", FORWARD)
def test_killed_anywhere_a_verb_is_repeated_or_taken_back(template: World, folder: Path, verb: str) -> None:
    done = FORWARD[: FORWARD.index(verb)]
    points = points_of(come_to(template, folder, done), verb)
    ends = set()
    for number, point in enumerate(points):
        world = come_to(template, folder, done)
        assert die(world, point, verb), point
        if number % 2:
            expected = go_back(world)
            ends.add(expected)
        else:
            expected = "new"
            obey_all(world, FORWARD[FORWARD.index(verb) :])
        assert world.stands() == expected, point
        assert not world.node.down, point
    assert "new" in ends if verb == "commit" else ends == {"old"}


@pytest.mark.parametrize("verb", BACK)
@pytest.mark.parametrize("reached", [2, 3, 5])
def test_killed_anywhere_on_the_way_back_it_is_repeated(template: World, folder: Path, verb: str, reached: int) -> None:
    done = (*FORWARD[:reached], *BACK[: BACK.index(verb)])
    points = points_of(come_to(template, folder, done), verb)
    assert points
    for point in points:
        world = come_to(template, folder, done)
        assert die(world, point, verb), point
        obey_all(world, BACK)
        assert world.stands() == "old", point
        assert not world.node.down, point


def test_killed_while_it_returns_it_does_not_go_forward(template: World, folder: Path) -> None:
    world = come_to(template, folder, FORWARD[:3])
    assert die(world, Point(1, "before", "disk.rename.", "/data1/"), "put_back")
    for verb in FORWARD:
        with pytest.raises(Refused, match="does not fit"):
            obey(world, verb)
    obey_all(world, BACK)
    assert world.stands() == "old"
