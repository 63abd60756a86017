"""Taking turns: in the order of tokens; and ``backup --stagger``, which waits for the node before this one."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from backupstore.core.documents import Head, Latest, encode
from backupstore.errors import Denied, Refused
from backupstore.ports import Folder
from shipper.cassandra.port import Member
from shipper.stagger import in_turn, place_of, wait_for_turn
from tests.recorded import NAME, RecordedNode
from tests.shipper.backup.world import World, Wrapped, elsewhere, new_world, with_bucket
from tests.shipper.listener import Listener


def member(name: str, *tokens: int, dc: str = "dc1") -> Member:
    return Member(name, name, f"id-{name}", dc, "r1", tokens, is_up=True)


def test_the_order_is_that_of_the_least_tokens() -> None:
    ring = (member("a", 9, 50), member("b", -7), member("c"), member("d", 70, 3))
    assert [each.name for each in in_turn(ring)] == ["b", "d", "a", "c"]
    assert [place_of(f"id-{name}", ring) for name in "bdac"] == [0, 1, 2, 3]
    assert place_of("a stranger", ring) == 0


BEFORE = "10.0.0.2"
"""In the recorded ring 10.0.0.2 has token 1, this node those from 1000 on, and 10.0.1.1 is in another datacenter."""


@dataclass
class Patient(Listener):
    """Something happens when it is told of the n-th wait."""

    world: World
    ship_at: int = 0
    waits: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def step(self, text: str) -> None:
        self.waits.append(text)
        if len(self.waits) == self.ship_at:
            ship(self.world, BEFORE)


def ship(world: World, node: str) -> None:
    """A finished backup lies there."""
    for file in ("schema.cql", "manifest.json"):
        world.owner.put(world.layout.meta(node, "b0", file), b"[]")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return new_world(tmp_path, "local")


def test_the_first_backup_waits_for_the_node_before(world: World) -> None:
    patient = Patient(world, ship_at=3)
    began = world.clock.now()
    wait_for_turn(world.site, 600, patient)
    assert patient.waits == [f"waiting for {BEFORE} to finish a backup"] * 3
    assert world.clock.now() - began == 180


def test_it_does_not_wait_longer_than_it_is_told(world: World) -> None:
    began = world.clock.now()
    with pytest.raises(Refused, match=f"{BEFORE}, whose turn is before") as refused:
        wait_for_turn(world.site, 90, Patient(world))
    assert world.clock.now() - began == 90
    assert BEFORE in refused.value.hint


def test_who_has_a_backup_does_not_wait(world: World) -> None:
    ship(world, NAME)
    patient = Patient(world)
    wait_for_turn(world.site, 1, patient)
    assert patient.waits == []


def test_the_first_of_its_datacenter_does_not_wait(tmp_path: Path) -> None:
    world = with_bucket(RecordedNode.make(tmp_path / "node", seed=-1), tmp_path, "local")
    patient = Patient(world)
    wait_for_turn(world.site, 1, patient)
    assert patient.waits == []


def test_what_was_given_up_does_not_count(world: World) -> None:
    ship(world, BEFORE)
    world.owner.put(world.layout.meta(BEFORE, "b0", "abandoned"), b"{}")
    with pytest.raises(Refused):
        wait_for_turn(world.site, 60, Patient(world))


def test_who_may_not_look_into_the_others_folder_believes_the_catalog(world: World) -> None:
    class Strict(Wrapped):
        def entries(self, folder: str) -> Folder:
            if BEFORE in folder:
                raise Denied("not yours", hint="No.")
            return self.store.entries(folder)

    narrow = elsewhere(world, store=Strict(world.store))
    ship(world, BEFORE)
    with pytest.raises(Refused):
        wait_for_turn(narrow.site, 60, Patient(world))
    head = Head(revision="r", checked=1.0, latest={BEFORE: Latest(name="b0", finished=1.0)})
    world.owner.put(world.layout.head(), encode(head))
    patient = Patient(world)
    wait_for_turn(narrow.site, 60, patient)
    assert patient.waits == []
