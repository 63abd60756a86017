"""The story: three nodes are backed up by their agents, lose everything and get it back; then three others get it."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from backupstore.core.names import name_of_time
from tests.demo.stage import Stage, command
from tests.demo.story import Rows, compare, rows_of
from tests.demo_cluster.fleet import BUCKET, Depot, Fleet, move_tokens
from tests.harness import Cluster, ClusterConfig, loading
from tests.harness import schema as schemas

_EVERY_MINUTE = "* * * * *"
_MINUTE = 60.0
_PATIENCE = 180.0


def run(directory: Path) -> int:
    """Run it; 0 when every row of every table is what it was, on both clusters."""
    depot = Depot(directory)
    stage = Stage(depot.operator_ini())
    stage.medusa("generate-keys", str(depot.keys))
    with stage.serving():
        name, expected, good = _here(stage, depot)
        good = _there(stage, depot, name, expected) and good
    stage.tell_times()
    print(f"\nThe bucket was {directory / BUCKET}")
    return 0 if good else 1


def _here(stage: Stage, depot: Depot) -> tuple[str, Rows, bool]:
    """On the cluster that was backed up: the backup's name, what was in it, and whether it came back."""
    config = ClusterConfig(name="demo", nodes=3, racks=3)
    with Cluster.create(config) as cluster:
        with stage.act("Start three Cassandra nodes, create a schema, write rows"):
            cluster.start()
            print(f"   Cassandra {config.version} on {', '.join(node.ip for node in cluster.nodes)}")
            with cluster.session() as session:
                schemas.create(session, schemas.Schema.fitting(config))
                loading.load(session, rows=500)
                loading.load(session, rows=500, batch=2)
            expected = rows_of(cluster)
        with Fleet(depot, cluster, _EVERY_MINUTE) as fleet:
            print("$ medusa-shipper agent &    (on each node; backup_schedule = * * * * *)")
            with stage.act("The agents back up by their schedule, every minute"):
                fleet.wait_up()
                name = name_of_time(time.time() + _MINUTE)  # of a minute that has not begun: all rows are in it
                print(Stage(fleet.ini(cluster.nodes[0])).wait_listed(name, _PATIENCE))
            with stage.act("Disaster: all data is dropped"), cluster.session() as session:
                for statement in ("DROP KEYSPACE shop", 'DROP KEYSPACE "MixedCase"'):
                    print(f"   {statement}")
                    session.execute(statement, timeout=60)
            with stage.act("Restore the cluster"):
                print("   typed on the first node, whose cassandra.yaml says who the seeds are")
                _watched(fleet.ini(cluster.nodes[0]), "restore-cluster", "--backup-name", name, "-y")
            return name, expected, _compared(stage, cluster, expected)


def _there(stage: Stage, depot: Depot, name: str, expected: Rows) -> bool:
    """On three other nodes, which have other addresses and own other tokens."""
    with Cluster.create(ClusterConfig(name="other", nodes=3, racks=3)) as cluster:
        with stage.act("The first cluster is gone. Start three other nodes"):
            move_tokens(cluster, 1 << 60)
            cluster.start()
            print(f"   empty, on {', '.join(node.ip for node in cluster.nodes)}")
        with Fleet(depot, cluster) as fleet:
            print("$ medusa-shipper agent &    (on each of them)")
            with stage.act("Restore the backup of the first cluster there"):
                first = cluster.nodes[0]
                _watched(fleet.ini(first), "restore-cluster", "--backup-name", name, "--seed-target", first.ip, "-y")
            return _compared(stage, cluster, expected)


def _watched(ini: Path, *arguments: str) -> None:
    """Run the command line in this terminal, for it draws there."""
    print(f"$ medusa-shipper {' '.join(arguments)}", flush=True)
    done = subprocess.run([*command(ini), *arguments], stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise SystemExit(f"medusa-shipper {arguments[0]} ended with exit code {done.returncode}")


def _compared(stage: Stage, cluster: Cluster, expected: Rows) -> bool:
    with stage.act("Compare every row, and ask every index"):
        return compare(expected, rows_of(cluster))
