"""What sstableloader would be refused for, known before a table is dropped for it: an older Cassandra, other tables of roles."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from backupstore.errors import Refused
from shipper.cassandra.port import Schema
from shipper.cassandra.sstableloader import LoaderAccess
from shipper.cassandra.wire import Address
from shipper.restore.loading import Loading, LoadRequest
from tests.recorded import NAME, RecordedNode
from tests.shipper.restore.world import FEW, TABLES, World, arrange
from tests.sstables import Kind

ROLES = "CREATE TABLE system_auth.roles (k int PRIMARY KEY);"
REQUEST = LoadRequest(job="restore-20261123020000-0badcafe", backup="monday", sources=(NAME,))


def loading(world: World, schema: Schema | None = None) -> Loading:
    access = LoaderAccess(sys.executable, Address("10.0.0.1", 9042), 7000, Path("cassandra.yaml"))
    live = (lambda: schema) if schema else world.node.schema
    return Loading(world.site, access, live, world.machine.new_id, 2, world.listener)


@pytest.fixture
def with_roles(tmp_path: Path) -> World:
    base = tmp_path / "node"
    RecordedNode.make(base, disks=2, tables={**TABLES, "system_auth.roles": Kind(components=FEW)})
    return arrange(base)


def test_files_of_a_newer_cassandra_are_refused_before_anything_is_held_or_dropped(world: World) -> None:
    world.node.upgrade("4.1.9")
    for call in (loading(world).prepare, loading(world).load, loading(world).sizes):
        with pytest.raises(Refused, match=r"of Cassandra 5\.0\.6, and this node runs 4\.1\.9"):
            call(REQUEST)
    assert not list(world.owner.list(world.layout.holds("monday")))


def test_files_of_an_older_one_are_taken_and_that_is_told_once(world: World) -> None:
    world.node.upgrade("5.1.0")
    assert loading(world).prepare(REQUEST) > 0
    (warning,) = world.listener.warnings
    assert "this node runs 5.1.0: it takes the files over as in an upgrade" in warning


def test_roles_that_do_not_fit_are_refused_while_all_tables_are_there(with_roles: World) -> None:
    wanted = replace(REQUEST, overwrite_auth=True)
    other = Schema("CREATE TABLE system_auth.roles (k text PRIMARY KEY);", ())
    with pytest.raises(Refused, match=r"system_auth\.roles: ") as caught:
        loading(with_roles, other).prepare(wanted)
    assert "--keep-auth" in caught.value.hint
    assert loading(with_roles, other).prepare(REQUEST) > 0, "they are not asked for"
    assert loading(with_roles, Schema(ROLES, ())).prepare(wanted) > 0, "all other tables are made before the load"
