"""The operator's own snapshots outlive a restore."""

from __future__ import annotations

from tests.killing import Point
from tests.shipper.restore.world import World, killed_at


def test_snapshots_that_the_operator_made_are_kept(world: World) -> None:
    world.node.snapshot("before-upgrade")
    world.node.snapshot("medusa-shipper-tuesday")
    files = {
        path.relative_to(world.base): path.read_bytes()
        for path in world.base.rglob("*")
        if path.is_file() and "before-upgrade" in path.parts
    }
    world.restore()
    assert world.stands() == "new"
    assert len(files) > 20
    assert all((world.base / path).read_bytes() == body for path, body in files.items())
    assert any("newer" in path.parts[2] for path in files)
    assert world.node.snapshot_tags("medusa-shipper") == ()


def test_a_snapshot_taken_by_the_restored_node_under_the_same_name_is_no_obstacle(world: World) -> None:
    world.node.snapshot("nightly")
    killed_at(world, Point(1, "after", "service.check"))
    world.node.snapshot("nightly")
    world.restore()
    assert world.stands() == "new"
    assert world.node.snapshot_tags("nightly") == ("nightly", "nightly-before-restore1")
