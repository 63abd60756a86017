"""A real node whose restore is killed by SIGKILL: finished or undone, it has the rows of one side, all of them.

Two backups take turns: whatever the node holds, the other one is restored, so that old and new always differ. One data
directory and the commit log are taken for mount points, so that their work folders lie inside them, under Cassandra's
eyes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from backupstore.errors import NodeTrouble
from shipper.restore.places import WORK
from tests.harness import Cluster, ClusterConfig, loading, reading, schema
from tests.harness.reading import Row
from tests.killing import Point
from tests.shipper.restore.real import Wired, wire

pytestmark = [pytest.mark.cassandra, pytest.mark.timeout(900)]
Held = tuple[dict[str, list[Row]], dict[str, list[Row]]]


@dataclass
class Node:
    """``holds``: the backup whose rows it has."""

    cluster: Cluster
    wired: Wired
    rows: dict[str, Held]
    holds: str

    @property
    def other(self) -> str:
        return "two" if self.holds == "one" else "one"

    def held(self) -> Held:
        with self.cluster.session() as session:
            return reading.read_all(session), reading.query_indexes(session)

    def check(self) -> None:
        """It runs, with the rows that it should have, and nothing is left behind."""
        assert self.wired.journal() is None
        assert not list(self.cluster.base.rglob(f"{WORK}*"))
        assert self.held() == self.rows[self.holds]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    config = ClusterConfig(name="restore-kill", data_dirs=2)
    folder = tmp_path_factory.mktemp("restore-kill")
    with Cluster.create(config) as cluster:
        cluster.start()
        wired = wire(cluster.nodes[0], folder / "node", folder / "bucket", inside=("data2", "commitlog"))
        made = Node(cluster, wired, {}, "two")
        with cluster.session() as session:
            schema.create(session, schema.Schema.fitting(config))
            loading.load(session, rows=40)
        wired.back_up("one")
        made.rows["one"] = made.held()
        with cluster.session() as session:
            session.execute("DROP TABLE shop.documents")
            session.execute("TRUNCATE shop.hits")
            session.execute("CREATE TABLE shop.newer (k int PRIMARY KEY, v text)")
            session.execute("INSERT INTO shop.newer (k, v) VALUES (1, 'newer than backup one')")
            session.execute("DELETE FROM shop.readings WHERE sensor = 'sensor1-1'")
        wired.back_up("two")
        made.rows["two"] = made.held()
        assert made.rows["one"] != made.rows["two"]
        yield made


RENAME = "disk.rename."
POINTS: list[tuple[Point, Literal["again", "undo"]]] = [
    (Point(30, "after", "store.fetch"), "undo"),
    (Point(1, "before", "service.stop"), "undo"),
    (Point(1, "after", "service.stop"), "undo"),
    (Point(1, "before", f"{RENAME}data1"), "again"),
    (Point(3, "before", f"{RENAME}data2"), "undo"),
    (Point(1, "before", f"{RENAME}commitlog"), "undo"),
    (Point(1, "before", f"{RENAME}incoming"), "again"),
    (Point(8, "before", f"{RENAME}incoming"), "undo"),
    (Point(1, "before", "service.start"), "again"),
    (Point(1, "after", "service.start"), "undo"),
    (Point(1, "after", "service.check"), "again"),
    (Point(40, "before", "disk.remove"), "again"),
]


@pytest.mark.parametrize(("point", "way"), POINTS, ids=str)
def test_killed_there(node: Node, point: Point, way: str) -> None:
    node.wired.die(point, "restore", node.other)
    if way == "undo":
        node.wired.undo()
    else:
        node.wired.restore(node.other)
        node.holds = node.other
    node.check()


UNDOING = [
    Point(3, "before", f"{RENAME}data1"),  # the restored data is being taken out
    Point(4, "before", f"{RENAME}aside"),  # the old data is being brought back
    Point(1, "before", "service.start"),
]


@pytest.mark.parametrize("point", UNDOING, ids=str)
def test_killed_while_it_is_undone(node: Node, point: Point) -> None:
    node.wired.die(Point(1, "before", "service.start"), "restore", node.other)
    node.wired.die(point, "undo")
    node.wired.undo()
    node.check()


def test_a_node_that_does_not_start_with_the_restored_data(node: Node, tmp_path: Path) -> None:
    """Its start command fails while the old data is aside; then it runs again, with the old rows."""
    before = node.held()
    ini = node.wired.folder / "medusa.ini"
    text, real = ini.read_text(), node.cluster.nodes[0].script("start")
    start = tmp_path / "start"
    aside = node.cluster.nodes[0].directory / f"{WORK}-data1/backups/aside/system"
    start.write_text(f"#!/bin/sh\n[ -d {aside} ] && {{ echo no such heap >&2; exit 3; }}\nexec {real}\n")
    start.chmod(0o755)
    ini.write_text(text.replace(str(real), str(start)))
    with pytest.raises(NodeTrouble, match="exit code 3: no such heap") as caught:
        node.wired.restore(node.other)
    ini.write_text(text)
    assert caught.value.hint.startswith("The old data is back in place.")
    assert node.held() == before
    node.check()
