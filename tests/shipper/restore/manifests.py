"""Changing what the manifest of the backup says, and looking whether the node was spared."""

from __future__ import annotations

import json
from typing import Any

from tests.recorded import NAME
from tests.shipper.restore.world import World


def manifest_of(world: World) -> list[dict[str, Any]]:
    sections: list[dict[str, Any]] = json.loads(
        world.owner.read(world.layout.meta(NAME, "monday", "manifest.json")).body
    )
    return sections


def put_manifest(world: World, sections: object) -> None:
    world.owner.put(world.layout.meta(NAME, "monday", "manifest.json"), json.dumps(sections).encode())


def a_file(sections: list[dict[str, Any]]) -> dict[str, Any]:
    """A Data.db of a user's table."""
    objects = next(section["objects"] for section in sections if section["columnfamily"].startswith("customers"))
    found: dict[str, Any] = next(each for each in objects if each["path"].endswith("big-Data.db"))
    return found


def untouched(world: World) -> None:
    """Cassandra was not stopped, and nothing is left."""
    assert world.stands() == "old"
    assert not world.node.down
    assert not (world.base / "run-1").exists()
