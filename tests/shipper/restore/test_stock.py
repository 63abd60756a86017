"""Backups that stock wrote: no attempt, no sha256, no disks; its tokens say whose they are."""

from __future__ import annotations

import json

import pytest

from backupstore.core import layout as grammar
from backupstore.errors import Refused
from tests.killing import Point, Trigger, killed
from tests.recorded import NAME
from tests.shipper.restore.fake import tree
from tests.shipper.restore.world import World


def merged(held: dict[str, str]) -> dict[str, str]:
    """Without the data directory's name."""
    return {path.partition("/")[2]: digest for path, digest in held.items()}


def as_stock_would(world: World) -> None:
    """The same backup without anything that only we write."""
    manifest = world.layout.meta(NAME, "monday", grammar.MANIFEST)
    sections = json.loads(world.owner.read(manifest).body)
    for section in sections:
        for entry in section["objects"]:
            for ours in ("sha256", "disk"):
                entry.pop(ours, None)
            entry["MD5"] = None
    world.owner.put(manifest, json.dumps(sections).encode())
    world.owner.delete([world.layout.attempt(NAME, "monday", 1), world.layout.meta(NAME, "monday", grammar.DESCRIBE)])


def test_a_backup_of_stocks_goes_to_the_node_that_has_its_tokens(world: World) -> None:
    as_stock_would(world)
    trigger = Trigger(Point(1, "before", "service.start"))
    assert killed(lambda: world.deadly(trigger).restore())
    new = json.loads((world.base / "expected-new.json").read_text())
    assert merged(tree(world.directories)) == merged(new)
    world.undo()
    assert world.stands() == "old"


def test_a_backup_of_stocks_with_other_tokens(world: World) -> None:
    as_stock_would(world)
    world.node.move()
    with pytest.raises(Refused, match="holds other tokens"):
        world.restore(in_place=True)
    key = world.layout.meta(NAME, "monday", grammar.TOKENMAP)
    world.owner.put(key, b"{}")
    with pytest.raises(Refused, match="does not say which tokens"):
        world.restore()


def test_a_backup_of_stocks_cannot_be_told_from_another_nodes_while_cassandra_is_down(world: World) -> None:
    as_stock_would(world)
    world.service.stop()
    with pytest.raises(Refused, match="Nothing here tells"):
        world.restore()


def test_a_backup_of_a_dse_node(world: World) -> None:
    as_stock_would(world)
    key = world.layout.meta(NAME, "monday", grammar.SERVER_VERSION)
    world.owner.put(key, b'{"server_type": "dse", "release_version": "6.8.0"}')
    with pytest.raises(Refused, match="made on DSE"):
        world.restore()


def test_an_older_cassandra_than_the_backups(world: World) -> None:
    world.node.upgrade("4.1.3")
    with pytest.raises(Refused, match=r"of Cassandra 5\.0\.6, and this node runs 4\.1\.3"):
        world.restore()
    assert world.stands() == "old"
