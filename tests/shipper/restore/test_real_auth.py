"""A real node that asks for passwords: its roles stay as they are, or become those of the backup."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backupstore.errors import Refused
from tests.harness import Cluster, ClusterConfig, driver, loading, reading, schema
from tests.harness.config import SUPERUSER
from tests.harness.reading import Row
from tests.shipper.restore.real import Wired, wire

pytestmark = [pytest.mark.cassandra, pytest.mark.timeout(600)]
BEFORE, AFTER, NEWER = ("alice", "before"), ("alice", "after"), ("bob", "newer")


class Guarded:
    """The node and its backup ``one``: ``rows`` is what it holds, alice has her first password."""

    def __init__(self, cluster: Cluster, wired: Wired, rows: dict[str, list[Row]]) -> None:
        self.cluster, self.wired, self.rows = cluster, wired, rows

    def accepts(self, *logins: tuple[str, str]) -> list[bool]:
        return [driver.accepts(self.cluster.nodes[0].ip, login) for login in logins]

    def read(self) -> dict[str, list[Row]]:
        with self.cluster.session() as session:
            return reading.read_all(session)

    def move_on(self, *, batch: int) -> None:
        with self.cluster.session() as session:
            loading.load(session, rows=10, batch=batch)
            session.execute("ALTER ROLE alice WITH PASSWORD = 'after'")
            session.execute("CREATE ROLE IF NOT EXISTS bob WITH PASSWORD = 'newer' AND LOGIN = true")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    config = ClusterConfig(name="restore-auth", auth=True)
    folder = tmp_path_factory.mktemp("restore-auth")
    with Cluster.create(config) as cluster:
        cluster.start()
        wired = wire(cluster.nodes[0], folder / "node", folder / "bucket")
        _log_in(wired.folder / "medusa.ini")
        with cluster.session() as session:
            schema.create(session, schema.Schema.fitting(config))
            loading.load(session, rows=10)
            session.execute("CREATE ROLE alice WITH PASSWORD = 'before' AND LOGIN = true")
        made = Guarded(cluster, wired, {})
        wired.back_up("one")
        made.rows = made.read()
        yield made


def _log_in(ini: Path) -> None:
    user, password = SUPERUSER
    login = f"[cassandra]\ncql_username = {user}\ncql_password = {password}\n"
    ini.write_text(ini.read_text().replace("[cassandra]\n", login))


def test_kept(node: Guarded) -> None:
    node.move_on(batch=2)
    told = node.wired.restore_part("one", keep_auth=True)
    assert "permissions stay as they are" in "\n".join(told.steps)
    assert node.accepts(AFTER, NEWER, BEFORE) == [True, True, False]
    assert node.read() == node.rows


def test_overwritten(node: Guarded) -> None:
    node.move_on(batch=3)
    told = node.wired.restore_part("one")
    assert "permissions become those of the backup" in "\n".join(told.steps)
    assert node.accepts(BEFORE, AFTER, NEWER) == [True, False, False]
    assert node.read() == node.rows


def test_only_roles_and_all_tables_stay(node: Guarded) -> None:
    node.move_on(batch=4)
    before = node.read()
    node.wired.restore_part("one", keyspaces=("system_auth",))
    assert node.accepts(BEFORE, AFTER, NEWER) == [True, False, False]
    assert node.read() == before


def test_one_table_leaves_the_roles_alone(node: Guarded) -> None:
    node.move_on(batch=5)
    before = node.read()
    node.wired.restore_part("one", tables=("shop.readings",))
    assert node.accepts(AFTER, NEWER, BEFORE) == [True, True, False]
    assert node.read() == {**before, "shop.readings": node.rows["shop.readings"]}


def test_of_a_node_that_is_down_they_cannot_be_kept(node: Guarded) -> None:
    before = node.read()
    node.cluster.stop()
    with pytest.raises(Refused, match="commit log would be lost"):
        node.wired.restore_part("one", keep_auth=True)
    node.cluster.start()
    assert node.read() == before
