"""The verbs of a job on a real node, each killed by SIGKILL and repeated, or everything put back.

Two backups take turns: whatever the node holds, the other one is restored, so that old and new always differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from backupstore.errors import Refused
from shipper.restore.places import WORK
from tests.harness import Cluster, ClusterConfig, loading, schema
from tests.killing import Point
from tests.shipper.restore.part import BACK, FORWARD
from tests.shipper.restore.real import wire
from tests.shipper.restore.real_part import die, obey
from tests.shipper.restore.test_real_kill import Node

pytestmark = [pytest.mark.cassandra, pytest.mark.timeout(900)]
_jobs = count(1)
RENAME = "disk.rename."
POINTS = [
    ("prepare", Point(30, "after", "store.fetch")),
    ("stop", Point(1, "after", "service.stop")),
    ("stop", Point(3, "before", f"{RENAME}data2")),
    ("place", Point(8, "before", f"{RENAME}incoming")),
    ("start", Point(1, "after", "service.start")),
    ("check", Point(1, "after", "service.check")),
    ("commit", Point(3, "before", "disk.rmdir")),
]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    config = ClusterConfig(name="restore-part", data_dirs=2)
    folder = tmp_path_factory.mktemp("restore-part")
    with Cluster.create(config) as cluster:
        cluster.start()
        made = Node(cluster, wire(cluster.nodes[0], folder / "node", folder / "bucket"), {}, "two")
        with cluster.session() as session:
            schema.create(session, schema.Schema.fitting(config))
            loading.load(session, rows=20)
        made.wired.back_up("one")
        made.rows["one"] = made.held()
        with cluster.session() as session:
            session.execute("TRUNCATE shop.hits")
            session.execute("DELETE FROM shop.readings WHERE sensor = 'sensor1-1'")
        made.wired.back_up("two")
        made.rows["two"] = made.held()
        assert made.rows["one"] != made.rows["two"]
        yield made


@pytest.mark.parametrize(("verb", "point"), POINTS, ids=str)
def test_a_verb_that_was_killed_is_repeated(node: Node, verb: str, point: Point) -> None:
    job, backup = f"restore-{next(_jobs)}", node.other
    for each in FORWARD:
        if each == verb:
            die(node.wired, each, backup, point, job)
        obey(node.wired, each, backup, job)
        running = node.cluster.nodes[0].running
        assert running == (each not in {"stop", "place"}), each
    node.holds = backup
    node.check()


@pytest.mark.parametrize(("verb", "point"), POINTS[1:-1], ids=str)
def test_a_verb_that_was_killed_is_taken_back(node: Node, verb: str, point: Point) -> None:
    job, backup = f"restore-{next(_jobs)}", node.other
    for each in FORWARD[: FORWARD.index(verb)]:
        obey(node.wired, each, backup, job)
    die(node.wired, verb, backup, point, job)
    with pytest.raises(Refused, match=f"a part of {job}, is not over"):
        node.wired.back_up("never")
    if verb in {"place", "start", "check"}:
        die(node.wired, "put_back", backup, Point(2, "before", f"{RENAME}aside"), job)
    obey(node.wired, "put_back", backup, job)
    assert not node.cluster.nodes[0].running
    die(node.wired, "start", backup, Point(1, "after", "service.start"), job)
    obey(node.wired, "start", backup, job)
    node.check()
    assert not list(node.cluster.base.rglob(f"{WORK}*"))
    for each in BACK:
        obey(node.wired, each, backup, job)
    node.check()
