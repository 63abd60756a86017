"""Waiting for a seed before the node is started."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from backupstore.errors import NodeTrouble, Refused
from tests.recorded import NAME
from tests.shipper.restore.fake import Peers
from tests.shipper.restore.world import World

SEEDS = ("seed1", "seed2")


@dataclass
class Waking(Peers):
    """One of them is up after so many questions."""

    after: int = 0
    asked: int = 0
    waited_for: str = ""

    def is_up(self, address: str) -> bool:
        self.asked += 1
        return address == self.waited_for and self.asked > self.after


def waiting(world: World, after: int) -> World:
    return replace(world, peers=Waking(world.base, after=after, waited_for="seed2"))


def test_one_of_them_is_enough(world: World) -> None:
    began = world.clock.running()
    waiting(world, after=60).restore(seeds=SEEDS)
    assert world.stands() == "new"
    assert 100 < world.clock.running() - began < 200
    assert "none of the seeds is up yet" in "\n".join(world.listener.steps)


def test_it_is_started_only_then(world: World) -> None:
    down = []

    @dataclass
    class Watching(Waking):
        def is_up(self, address: str) -> bool:
            down.append(world.node.down)
            return super().is_up(address)

    replace(world, peers=Watching(world.base, after=9, waited_for="seed1")).restore(seeds=SEEDS)
    assert len(down) > 9
    assert all(down)
    assert not world.node.down


def test_when_none_of_them_comes_the_old_data_is_put_back(world: World) -> None:
    began = world.clock.running()
    with pytest.raises(NodeTrouble, match="None of the seeds seed1, seed2 answered in CQL within 60 minutes") as caught:
        waiting(world, after=1 << 60).restore(seeds=SEEDS)
    assert "--seeds" in caught.value.hint
    assert 3600 <= world.clock.running() - began < 3700
    assert world.stands() == "old"
    assert not world.node.down


@pytest.mark.parametrize("seeds", [(NAME,), ("seed1", NAME)])
def test_a_node_does_not_wait_for_itself(world: World, seeds: tuple[str, ...]) -> None:
    with pytest.raises(Refused, match=f"--seeds names {NAME}, which is this node"):
        world.restore(seeds=seeds)
    assert world.stands() == "old"


def test_a_node_that_goes_back_waits_for_nobody(world: World) -> None:
    world = waiting(world, after=1 << 60)
    (world.base / "broken").touch()
    began = world.clock.running()
    with pytest.raises(NodeTrouble):
        world.restore(seeds=SEEDS)
    assert world.clock.running() - began < 3700
    assert world.stands() == "old"
