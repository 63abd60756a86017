"""The story: a node is backed up twice, loses its data, and gets every row back."""

from __future__ import annotations

from pathlib import Path

from tests.demo.places import Place
from tests.demo.stage import Stage, write_ini
from tests.harness import Cluster, ClusterConfig, loading, reading
from tests.harness import schema as schemas
from tests.harness.reading import Row

Rows = dict[str, list[Row]]
FULL, DIFFERENTIAL = "demo-1-full", "demo-2-more"


def run(directory: Path, place: Place) -> int:
    """Run it; 0 when every row of every table is what it was."""
    config = ClusterConfig(name="demo")
    with Cluster.create(config) as cluster:
        stage = Stage(write_ini(directory, cluster.nodes[0], place))
        with stage.act("Start a Cassandra node"):
            cluster.start()
            print(f"   Cassandra {config.version} listens on {cluster.nodes[0].ip}")
        with stage.act("Create a schema worth its name, and write rows"):
            with cluster.session() as session:
                schemas.create(session, schemas.Schema.fitting(config))
                loading.load(session, rows=500)
            print("   a type, functions, a view, a secondary index, SAI and vector indexes, counters, quoted names")
        with stage.serving():
            expected = _back_up_twice(stage, cluster)
        good = _lose_and_restore(stage, cluster, expected)
        stage.tell_times()
        print(f"\nThe bucket was {place.name}")
        return 0 if good else 1


def _back_up_twice(stage: Stage, cluster: Cluster) -> Rows:
    with stage.act("Full backup; the list shows it without anybody building an index"):
        stage.medusa("backup", "--backup-name", FULL, "--mode", "full")
        print(_indented(stage.wait_listed(FULL)))
    with stage.act("More rows, some changed, some deleted; then a differential backup"):
        with cluster.session() as session:
            loading.load(session, rows=500, batch=2)
        stage.medusa("backup", "--backup-name", DIFFERENTIAL)
        print(_indented(stage.wait_listed(DIFFERENTIAL)))
        stage.medusa("status", "--backup-name", DIFFERENTIAL)
    return rows_of(cluster)


def rows_of(cluster: Cluster) -> Rows:
    """Every row of every table, and what every index finds."""
    with cluster.session() as session:
        return {**reading.read_all(session), **reading.query_indexes(session)}


def _lose_and_restore(stage: Stage, cluster: Cluster, expected: Rows) -> bool:
    with stage.act("Disaster: tables dropped and truncated"), cluster.session() as session:
        for statement in (
            "DROP MATERIALIZED VIEW shop.orders_by_kind",
            "DROP TABLE shop.orders",
            "TRUNCATE shop.customers",
            "TRUNCATE shop.hits",
            'DROP KEYSPACE "MixedCase"',
        ):
            print(f"   {statement}")
            session.execute(statement, timeout=60)
    with stage.act("Restore"):
        stage.medusa("restore-node", "--backup-name", DIFFERENTIAL)
    with stage.act("Compare every row, and ask every index"):
        return compare(expected, rows_of(cluster))


def compare(expected: Rows, found: Rows) -> bool:
    """Tell table by table, and query by query, whether all rows are the same; whether all of them are."""
    good = True
    for name in sorted(expected.keys() | found.keys()):
        before, after = expected.get(name), found.get(name)
        same = before == after
        good = good and same
        count = "no such table" if before is None else f"{len(before):5} rows"
        print(f"   {'same     ' if same else 'DIFFERENT'} {count}  {name}")
    print("   Every row is back." if good else "   ROWS ARE MISSING OR WRONG.")
    return good


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in ("$ medusa-shipper list-backups", *text.splitlines()))
