"""Restoring a node: what happens, in what order, and what is left behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.shipper.restore.world import OTHERS, World, copy_of, make_world


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("template") / "node")


@pytest.fixture
def world(template: World, tmp_path: Path) -> World:
    return copy_of(template, tmp_path / "node")


def test_the_node_holds_what_the_backup_holds_and_nothing_else(world: World) -> None:
    report = world.restore()
    assert world.stands() == "new"
    assert report.files == 20
    assert not world.node.down
    assert all(not (world.base / name / f"{name}-old.db").exists() for name in OTHERS)
    assert any(folder.is_dir() for folder in world.node.folders("shop.empty_shelf"))
    held = list(world.owner.list(world.layout.holds("monday")))
    assert len(held) == 1
