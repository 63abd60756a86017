"""Three nodes' backups loaded into a cluster of one: its schema is made, every row is there, and a kill does no harm."""

from __future__ import annotations

import stat
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import pytest

from backupstore.core.schema_plan import Asked, SchemaPlan
from backupstore.errors import NodeTrouble, Refused
from shipper.cassandra import cql
from shipper.cassandra.cql import Session
from shipper.restore.loading import FOLDER, Loaded, Loading, LoadRequest
from shipper.restore.schema_apply import apply_schema, finish_schema, plan_here, read_backup_schema
from shipper.snapshot import Filters
from tests.harness import Cluster, ClusterConfig, driver, loading, reading, schema
from tests.harness.config import SUPERUSER
from tests.shipper.listener import Listener
from tests.shipper.restore.real import Wired, wire

pytestmark = [pytest.mark.cassandra, pytest.mark.timeout(900)]

Found = TypeVar("Found")

NODES = ("n1", "n2", "n3")
JOB = "restore-20261123140000-0a0a0a0a"
_HOME = """
CREATE FUNCTION shop."Home" (p person) CALLED ON NULL INPUT RETURNS address LANGUAGE java
AS $$ /* ; */ return p == null ? null : p.getUDTValue("home"); $$
"""
_ODD = """
CREATE TABLE shop."Odd" ("The;Key" int PRIMARY KEY, owner frozen<person>, gone int, "v\"\"" text)
WITH comment = 'drop; it''s -- $$ /* only */ text'
"""
_ROW = """
INSERT INTO shop."Odd" ("The;Key", owner, gone, "v\"\"")
VALUES ({k}, {{name: 'n{k}', home: {{street: 's;', zip: {k}}}}}, {k}, 'v{third}')
"""
ODD = (
    "CREATE TYPE shop.person (name text, home frozen<address>)",
    _HOME,
    "CREATE FUNCTION shop.keep (s address, p person) CALLED ON NULL INPUT RETURNS address LANGUAGE java AS 'return s;'",
    "CREATE AGGREGATE shop.kept (person) SFUNC keep STYPE address",
    _ODD,
    'CREATE INDEX "ByV" ON shop."Odd" ("v""")',
)
ODD_ROWS = tuple(_ROW.format(k=k, third=k % 3) for k in range(12))
OTHERS = (
    "CREATE KEYSPACE shop WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 1}",
    "CREATE TYPE shop.address (street text)",
    "CREATE TABLE shop.customers (id uuid PRIMARY KEY, was_here frozen<address>)",
    "CREATE MATERIALIZED VIEW shop.by_was AS SELECT id FROM shop.customers WHERE id IS NOT NULL PRIMARY KEY (id)",
    "CREATE TABLE shop.only_here (k int PRIMARY KEY)",
    "INSERT INTO shop.only_here (k) VALUES (7)",
)


@dataclass(frozen=True)
class Saved:
    """What the cluster of three held. ``found``: what its indexes find."""

    folder: Path
    rows: dict[str, list[reading.Row]]
    found: dict[str, list[reading.Row]]
    described: list[str]


def wired(cluster: Cluster, folder: Path, bucket: Path, name: str, at: int = 0) -> Wired:
    node = cluster.nodes[at]
    found = wire(node, folder, bucket, fqdn=name)
    ini = folder / "medusa.ini"
    login = f"cql_username = {SUPERUSER[0]}\ncql_password = {SUPERUSER[1]}\nsstableloader_bin = {node.script('sstableloader')}\n"
    ini.write_text(ini.read_text().replace("[storage]", login + "[storage]", 1))
    return found


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    folder = tmp_path_factory.mktemp("loading")
    config = ClusterConfig(name="load-from", nodes=3, num_tokens=4, auth=True)
    with Cluster.create(config) as cluster:
        cluster.start()
        with cluster.session() as session:
            schema.create(session, schema.Schema.fitting(config, replication=2))
            driver.define(session, ODD)
            loading.load(session, rows=30)
            for text in ODD_ROWS:
                session.execute(text)
            session.execute("CREATE ROLE reader WITH PASSWORD = 'read' AND LOGIN = true")
        cluster.flush()
        with cluster.session() as session:
            # Its values lie in SSTables already.
            driver.define(session, ['ALTER TABLE shop."Odd" DROP gone'])
            rows, found = reading.read_all(session), reading.query_indexes(session)
            described = reading.describe(session)
        for at, name in enumerate(NODES):
            wired(cluster, folder / name, folder / "bucket", name, at).back_up("b1")
    assert found
    return Saved(folder, rows, found, described)


@pytest.fixture(scope="module")
def cluster(saved: Saved) -> Iterator[Cluster]:
    with Cluster.create(ClusterConfig(name="load-to", nodes=1, auth=True)) as target:
        target.start()
        wired(target, saved.folder / "target", saved.folder / "bucket", "target")
        yield target


@pytest.fixture(scope="module")
def target(saved: Saved, cluster: Cluster) -> Wired:
    assert cluster.nodes
    return Wired(saved.folder / "target", saved.folder / "bucket")


@pytest.fixture
def session(target: Wired) -> Iterator[Session]:
    with cql.connect(target.wiring.access) as found:
        yield found


def the_plan(target: Wired, session: Session) -> SchemaPlan:
    return plan_here(session, read_backup_schema(target.site(), "n1", "b1"), Asked())


def load(target: Wired, *, executable: Path | None = None, told: Listener | None = None, **asked: object) -> Loaded:
    wiring = target.wiring
    access = wiring.loader()
    if executable:
        access = replace(access, executable=str(executable))
    site = target.site()
    work = Loading(site, access, site.cassandra.schema, target.machine().new_id, 4, told or Listener())
    with site.state.locked("load"):
        return work.load(LoadRequest(**{"job": JOB, "backup": "b1", "sources": NODES, **asked}))  # type: ignore[arg-type]


def test_rows_for_tables_that_are_not_there_are_refused_before_anything_is_fetched(target: Wired) -> None:
    with pytest.raises(Refused, match=r"there is no table shop\.customers here") as caught:
        load(target)
    assert "restore-cluster --use-sstableloader" in caught.value.hint


def test_the_schema_is_made_from_whatever_is_there(
    cluster: Cluster, target: Wired, session: Session, saved: Saved
) -> None:
    target.site().state.prepare()
    with cluster.session(consistency="ONE") as admin:
        driver.define(admin, OTHERS[:-1])
        admin.execute(OTHERS[-1])
    plan = the_plan(target, session)
    assert "shop.only_here stays as it is" in plan.told
    assert "the view shop.by_was is not in the backup and goes with its table" in plan.told
    assert [line for line in plan.told if "MixedCase asks for 2 replicas" in line]
    assert plan.dropped == ("shop.customers",)
    apply_schema(target.site(), session, JOB, plan, Listener())
    apply_schema(target.site(), session, JOB, plan, Listener())  # over, and stays so
    again = the_plan(target, session)
    assert {step.kind for step in again.steps} == {"view", "table", "index"}, "types and functions are as they were"
    with cluster.session(consistency="ONE") as admin:
        tables = set(reading.read_all(admin))
    assert tables == {*saved.rows, "shop.only_here"}


def test_a_table_with_another_column_is_refused(cluster: Cluster, target: Wired) -> None:
    with cluster.session(consistency="ONE") as admin:
        driver.define(admin, ["ALTER TABLE shop.readings DROP value"])
    with pytest.raises(Refused, match=r"shop\.readings: the column value double is missing"):
        load(target)
    with cluster.session(consistency="ONE") as admin:
        driver.define(admin, ["DROP TABLE shop.readings"])


def test_a_killed_schema_goes_on_where_it_was(target: Wired, session: Session) -> None:
    """The table that went, and all others, are made anew; each statement may have been the last one."""
    plan, job = the_plan(target, session), JOB.replace("0a0a", "0b0b")
    for dies in (0, 3, 4, 0, 5):
        with pytest.raises(NodeTrouble, match="killed"):
            apply_schema(target.site(), Dying(session, dies), job, plan, Listener())  # type: ignore[arg-type]
    apply_schema(target.site(), session, job, SchemaPlan((), ()), Listener())
    assert {step.kind for step in the_plan(target, session).steps} == {"view", "table", "index"}


@dataclass
class Dying:
    """A session that runs some statements, and of the next one never tells."""

    session: Session
    left: int

    def change(self, text: str) -> None:
        self.session.change(text)
        self.left -= 1
        if self.left < 0:
            raise NodeTrouble("killed")

    def __getattr__(self, name: str) -> object:
        return getattr(self.session, name)


def test_a_loader_that_fails_in_the_midst_is_gone_on_with(target: Wired, tmp_path: Path) -> None:
    """The second time, the tables that were loaded are not loaded again."""
    calls, real = tmp_path / "calls", target.wiring.loader().executable
    failing = tmp_path / "loader"
    failing.write_text(f'#!/bin/sh\necho x >>{calls}\n[ $(wc -l <{calls}) -lt 4 ] || exit 1\nexec {real} "$@"\n')
    failing.chmod(0o755)
    with pytest.raises(NodeTrouble, match="could not load"):
        load(target, executable=failing, overwrite_auth=True)
    told = Listener()
    done = load(target, told=told, overwrite_auth=True)
    every = [step for step in told.steps if step.startswith("loading ")]
    assert done.sources == 3
    assert len([step for step in every if " of n1," in step]) == len([step for step in every if " of n2," in step]) - 3
    assert not (target.site().cassandra.data_directories[0].parent / FOLDER).exists()
    assert load(target, overwrite_auth=True) == Loaded(0, 0, 0)


def test_storage_attached_indexes_are_made_when_the_rows_are_there(target: Wired, session: Session) -> None:
    """With one there, a node refuses what sstableloader sends: the index's own files would be missing."""
    wanted = read_backup_schema(target.site(), "n1", "b1")
    assert finish_schema(target.site(), session, wanted, Asked(), Listener()) == 2
    with pytest.raises(Refused, match="storage attached index documents_by"):
        load(target, job=None, filters=Filters(tables=("shop.documents",)))


def test_every_row_is_there_views_and_indexes_too(cluster: Cluster, saved: Saved) -> None:
    with cluster.session(consistency="ONE") as admin:
        rows = reading.read_all(admin)
        found = patiently(lambda: reading.query_indexes(admin))
        assert rows.pop("shop.only_here") == [{"k": 7}]
        assert rows == saved.rows
        assert found == saved.found
        owners = list(admin.execute('SELECT "Home"(owner), kept(owner) FROM shop."Odd"'))
        assert len(owners) == 1
        assert len(reading.select(admin, 'SELECT "The;Key" FROM shop."Odd" WHERE "v""" = \'v1\'')) == 4


def patiently(ask: Callable[[], Found]) -> Found:
    """An index that is being built refuses to answer."""
    end = time.monotonic() + 60
    while True:
        try:
            return ask()
        except Exception:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


def test_loading_twice_changes_nothing(cluster: Cluster, target: Wired, saved: Saved) -> None:
    done = load(target, job=None, filters=Filters(tables=("shop.hits", "shop.orders")))
    assert done.sources == 3
    with cluster.session(consistency="ONE") as admin:
        rows = reading.read_all(admin)
    assert {name: rows[name] for name in saved.rows} == saved.rows


def test_roles_joined_those_that_were_there(cluster: Cluster) -> None:
    with cluster.session(consistency="ONE") as admin:
        roles = {str(row[0]) for row in admin.execute("SELECT role FROM system_auth.roles")}
    assert roles == {"cassandra", "reader"}


def test_passwords_of_the_stores_are_no_arguments(target: Wired, tmp_path: Path) -> None:
    seen, ini = tmp_path / "seen", target.folder / "medusa.ini"
    spy = tmp_path / "spy"
    spy.write_text(
        f"#!{sys.executable}\nimport os, sys\nyaml = sys.argv[sys.argv.index('--conf-path') + 1]\n"
        f"open({str(seen)!r}, 'w').write(repr((sys.argv, oct(os.stat(yaml).st_mode), open(yaml).read())))\nsys.exit(1)\n"
    )
    spy.chmod(stat.S_IRWXU)
    before = ini.read_text()
    stores = "".join(f"sstableloader_{key} = /{key}-secret\n" for key in ("ts", "tspw", "ks", "kspw"))
    ini.write_text(before.replace("[storage]", stores + "[storage]", 1))
    try:
        with pytest.raises(NodeTrouble):
            load(target, executable=spy, job=None, filters=Filters(tables=("shop.hits",)))
    finally:
        ini.write_text(before)
    arguments, mode, yaml = eval(seen.read_text())  # noqa: S307 - what the spy wrote
    assert "secret" not in " ".join(arguments)
    assert mode == oct(stat.S_IFREG | 0o600)
    assert all(f"/{key}-secret" in yaml for key in ("ts", "tspw", "ks", "kspw"))
    assert not Path(arguments[arguments.index("--conf-path") + 1]).exists()
