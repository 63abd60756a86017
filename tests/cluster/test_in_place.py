"""Three nodes restored where they were: after everything was dropped, with agents and the coordinator killed, and back again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.cluster.world import (
    Death,
    Lives,
    World,
    assert_same,
    fragile_coordinator,
    largest_data_file,
    opened,
    rows_of,
    running,
    serving,
    until,
)
from tests.demo.story import Rows
from tests.demo_cluster.fleet import Depot
from tests.harness import Cluster, ClusterConfig

pytestmark = [pytest.mark.cassandra, pytest.mark.xdist_group("cluster-in-place"), pytest.mark.timeout(1200)]

SEED, SECOND, THIRD = range(3)
FORWARDS: Lives = {
    SEED: (
        Death("preparing", "fetching", takes_cassandra=True),
        Death("placing", "place/done"),
        Death("starting-seeds", "start/running"),
        Death("checking", "check/done"),
        Death("committing", "committed"),
    ),
    SECOND: (
        Death("preparing", "prepare/done"),
        Death("stopping", "stopping", takes_cassandra=True),
        Death("starting", "start/running", takes_cassandra=True),
        Death("committing", "commit/done"),
    ),
    THIRD: (
        Death("stopping", "setting-aside:3"),
        Death("placing", "placing:3"),
        Death("starting", "start/begun"),
        Death("checking", "check/begun"),
    ),
}
BACKWARDS: Lives = {
    SEED: (Death("rolling-back", "undoing:3"), Death("restarting-seeds", "start/running")),
    SECOND: (
        Death("rolling-back", "returning:3"),
        Death("rolling-back", "put-back/done"),
        Death("restarting", "start/begun"),
    ),
    THIRD: (Death("checking", "check/begun", takes_cassandra=True), Death("rolling-back", "put-back/begun")),
}


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    depot = Depot(tmp_path_factory.mktemp("in-place"))
    with Cluster.create(ClusterConfig(name="whole", nodes=3, racks=3)) as cluster:
        with opened(depot, cluster, with_rows=True) as world:
            yield world
        print(world.said())  # noqa: T201 - pytest shows it where a test failed


@pytest.fixture
def up(three: World) -> World:
    """All nodes and agents are up, and nobody leads jobs."""
    three.cluster.start()
    three.fleet.start()
    return three


@pytest.fixture
def world(up: World) -> Iterator[World]:
    """The same, led by a coordinator."""
    with serving(up.fleet.depot.operator_ini()):
        yield up


def assert_restored(world: World, before: Rows) -> None:
    """Every row is there, and nothing is left of the restore."""
    world.cluster.wait_up()
    assert_same(before, rows_of(world.cluster))
    assert world.leftovers() == []
    assert [world.journal(node) for node in world.nodes] == ["", "", ""]


def test_after_all_was_dropped_a_plan_is_shown_and_then_every_row_is_back(world: World) -> None:
    before = world.backed_up("dropped")
    yamls = [node.yaml.read_text() for node in world.nodes]
    world.drop_all()
    plan = world.restore("dropped", "--dry-run", "--seed-target", world.nodes[1].ip).out
    assert "Back afterwards, though the target has them no more" in plan
    assert "shop.customers" in plan
    assert rows_of(world.cluster) == {}
    said = world.restore("dropped").out
    assert "In place: each node gets its own files back." in said
    assert "committed" in said
    assert_restored(world, before)
    assert [node.yaml.read_text() for node in world.nodes] == yamls


def test_a_corrupt_object_that_one_node_finds_leaves_all_as_they_were(world: World) -> None:
    world.backed_up("corrupt")
    world.write()
    before = rows_of(world.cluster)
    pids = [node.pid for node in world.nodes]
    hurt = largest_data_file(world, world.nodes[1], "corrupt")
    body = bytearray(hurt.read_bytes())
    body[len(body) // 2] ^= 1
    hurt.write_bytes(body)
    try:
        done = world.restore("corrupt", code=1)
    finally:
        body[len(body) // 2] ^= 1
        hurt.write_bytes(body)
    assert "rolled-back" in done.err
    assert hurt.name in done.err, "an operator wants to know which object it is"
    assert world.nodes[1].ip in done.err
    assert [node.pid for node in world.nodes] == pids, "nobody was stopped"
    assert_restored(world, before)


def test_agents_that_are_killed_in_every_phase_go_on_when_they_are_back(world: World) -> None:
    """In one restore, in each phase forwards: at its begin, in its middle, and where all is done and was not told.

    With three of them Cassandra is killed, too: as it runs, as it is to be stopped, and as it has just been started.
    """
    before = world.backed_up("forwards")
    world.drop_all()
    world.doom(FORWARDS)
    with world.restoring("forwards", "--seeds", world.nodes[SEED].ip):
        world.die(FORWARDS)
    assert_restored(world, before)


def test_cassandra_that_dies_takes_all_back_and_agents_are_killed_on_the_way(world: World) -> None:
    """Cassandra is killed on a node that is to be checked. All go back, and two agents are killed in each phase.

    On that node Cassandra is killed again as often as it starts with its old data: the job waits, and is resumed.
    """
    world.backed_up("backwards")
    world.write()
    before = rows_of(world.cluster)
    pids = [node.pid for node in world.nodes]
    third = world.nodes[THIRD]
    world.doom(BACKWARDS)
    world.fleet.shipper[third.ip] = {"start_timeout": "20"}  # from its next life on
    with world.typed(
        "restore-cluster", "--backup-name", "backwards", "-y", "--seeds", world.nodes[SEED].ip, code=1
    ) as followed:
        with world.reaping(third, "restarting"):
            world.die(BACKWARDS)
            until(world.waiting, 300, world.said)
        del world.fleet.shipper[third.ip]
        job = world.job()
        assert job is not None
        status = world.medusa("restore-status", job.job).out
        assert f"WAITS: {third.ip}: start failed: Cassandra is not up in time" in status
        assert f"'restore-resume {job.job}' asks again." in status
        again: Lives = {THIRD: (Death("restarting", "start/running"),)}
        world.doom(again)
        with world.typed("restore-resume", job.job, code=1):
            world.die(again)
    assert f"{third.ip}: check failed" in followed.said
    assert "rolled-back: everything is as it was before" in followed.said
    assert all(node.pid not in {None, pid} for node, pid in zip(world.nodes, pids, strict=True)), "all were stopped"
    assert_restored(world, before)


def test_one_node_that_fails_the_health_check_of_its_operator_takes_all_back(world: World) -> None:
    world.backed_up("unhealthy")
    world.write()
    before = rows_of(world.cluster)
    sick = world.nodes[THIRD]
    world.fleet.restart(sick, checks={"query": "SELECT release_version FROM system.local", "expected_rows": "7"})
    try:
        done = world.restore("unhealthy", code=1)
    finally:
        world.fleet.restart(sick)
    assert "rolled-back" in done.err
    assert f"{sick.ip}: check failed" in done.err
    assert_restored(world, before)


def test_a_coordinator_that_is_killed_after_each_thing_that_it_writes(up: World) -> None:
    with serving(up.fleet.depot.operator_ini()):
        before = up.backed_up("headless")
    up.drop_all()
    deaths = up.fleet.depot.directory / "deaths"
    with running(fragile_coordinator(up, deaths), deaths.with_suffix(".log")), up.restoring("headless"):
        pass
    died = Counter(deaths.read_text().split())
    verbs = ("prepare", "stop", "place", "start", "check", "commit")
    assert all(died[f"index/commands/{node.ip}.json"] == len(verbs) for node in up.nodes), died
    assert sum(died[key] for key in died if key.startswith("index/jobs/records/")) > len(verbs)
    assert_restored(up, before)


def test_a_job_names_the_node_whose_agent_is_down_and_is_resumed_when_it_is_back(up: World) -> None:
    with serving(up.fleet.depot.operator_ini()):
        before = up.backed_up("absent")
    up.drop_all()
    absent: Lives = {SECOND: (Death("stopping", "prepare/told"),)}
    up.doom(absent)
    with up.restoring("absent"):
        up.impatient("absent", 40)
        with serving(up.fleet.depot.operator_ini()):
            process = up.fleet.processes[up.nodes[SECOND].ip]
            until(lambda: process.poll() is not None and up.waiting(), 300, up.said)
            job = up.job()
            assert job is not None
            named = f"{up.nodes[SECOND].ip}: no answer to stop since"
            status = up.medusa("restore-status", job.job).out
            assert f"WAITS: {named}" in status
            assert f"restore-resume {job.job}" in status
            assert f"restore-rollback {job.job}" in status
            assert named.replace(":", "") in up.medusa("restore-status").out
            up.fleet.start_one(up.nodes[SECOND])
            until(lambda: "had expired" in up.medusa("restore-status", job.job).out, 300, up.said)
            up.medusa("restore-resume", job.job)
    assert_restored(up, before)


def test_a_job_that_hangs_on_an_agent_is_rolled_back_though_cassandra_was_started_there(world: World) -> None:
    """By a service manager, say, while its data is aside: it comes up as a new node."""
    world.backed_up("hanging")
    world.write()
    before = rows_of(world.cluster)
    lost = world.nodes[THIRD]
    hanging: Lives = {THIRD: (Death("placing", "stop/told"),)}
    world.doom(hanging)
    with world.restoring("hanging", code=1):
        until(lambda: world.fleet.processes[lost.ip].poll() is not None and world.phase() == "placing", 300, world.said)
        job = world.job()
        assert job is not None
        lost.start()
        with world.typed("restore-rollback", job.job):
            until(lambda: world.phase() == "rolling-back", 300, world.said)
            world.fleet.start_one(lost)
    assert_restored(world, before)


def test_one_keyspace_goes_back_and_the_others_stay(world: World) -> None:
    before = world.backed_up("keyspace")
    world.write()
    after = rows_of(world.cluster)
    mixed = '"MixedCase"'
    world.restore("keyspace", "--keyspace", "shop")
    expected = {name: after[name] if mixed in name else rows for name, rows in before.items()}
    assert before != after
    assert expected != before
    assert_restored(world, expected)
