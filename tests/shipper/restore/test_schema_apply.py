"""A schema is made statement by statement: killed at each of them it goes on, and what was not made is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from backupstore.core.layout import DESCRIBE, SCHEMA, Layout
from backupstore.core.schema_plan import Asked, SchemaPlan
from backupstore.core.schema_statements import read_schema
from backupstore.errors import NodeTrouble, NotFound
from backupstore.stores.memory import MemoryBucket
from shipper.cassandra.port import Member, Schema
from shipper.progress import Silent
from shipper.restore.schema_apply import apply_schema, finish_schema, plan_here, read_backup_schema
from shipper.site import Site
from shipper.state import StateDirectory
from tests.clocks import SettableClock
from tests.core.cql_samples import DESCRIBED
from tests.core.cql_server import CqlServer
from tests.core.test_schema_plan import things

JOB = "restore-20261123140000-0a0a0a0a"
LIVE = """
CREATE KEYSPACE shop WITH replication = {'class': 'SimpleStrategy', 'replication_factor': '1'};
CREATE TYPE shop.address (street text);
CREATE FUNCTION shop.plus(a int, b int) CALLED ON NULL INPUT RETURNS int LANGUAGE java AS $$return a;$$;
CREATE AGGREGATE shop.total(int) SFUNC plus STYPE int INITCOND 0;
CREATE TABLE shop.plain (k int PRIMARY KEY, where_ frozen<address>);
CREATE MATERIALIZED VIEW shop.by_where AS SELECT k FROM shop.plain WHERE k IS NOT NULL PRIMARY KEY (k);
CREATE TABLE shop.stays (k int PRIMARY KEY);
"""


class KilledError(Exception):
    """The process is gone."""


@dataclass
class Node:
    """The session of a node that can be killed after a statement, and whose peers may lag, or give no answer."""

    server: CqlServer
    lagging: int = 0
    left: int = 1 << 30
    silent: int = 0
    deaf: set[str] = field(default_factory=set)

    def change(self, text: str) -> None:
        if text not in self.deaf:
            self.server.change(text)
        self.left -= 1
        if self.left < 0:
            raise KilledError

    def schema(self) -> Schema:
        # Statements are only asked for their text here.
        return _Told(self.server.described())

    def schema_versions(self) -> Mapping[str, str | None]:
        self.lagging -= 1
        self.silent -= 1
        return {
            "10.0.0.1": "new",
            "10.0.0.2": "old" if self.lagging >= 0 else "new",
            "10.0.0.3": None if self.silent >= 0 else "new",
        }

    def ring(self, name_of: object) -> tuple[Member, ...]:
        assert callable(name_of)
        return tuple(Member(name_of(f"h{at}", f"10.0.0.{at}"), "", "", "dc1", "r1", (at,), None) for at in (1, 2, 3))


class _Told(Schema):
    """A schema of which only the text is known."""

    def __init__(self, text: str) -> None:
        object.__setattr__(self, "text", text)

    text: str

    @property
    def described(self) -> str:
        return self.text


@pytest.fixture
def site(tmp_path: Path) -> Site:
    state = StateDirectory(tmp_path / "state")
    state.prepare()
    bucket, layout = MemoryBucket(), Layout("p")
    bucket.hold(layout.meta("n1", "b1", SCHEMA), b"CREATE KEYSPACE old WITH x = 1")
    bucket.hold(layout.meta("n1", "b1", DESCRIBE), DESCRIBED.encode())
    bucket.hold(layout.meta("n2", "b1", SCHEMA), DESCRIBED.encode())
    return Site(bucket.open(None, layout), layout, None, "n1", state, SettableClock(), "bucket")  # type: ignore[arg-type]


def planned(node: Node, site: Site) -> SchemaPlan:
    return plan_here(node, read_backup_schema(site, "n1", "b1"), Asked())


def is_made(node: Node) -> bool:
    """Whether the schema is that of the backup, and the table that only the target has is there."""
    after, wanted = things(node.server.schema), things(read_schema(DESCRIBED))
    wanted.pop("index ('shop', 'by_tags')")  # made when the rows are there
    return after.keys() - wanted.keys() == {"table ('shop', 'stays')"} and wanted == {key: after[key] for key in wanted}


def test_the_schema_of_a_backup_is_made(site: Site) -> None:
    node = Node(CqlServer.having(LIVE))
    plan = planned(node, site)
    assert "shop.stays stays as it is" in plan.told
    apply_schema(site, node, JOB, plan, Silent())
    assert is_made(node)
    for _ in range(2):
        assert finish_schema(site, node, read_schema(DESCRIBED), Asked(), Silent()) == 1
        assert "index ('shop', 'by_tags')" in things(node.server.schema)


def test_killed_after_any_statement_it_goes_on_and_nothing_is_dropped_again(site: Site) -> None:
    count = len(planned(Node(CqlServer.having(LIVE)), site).steps)
    assert count > 12
    for killed in range(count):
        job = f"{JOB[:-2]}{killed:02d}"
        node = Node(CqlServer.having(LIVE))
        plan = planned(node, site)
        node.left = killed
        with pytest.raises(KilledError):
            apply_schema(site, node, job, plan, Silent())
        node.left, done = 1 << 30, len(node.server.done)
        apply_schema(site, node, job, SchemaPlan((), ()), Silent())
        assert is_made(node), killed
        assert len(node.server.done) - done in {count - killed, count - killed - 1}


def test_a_job_that_is_over_does_nothing_and_another_one_begins_anew(site: Site) -> None:
    node = Node(CqlServer.having(LIVE))
    apply_schema(site, node, JOB, planned(node, site), Silent())
    done = len(node.server.done)
    plan = planned(node, site)
    apply_schema(site, node, JOB, plan, Silent())
    assert len(node.server.done) == done
    apply_schema(site, node, JOB.replace("0a0a", "0b0b"), plan, Silent())
    assert len(node.server.done) == done + len(plan.steps)


def test_each_batch_waits_until_the_nodes_agree(site: Site) -> None:
    node = Node(CqlServer.having(LIVE), lagging=20)
    apply_schema(site, node, JOB, planned(node, site), Silent())
    assert is_made(node)


def test_nodes_that_never_agree_are_named_and_nothing_is_changed(site: Site) -> None:
    node = Node(CqlServer.having(LIVE), lagging=1 << 30)
    plan = planned(node, site)
    with pytest.raises(NodeTrouble, match=r"10\.0\.0\.2 have another one") as caught:
        apply_schema(site, node, JOB, plan, Silent())
    assert caught.value.hint
    assert not node.server.done


def test_a_node_that_does_not_say_which_schema_it_has_is_waited_for_and_named(site: Site) -> None:
    node = Node(CqlServer.having(LIVE), silent=20)
    plan = planned(node, site)
    apply_schema(site, node, JOB, plan, Silent())
    assert is_made(node)
    node.silent, done = 1 << 30, len(node.server.done)
    with pytest.raises(NodeTrouble, match=r": 10\.0\.0\.3 cannot be asked in CQL from this node\.") as caught:
        apply_schema(site, node, JOB.replace("0a0a", "0b0b"), plan, Silent())
    assert "reach the CQL port" in caught.value.hint
    assert len(node.server.done) == done


def test_a_statement_that_is_refused_is_named_with_what_may_help(site: Site) -> None:
    node = Node(CqlServer.having(LIVE))
    plan = planned(node, site)
    node.server.texts.pop(("keyspace", "shop", "shop", ()))
    with pytest.raises(NodeTrouble, match=r"Statement \d+ of \d+ of the schema \(create ") as caught:
        apply_schema(site, node, JOB, plan, Silent())
    assert "goes on from here" in caught.value.hint


@pytest.mark.parametrize("kind", ["table", "type", "index", "view", "function"])
def test_what_was_not_made_as_planned_is_told(site: Site, kind: str) -> None:
    node = Node(CqlServer.having(LIVE))
    plan = planned(node, site)
    last = [step for step in plan.steps if (step.verb, step.kind) == ("create", kind)][-1]
    # Whatever needs it is not made either, or the server would refuse that.
    needing = {"type": {"function", "table", "index", "view", "aggregate"}, "function": {"aggregate"}}.get(kind, set())
    node.deaf = {
        step.text for step in plan.steps if step.text == last.text or (step.verb != "drop" and step.kind in needing)
    }
    with pytest.raises(NodeTrouble, match=f"is not what it was made to be: .*{kind}"):
        apply_schema(site, node, JOB, plan, Silent())


def test_the_servers_own_text_goes_before_the_drivers(site: Site) -> None:
    assert set(read_backup_schema(site, "n1", "b1").keyspaces) == {"shop"}
    assert set(read_backup_schema(site, "n2", "b1").keyspaces) == {"shop"}
    with pytest.raises(NotFound):
        read_backup_schema(site, "n3", "b1")
