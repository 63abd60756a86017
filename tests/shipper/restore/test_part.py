"""One table of a node that is only directories: what moves, what stays, what is created, and being killed at each call.

Whatever happens to it, the table is as it was before or as it was at the backup, and everything else as it was before.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from backupstore.errors import BackupError, NodeTrouble, NotFound, Refused
from shipper.restore.node import Request, plan_node
from shipper.snapshot import Filters
from tests.killing import Point, Trigger, killed
from tests.recorded import Kind
from tests.shipper.restore.dying import dying
from tests.shipper.restore.fake import Node
from tests.shipper.restore.part import BACK, FORWARD, obey_all
from tests.shipper.restore.world import FEW, World, copy_of, grow_old, make_world, ring_of_three

CUSTOMERS = Filters(tables=("shop.customers",))
_numbers = count(1)


def dropped(node: Node) -> None:
    """The table is gone, its empty directories are there."""
    node.forget("shop.customers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """In memory where that is possible: hundreds of restores wait for the disk."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path_factory.mktemp("parts")
        return
    with tempfile.TemporaryDirectory(dir=memory, prefix="medusa-shipper-") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def changed(folder: Path) -> World:
    """The table has other rows since. Not to be changed."""
    return expecting(make_world(folder / "changed"))


@pytest.fixture(scope="module")
def gone(folder: Path) -> World:
    """The table was dropped since. Not to be changed."""
    return expecting(make_world(folder / "gone", prepare=dropped))


def expecting(world: World) -> World:
    """Write down what the directories hold once the table is as it was at the backup, and all else is as it is."""
    old, new = (json.loads((world.base / f"expected-{state}.json").read_text()) for state in ("old", "new"))
    gone = ("/shop/customers-", "saved_caches/")
    others = {path: digest for path, digest in old.items() if not any(part in path for part in gone)}
    # The schema of this node does not tell of the index any more.
    table = {path: digest for path, digest in new.items() if "/shop/customers-" in path and "/." not in path}
    assert table
    (world.base / "expected-part.json").write_text(json.dumps(others | table))
    return world


def fresh(template: World, folder: Path) -> World:
    return replace(copy_of(template, folder / f"node-{next(_numbers)}"), workers=1)


def restore(world: World, **options: object) -> None:
    world.restore(**{"filters": CUSTOMERS, **options})  # type: ignore[arg-type]  # what the test says


@pytest.fixture
def world(changed: World, folder: Path) -> World:
    return fresh(changed, folder)


def test_only_the_table_is_as_it_was_and_the_node_was_drained(world: World) -> None:
    trigger = Trigger()
    restore(world.deadly(trigger))
    assert world.stands() == "part"
    calls = [call for call in trigger.calls if call in {"service.drain", "service.stop", "service.start"}]
    assert calls == ["service.drain", "service.stop", "service.start"]
    assert trigger.counts()["store.fetch"] == len(("manifest", *FEW, "TOC.txt"))


def test_peers_go_on_sending_what_this_node_misses(world: World) -> None:
    world.peers.seen = ring_of_three(world)
    trigger = Trigger()
    restore(world.deadly(trigger))
    assert "peers.hold_hints" not in trigger.calls


def test_a_dropped_table_is_created_with_its_id(gone: World, folder: Path) -> None:
    world = fresh(gone, folder)
    before = Node(world.base).table_ids()
    restore(world)
    assert world.stands() == "part"
    created = Node(world.base).table_ids()
    assert created.keys() - before.keys() == {"shop.customers"}
    assert any((world.base / "data1/shop").glob(f"customers-{created['shop.customers']}"))


def test_taken_back_what_was_created_is_dropped_again(gone: World, folder: Path) -> None:
    world = fresh(gone, folder)
    (world.base / "expected-part.json").rename(world.base / "expected-new.json")
    (world.base / "broken").touch()
    before = Node(world.base).table_ids()
    with pytest.raises(NodeTrouble, match="does not start"):
        restore(world)
    assert world.stands() == "old"
    assert Node(world.base).table_ids() == before
    assert not world.node.down


def test_a_drain_that_fails_changes_nothing(world: World) -> None:
    class Stuck(type(world.service)):  # type: ignore[misc]  # the fake, but for one thing
        def drain(self) -> None:
            raise NodeTrouble("Failed to connect.", hint="It is a fake.", operation="drain")

    service = Stuck(world.service.base, world.service.directories)
    with pytest.raises(NodeTrouble, match="Failed to connect"):
        restore(replace(world, service=service))
    assert world.stands() == "old"
    assert not world.node.down


def test_a_node_that_is_down_is_refused(world: World) -> None:
    world.site.state.write("identity", {"host_id": world.node.identity().host_id, "node": world.name})
    world.service.stop()
    with pytest.raises(Refused, match="schema that it has"):
        restore(world)
    assert world.stands() == "old"


def test_created_by_somebody_else_while_it_was_fetched(gone: World, folder: Path) -> None:
    world = fresh(gone, folder)
    trigger = Trigger(Point(1, "after", "store.fetch", "customers"))
    with dying(trigger, world.base):
        assert killed(lambda: restore(world.deadly(trigger)))

    class Late(type(world.service)):  # type: ignore[misc]  # the fake, but for one thing
        asked = 0

        def query(self, statement: str, values: tuple[object, ...] = ()) -> object:
            self.asked += "system_schema.tables" in statement
            if self.asked == 2:  # after the plan, before the node is touched
                Node(self.base).create_empty("shop.customers", "ID = 00000000-0000-0000-0000-000000000001")
                self.asked += 1
            return super().query(statement, values)

    service = Late(world.service.base, world.service.directories)
    with pytest.raises(Refused, match="was created while"):
        restore(replace(world, service=service))
    assert Node(world.base).table_ids()["shop.customers"] == "00000000000000000000000000000001"
    assert not (world.base / "run-1").exists()


def test_another_part_is_not_what_an_open_restore_is_finished_with(world: World) -> None:
    trigger = Trigger(Point(1, "before", "service.start"))
    with dying(trigger, world.base):
        assert killed(lambda: restore(world.deadly(trigger)))
    with pytest.raises(Refused, match="another part of the node") as caught:
        world.restore()
    assert "--table shop.customers to finish it" in caught.value.hint
    restore(world)
    assert world.stands() == "part"


def test_the_plan_touches_nothing(world: World) -> None:
    trigger = Trigger()
    deadly = world.deadly(trigger)
    lines = plan_node(deadly.site, deadly.machine, Request("monday", filters=CUSTOMERS), world.listener)
    assert "replaced, all others stay as they are: shop.customers" in lines
    assert "store.create" not in trigger.calls
    assert not {"service.drain", "service.stop"} & set(trigger.calls)
    assert world.stands() == "old"


def test_the_plan_of_a_whole_node_names_what_was_dropped(gone: World, folder: Path) -> None:
    world = fresh(gone, folder)
    world.peers.seen = ring_of_three(world)
    lines = plan_node(world.site, world.machine, Request("monday", ignore_ring_changes=True), world.listener)
    assert "dropped since, and back after it: shop.customers" in lines
    assert "shop.newer" in world.listener.told
    assert world.stands() == "old"


def test_a_table_that_was_dropped_in_a_ring_of_several(gone: World, folder: Path) -> None:
    world = fresh(gone, folder)
    world.peers.seen = ring_of_three(world)
    with pytest.raises(Refused, match=r"shop\.customers was dropped since"):
        restore(world)
    restore(world, ignore_ring_changes=True)
    assert world.stands() == "part"


@pytest.mark.parametrize(
    ("filters", "error", "says"),
    [
        (Filters(tables=("shop.custommers",)), NotFound, "It holds: shop.customers, shop.empty_shelf"),
        (Filters(keyspaces=("shob",)), NotFound, "It holds: shop"),
        (Filters(tables=("customers",)), Refused, "For example --table shop.orders"),
        (Filters(keyspaces=("system",)), Refused, "Restore the whole node"),
    ],
)
def test_names_that_cannot_be_restored(world: World, filters: Filters, error: type[BackupError], says: str) -> None:
    with pytest.raises(error) as caught:
        restore(world, filters=filters)
    assert says in caught.value.hint
    assert world.stands() == "old"


@pytest.mark.parametrize(
    "options",
    [
        {"filters": CUSTOMERS, "remote": True},
        {"filters": CUSTOMERS, "stop_first": True},
        {"filters": Filters(keyspaces=("system_auth",)), "keep_auth": True},
        {"filters": Filters(tables=("system_auth.roles",)), "keep_auth": True},
    ],
)
def test_contradictions(world: World, options: dict[str, object]) -> None:
    with pytest.raises(Refused, match="contradict each other"):
        restore(world, **options)


def points(world: World) -> list[Point]:
    trigger = Trigger()
    with dying(trigger, world.base):
        restore(world.deadly(trigger))
    kinds = list(enumerate(trigger.calls, 1))
    return [
        Point(at, when) for at, kind in kinds for when in ("before", "after") if when == "before" or "disk" not in kind
    ]


@pytest.mark.parametrize("template", ["changed", "gone"])
def test_killed_at_every_call(template: str, folder: Path, request: pytest.FixtureRequest) -> None:
    made: World = request.getfixturevalue(template)
    before = Node(made.base).table_ids()
    ends = set()
    for point in points(fresh(made, folder)):
        for undoes in (False, True):
            world = fresh(made, folder)
            trigger = Trigger(point)
            with dying(trigger, world.base):
                assert killed(lambda world=world, trigger=trigger: restore(world.deadly(trigger)))  # type: ignore[misc]
            over = world.journal() is None
            journal = world.journal()
            if undoes and journal is not None and journal.phase != "committed":
                world.undo()
            elif not over:
                restore(world)
            end = world.stands()
            ends.add(end)
            assert end in {"old", "part"}, point
            assert ("shop.customers" in Node(world.base).table_ids()) == (end == "part" or "shop.customers" in before)
    assert ends == {"old", "part"}


def test_the_roles_stay_and_all_else_goes_back(folder: Path) -> None:
    template = make_world(folder / "roles", prepare=lambda node: node.create("system_auth.roles", Kind(components=FEW)))
    world = fresh(template, folder)
    old, new = (json.loads((world.base / f"expected-{state}.json").read_text()) for state in ("old", "new"))
    roles = {path: digest for path, digest in old.items() if "/system_auth/" in path}
    assert roles
    (world.base / "expected-kept.json").write_text(json.dumps(new | roles))
    world.restore(keep_auth=True)
    assert world.stands() == "kept"


def test_the_roles_of_a_node_that_is_down_cannot_be_kept(world: World) -> None:
    world.site.state.write("identity", {"host_id": world.node.identity().host_id, "node": world.name})
    world.service.stop()
    with pytest.raises(Refused, match="commit log would be lost"):
        world.restore(keep_auth=True)
    assert world.stands() == "old"


def test_kept_roles_are_there_after_a_restore_that_was_taken_back(folder: Path) -> None:
    template = make_world(folder / "kept", prepare=lambda node: node.create("system_auth.roles", Kind(components=FEW)))
    world = fresh(template, folder)
    grow_old(world)
    world.service.ill = True
    old, new = (json.loads((world.base / f"expected-{state}.json").read_text()) for state in ("old", "new"))
    roles = {path: digest for path, digest in old.items() if "/system_auth/" in path}
    (world.base / "expected-new.json").write_text(json.dumps(new | roles))
    with pytest.raises(NodeTrouble, match="0 rows, not 1"):
        world.restore(keep_auth=True)
    assert world.stands() == "old"


def test_as_a_part_of_a_job(gone: World, folder: Path) -> None:
    world = fresh(gone, folder)
    obey_all(world, FORWARD, filters=CUSTOMERS)
    assert world.stands() == "part"


@pytest.mark.parametrize("done", range(1, len(FORWARD)))
def test_a_job_that_goes_back(gone: World, folder: Path, done: int) -> None:
    world = fresh(gone, folder)
    before = Node(world.base).table_ids()
    obey_all(world, FORWARD[:done], filters=CUSTOMERS)
    obey_all(world, BACK, filters=CUSTOMERS)
    assert world.stands() == "old"
    assert Node(world.base).table_ids() == before
    assert not world.node.down
