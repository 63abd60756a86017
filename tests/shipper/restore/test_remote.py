"""Another node's backup on this node: its tokens and data, never who it is, and cassandra.yaml as it was."""

from __future__ import annotations

import json
import shutil
import stat
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from backupstore.errors import Misconfigured, NodeTrouble, Refused
from backupstore.stores.memory import MemoryBucket
from shipper.cassandra.port import Member
from shipper.restore.port import Witness
from tests.killing import Pausing, Point, Trigger, killed
from tests.recorded import NAME, RecordedNode, host_id
from tests.shipper.restore.dying import dying
from tests.shipper.restore.fake import STRANGER, TAKEN, tree
from tests.shipper.restore.part import obey, obey_all
from tests.shipper.restore.world import FEW, TABLES, World, arrange, copy_of, grow_old, open_world
from tests.sstables import Kind

HERE = "10.0.0.2"
SYSTEM = {name: Kind(components=FEW) for name in ("system.peers_v2", "system.built_views", "shop.peers", "shop.local")}
YAML = """# ours, with care
cluster_name: 'Recorded'
num_tokens: 4   # as everywhere
# never change this one
initial_token: 2000,2001,2002,2003  # by hand
data_file_directories:
    - {base}/data1
    - {base}/data2
"""
_numbers = count(1)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A node with data and an identity of its own; its bucket holds the backup monday of NAME. Not to be changed."""
    folder = tmp_path_factory.mktemp("remote")
    RecordedNode.make(folder / "source", tables={**TABLES, **SYSTEM})
    source = arrange(folder / "source")
    base = folder / "target"
    RecordedNode.make(base, tables=TABLES, seed=2, address=HERE)
    (base / "cassandra.yaml").write_text(YAML.format(base=base))
    (base / "cassandra.yaml").chmod(0o644)
    target = open_world(base, MemoryBucket())
    for stored in source.owner.list(""):
        target.owner.put(stored.key, source.owner.read(stored.key).body)
    for directory in target.directories.others:
        directory.mkdir()
    (base / "running").touch()
    held = json.loads((source.base / "expected-new.json").read_text())
    own = ("data1/system/local-", "data1/system/peers")
    (base / "expected-new.json").write_text(json.dumps({k: v for k, v in held.items() if not k.startswith(own)}))
    grow_old(target)
    return replace(target, name=HERE)


def fresh(template: World, folder: Path) -> World:
    """A copy; cassandra.yaml lies with it."""
    world = replace(copy_of(template, folder / f"target-{next(_numbers)}"), name=HERE, workers=1)
    (world.base / "cassandra.yaml").write_text(YAML.format(base=world.base))
    return world


@pytest.fixture
def world(template: World, tmp_path: Path) -> World:
    return fresh(template, tmp_path)


def restore(world: World, **options: object) -> None:
    world.restore(source=NAME, remote=True, **options)  # type: ignore[arg-type]  # what the test says


def check_yaml(world: World) -> None:
    """It is as it was, to the last byte, with its mode and nothing beside it."""
    path = world.base / "cassandra.yaml"
    assert path.read_text() == YAML.format(base=world.base)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [each.name for each in world.base.glob("*cassandra.yaml*")] == ["cassandra.yaml"]


def test_it_takes_tokens_and_data_and_not_who_the_other_one_is(world: World) -> None:
    restore(world)
    assert world.stands() == "new"
    identity = world.node.identity()
    assert identity.tokens == (1000, 1001, 1002, 1003)
    assert identity.host_id not in {host_id(NAME), host_id(HERE)}
    check_yaml(world)


def test_only_the_systems_own_tables_of_these_names_are_left_out(world: World) -> None:
    restore(world)
    folders = {f"{path.parent.name}.{path.name.partition('-')[0]}" for path in world.base.glob("data*/*/*-*")}
    assert {"shop.peers", "shop.local", "shop.customers"} <= folders
    assert not folders & {"system.peers_v2"}
    assert not any(path.startswith("data1/system/local-") for path in tree(world.directories))


def test_what_stands_in_the_yaml_while_it_starts(world: World) -> None:
    seen = []
    trigger = Pausing(
        Point(1, "before", "service.start"), act=lambda: seen.append((world.base / "cassandra.yaml").read_text())
    )
    restore(world.deadly(trigger))
    text = YAML.format(base=world.base)
    assert seen == [
        text.replace("2000,2001,2002,2003", '"1000,1001,1002,1003"') + "auto_bootstrap: false\n",
    ]


def test_a_restore_that_fails_puts_the_yaml_back_with_the_data(world: World) -> None:
    (world.base / "broken").touch()
    with pytest.raises(NodeTrouble, match="does not start"):
        restore(world)
    assert world.stands() == "old"
    assert world.node.identity().host_id == host_id(HERE)
    check_yaml(world)


def test_a_node_that_reads_another_yaml_is_taken_back(world: World) -> None:
    def forget() -> None:
        (world.base / TAKEN).write_text("2000,2001,2002,2003")

    trigger = Pausing(Point(1, "after", "service.start"), act=forget)
    with pytest.raises(NodeTrouble, match=r"other tokens than those of monday of 10\.0\.0\.1") as caught:
        restore(world.deadly(trigger))
    assert "config_file" in caught.value.hint
    assert world.stands() == "old"
    check_yaml(world)


def test_killed_anywhere_it_goes_on_or_back_and_the_yaml_is_as_it_was(template: World, folder: Path) -> None:
    trigger = Trigger()
    first = fresh(template, folder)
    with dying(trigger, first.base):
        restore(first.deadly(trigger))
    yaml = [number for number, (_, what) in enumerate(trigger.log, 1) if "cassandra.yaml" in str(what)]
    assert len(yaml) >= 4  # written, put in place, written back, put in place
    calls = [number for number, call in enumerate(trigger.calls, 1) if "service.st" in call]
    for number in sorted({each + more for each in (*yaml, *calls) for more in (0, 1)}):
        for again in (True, False):
            world = fresh(template, folder)
            deadly = Trigger(Point(number))
            with dying(deadly, world.base):
                assert killed(lambda world=world, deadly=deadly: restore(world.deadly(deadly)))  # type: ignore[misc]
            journal = world.journal()
            assert journal is not None
            if again or journal.phase == "committed":
                restore(world)
                assert world.stands() == "new", number
            else:
                world.undo()
                assert world.stands() == "old", number
            assert not world.node.down
            check_yaml(world)


def test_somebody_who_changes_the_yaml_meanwhile_keeps_what_he_wrote(world: World) -> None:
    path = world.base / "cassandra.yaml"

    def meddle() -> None:
        path.write_text(path.read_text() + "hinted_handoff_enabled: false\n")

    restore(world.deadly(Pausing(Point(1, "after", "service.start"), act=meddle)))
    assert world.stands() == "new"
    assert "hinted_handoff_enabled" in path.read_text()
    assert "changed by somebody else" in world.listener.told


def test_in_a_job_verb_by_verb_and_back(world: World) -> None:
    obey_all(world, ("prepare", "stop", "place", "start", "check"), source=NAME, remote=True)
    assert world.node.identity().tokens == (1000, 1001, 1002, 1003)
    obey(world, "put_back")
    check_yaml(world)
    obey(world, "start")
    assert world.stands() == "old"
    for verb in ("prepare", "stop", "place", "start", "check", "commit"):
        obey(world, verb, job="restore-2", source=NAME, remote=True)
    assert world.stands() == "new"
    check_yaml(world)


# --- what it refuses ---
def refused(world: World, match: str, **options: object) -> Refused:
    with pytest.raises(Refused, match=match) as caught:
        restore(world, **options)
    assert world.stands() == "old"
    assert not world.node.down
    check_yaml(world)
    return caught.value


def test_both_flags_at_once(world: World) -> None:
    assert "Leave one of them out" in refused(world, "--in-place says", in_place=True).hint


def test_the_nodes_own_backup(world: World) -> None:
    own = replace(world, store=world.owner)  # the rights of these worlds are those of the other node
    own.back_up("own")
    with pytest.raises(Refused, match="made by this very node") as caught:
        own.restore("own", remote=True)
    assert caught.value.hint == "Leave --remote out."


def ring(*members: tuple[str, tuple[int, ...]]) -> Witness:
    nodes = tuple(Member(name, name, host_id(name), "dc1", "r1", tokens, is_up=None) for name, tokens in members)
    return Witness(HERE, nodes, "", "", {})


def test_a_node_of_the_same_ring(world: World) -> None:
    world.peers.seen = ring((NAME, (1000, 1001, 1002, 1003)), (HERE, (2000, 2001, 2002, 2003)))
    assert "--in-place instead of --remote" in refused(world, r"is of 10\.0\.0\.1 .* a member of the ring").hint


def test_tokens_that_somebody_in_the_ring_owns(world: World) -> None:
    world.peers.seen = ring(("10.9.9.9", (1000, 1001, 1002, 1003)))
    refused(world, r"two nodes cannot own the same tokens")


def test_one_node_of_a_ring_that_lives_on(world: World) -> None:
    world.peers.seen = ring(("10.9.9.9", (1, 2, 3, 4)), (HERE, (2000, 2001, 2002, 2003)))
    assert "restore-cluster" in refused(world, "one of a ring of 2").hint


def test_roles_that_its_new_tokens_would_not_find(world: World) -> None:
    world.peers.seen = ring((HERE, (2000, 2001, 2002, 2003)))
    assert "--overwrite-auth" in refused(world, "Not every node holds all of system_auth", keep_auth=True).hint


def test_another_number_of_tokens(world: World) -> None:
    path = world.base / "cassandra.yaml"
    path.write_text(path.read_text().replace("num_tokens: 4 ", "num_tokens: 16 "))
    with pytest.raises(Refused, match=r"a node with 4 tokens, and num_tokens in .* is 16") as caught:
        restore(world)
    assert "num_tokens: 4" in caught.value.hint
    assert world.stands() == "old"


def test_a_yaml_that_cannot_be_changed(world: World) -> None:
    path = world.base / "cassandra.yaml"
    path.write_text(f"{{cluster_name: a, num_tokens: 4, data_file_directories: [{world.base}/data1]}}\n")
    with pytest.raises(Misconfigured, match="cannot be changed"):
        restore(world)
    assert world.stands() == "old"


def test_another_datacenter_is_told(world: World) -> None:
    key = world.layout.meta(NAME, "monday", "tokenmap.json")
    document = json.loads(world.owner.read(key).body)
    document[NAME]["dc"] = "elsewhere"
    world.owner.put(key, json.dumps(document).encode())
    restore(world)
    assert "of datacenter elsewhere, and this node is in dc1" in world.listener.told


def test_a_stranger_that_was_never_started(world: World) -> None:
    """A fresh machine: nothing tells who it is, and nothing has to."""
    world.service.stop()
    for directory in world.directories.data:
        shutil.rmtree(directory)
    restore(world)
    assert world.stands() == "new"
    assert world.node.identity().host_id == STRANGER
