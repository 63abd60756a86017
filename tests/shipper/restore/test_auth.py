"""What is said of roles and passwords, before a restore keeps or overwrites them."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from backupstore.errors import Refused
from shipper.cassandra.port import Member
from shipper.restore import auth
from tests.recorded import NAME, Kind
from tests.shipper.restore.part import obey
from tests.shipper.restore.world import FEW, World, make_world, ring_of_three

REPAIR = "until a repair of system_auth"
REPLICAS = "how many replicas system_auth has"
ALL = frozenset({NAME, "10.0.0.2", "10.0.1.1"})
AUTH_BY_ONE = "CREATE KEYSPACE system_auth WITH replication = {'class': 'SimpleStrategy', 'replication_factor': '1'};"


@pytest.fixture
def guarded(tmp_path: Path) -> World:
    world = make_world(tmp_path, prepare=lambda node: node.create("system_auth.roles", Kind(components=FEW)))
    world.peers.seen = ring_of_three(world)
    return world


def said(world: World) -> str:
    return "\n".join(world.listener.steps)


def test_a_node_that_is_restored_alone_differs_from_its_replicas_until_a_repair(guarded: World) -> None:
    guarded.restore(ignore_ring_changes=True)
    assert f"become those of the backup; {REPAIR}" in said(guarded)


def test_so_does_one_whose_ring_is_restored_but_for_another(guarded: World) -> None:
    obey(guarded, "prepare", together=ALL - {"10.0.0.2"}, ignore_ring_changes=True)
    assert REPAIR in said(guarded)


def test_of_a_ring_that_is_restored_together_nobody_differs(guarded: World) -> None:
    obey(guarded, "prepare", together=ALL)
    assert "permissions become those of the backup" in said(guarded)
    assert REPAIR not in said(guarded)


@pytest.mark.parametrize(("then", "now", "times"), [("1", "1", 0), ("1", "3", 1), ("", "1", 1)])
def test_kept_roles_are_repaired_where_their_replicas_change(guarded: World, then: str, now: str, times: int) -> None:
    stored = guarded.owner.read(key := guarded.layout.meta(NAME, "monday", "schema.cql"))
    if then:
        guarded.owner.put(key, stored.body + f"\n{AUTH_BY_ONE}".encode())
    seen = ring_of_three(guarded)
    guarded.peers.seen = replace(seen, export=f"{seen.export}\n{AUTH_BY_ONE.replace('1', now)}")
    obey(guarded, "prepare", together=ALL, keep_auth=True)
    assert "permissions stay as they are" in said(guarded)
    assert said(guarded).count(REPLICAS) == times


@pytest.mark.parametrize(
    ("replication", "nodes", "is_kept"),
    [
        ("'class': 'SimpleStrategy', 'replication_factor': '3'", 3, True),
        ("'class': 'SimpleStrategy', 'replication_factor': '1'", 3, False),
        ("'class': 'org.apache.cassandra.locator.NetworkTopologyStrategy', 'dc1': '3'", 3, True),
        ("'class': 'NetworkTopologyStrategy', 'dc1': '2'", 3, False),
        ("'class': 'NetworkTopologyStrategy', 'dc2': '3'", 3, False),
        ("'class': 'NetworkTopologyStrategy', 'replication_factor': '3'", 3, True),
        ("'class': 'EverywhereStrategy'", 3, True),
        ("'class': 'LocalStrategy'", 1, False),
        ("'class': 'SimpleStrategy', 'replication_factor': 'many'", 1, False),
        ("'class': 'SimpleStrategy', 'replication_factor': '1'", 1, True),
    ],
)
def test_roles_are_kept_on_nodes_that_take_over_tokens_where_each_holds_all(
    replication: str,
    nodes: int,
    is_kept: bool,  # noqa: FBT001 - what is to come of it
) -> None:
    members = [Member(f"n{n}", f"n{n}", f"{n}", "dc1", "r1", (n,), is_up=True) for n in range(nodes)]
    with nullcontext() if is_kept else pytest.raises(Refused, match="could not keep them"):
        auth.check_everywhere(f"CREATE KEYSPACE system_auth WITH replication = {{{replication}}};", members)
