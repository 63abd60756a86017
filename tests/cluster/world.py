"""A cluster with its agents, `serve`, and an operator who types; and what a test wants to know of all of them."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from backupstore.core import layout as grammar
from backupstore.core.job_documents import Job
from backupstore.core.layout import Layout
from backupstore.core.manifest import Entry, read_manifest
from backupstore.operations.job_store import open_jobs, read_job
from backupstore.signing import PRIVATE_FILE
from backupstore.stores.local import LocalStore
from tests.demo.stage import command
from tests.demo.story import Rows, rows_of
from tests.demo_cluster.fleet import BUCKET, Depot, Fleet, serving
from tests.harness import Cluster, Node, loading, schema
from tests.harness.leash import leashed
from tests.shipper.cli.program import Done, run, until

ASIDE = ".medusa-shipper-restore*"
DROPS = ("DROP KEYSPACE shop", 'DROP KEYSPACE "MixedCase"')
_TO_THE_END = 600.0
"""Seconds; the machine may be busy with much else."""


@dataclass(frozen=True, slots=True)
class Death:
    """An agent dies in this phase of the job, at that moment (``fragile_agent``); its Cassandra too, if it takes it along."""

    phase: str
    moment: str
    takes_cassandra: bool = False


Lives = Mapping[int, Sequence[Death]]
"""How each life of a node's agent ends, by the node's position; the one after those goes on for ever."""


@dataclass(frozen=True, slots=True)
class Typed:
    """A command that runs beside what the test does."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")


@dataclass
class World:
    """``batches``: so many were written by now."""

    fleet: Fleet
    batches: int = 0

    @property
    def cluster(self) -> Cluster:
        return self.fleet.cluster

    @property
    def nodes(self) -> tuple[Node, ...]:
        return self.cluster.nodes

    @property
    def bucket(self) -> Path:
        return self.fleet.depot.directory / BUCKET

    @property
    def typed_on(self) -> Path:
        """The settings of the machine on which the operator types: the first node."""
        return self.fleet.ini(self.nodes[0])

    def medusa(self, *arguments: str, code: int = 0) -> Done:
        """As the operator types it, on the first node."""
        done = run([*command(self.typed_on), *arguments])
        assert done.code == code, f"{arguments}: exit code {done.code}\n{done.out}{done.err}\n{self.said()}"
        return done

    def restore(self, backup: str, *options: str, code: int = 0) -> Done:
        return self.medusa("restore-cluster", "--backup-name", backup, "-y", *options, code=code)

    @contextmanager
    def restoring(self, backup: str, *options: str, code: int = 0) -> Iterator[subprocess.Popen[bytes]]:
        """The same beside what the test does; it has to end well, or with that exit code."""
        with self.typed("restore-cluster", "--backup-name", backup, "-y", *options, code=code) as typed:
            yield typed.process

    @contextmanager
    def typed(self, *arguments: str, code: int = 0) -> Iterator[Typed]:
        """A command that the operator follows meanwhile. It is over, with that exit code, when this is left."""
        log = self.fleet.depot.directory / f"typed-{time.monotonic_ns()}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(leashed([*command(self.typed_on), *arguments]), stdout=out, stderr=out)
        typed = Typed(process, log)
        try:
            yield typed
            assert process.wait(_TO_THE_END) == code, f"{arguments}: {process.returncode}\n{typed.said}\n{self.said()}"
        finally:
            process.kill()
            process.wait()

    def backed_up(self, backup: str) -> Rows:
        """More rows, a backup of the whole cluster, and what it holds."""
        self.write()
        rows = rows_of(self.cluster)
        self.medusa("backup-cluster", "--backup-name", backup, "--seed-target", self.nodes[0].ip)
        return rows

    def write(self) -> None:
        """Rows of their own, and changes to those of before."""
        self.batches += 1
        with self.cluster.session() as session:
            loading.load(session, rows=60, batch=self.batches)

    def drop_all(self) -> None:
        with self.cluster.session() as session:
            for statement in DROPS:
                session.execute(statement, timeout=60)

    def phase(self) -> str:
        """Of the newest job that is open; empty when none is, or nobody took it up yet."""
        job = self.job()
        return job.phase if job else ""

    def job(self) -> Job | None:
        """The newest job that is open, once somebody took it up."""
        store, layout = LocalStore(self.bucket), Layout()
        stored = [read_job(store, layout, name) for name in open_jobs(store, layout)[-1:]]
        return stored[0].job if stored and stored[0] else None

    def waiting(self) -> bool:
        """Whether the newest job waits for an operator."""
        job = self.job()
        return job is not None and bool(job.waiting)

    def impatient(self, backup: str, seconds: float) -> None:
        """Have the job of that backup wait for an operator after so many seconds: nobody has read its request yet."""
        requests = self.bucket / Layout().all_job_requests()

        def asked() -> list[Path]:
            found = requests.glob("restore-*/request.json")
            return [path for path in found if json.loads(path.read_text())["backup"] == backup]

        until(lambda: bool(asked()), 120, self.said)
        (request,) = asked()
        request.write_text(json.dumps({**json.loads(request.read_text()), "patience": seconds}))

    def doom(self, lives: Lives) -> None:
        """Begin the first life of each of these agents."""
        for position, deaths in lives.items():
            self.fleet.kill(self.nodes[position])
            self.fleet.start_one(self.nodes[position], fragile(deaths[0].moment))

    def die(self, lives: Lives) -> None:
        """Wait until all of these deaths have happened, each in its phase; every agent is begun anew at once."""
        left = {position: list(deaths) for position, deaths in lives.items()}

        def buried() -> bool:
            for position, deaths in left.items():
                self._bury(self.nodes[position], deaths)
            return not any(left.values())

        until(buried, _TO_THE_END, lambda: f"{left} have not died\n{self.said()}")

    def _bury(self, node: Node, deaths: list[Death]) -> None:
        """Begin the next life of an agent that is dead."""
        code = self.fleet.processes[node.ip].poll()
        if not deaths or code is None:
            return
        death = deaths.pop(0)
        assert (code, self.phase()) == (-9, death.phase), f"{node.ip}, {death}\n{self.said()}"
        if death.takes_cassandra:
            node.kill()
        self.fleet.start_one(node, fragile(deaths[0].moment) if deaths else ())

    @contextmanager
    def reaping(self, node: Node, phase: str) -> Iterator[None]:
        """Cassandra is killed there by SIGKILL, however often it starts, while a job is in that phase."""
        over = threading.Event()

        def reap() -> None:
            while not over.wait(0.1):
                if node.running and self.phase() == phase:
                    node.kill()

        reaper = threading.Thread(target=reap)
        reaper.start()
        try:
            yield
        finally:
            over.set()
            reaper.join()

    def leftovers(self) -> list[Path]:
        """What a restore may have left beside the nodes' data."""
        return [path for node in self.nodes for path in node.directory.rglob(ASIDE)]

    def said(self) -> str:
        """By the agents and the coordinator, for when something fails."""
        serve = self.fleet.depot.operator_ini().with_name("serve.log")
        return f"{self.fleet.logs()}\n--- serve\n{serve.read_text() if serve.exists() else ''}"

    def journal(self, node: Node) -> str:
        """The phase of the restore that is open there; empty when none is."""
        path = self.fleet.ini(node).parent / "state" / "restore.json"
        try:
            return str(json.loads(path.read_text())["phase"])
        except FileNotFoundError:
            return ""


def largest_data_file(world: World, node: Node, backup: str) -> Path:
    """Of those that a node's backup names: other objects of the node may be of older backups only."""
    key = Layout().meta(node.ip, backup, grammar.MANIFEST)
    items = read_manifest([(world.bucket / key).read_bytes()], key)
    data = (item for item in items if isinstance(item, Entry) and item.path.endswith("-Data.db"))
    return world.bucket / max(data, key=lambda entry: entry.size).path


@contextmanager
def opened(depot: Depot, cluster: Cluster, *, with_rows: bool) -> Iterator[World]:
    """Its nodes run, its agents too, and somebody coordinates jobs."""
    if not depot.keys.exists():
        assert run([*command(depot.operator_ini()), "generate-keys", str(depot.keys)]).code == 0
    (depot.directory / BUCKET).mkdir(exist_ok=True)
    cluster.start()
    if with_rows:
        with cluster.session() as session:
            schema.create(session, schema.Schema.fitting(cluster.config))
    with Fleet(depot, cluster) as fleet:
        yield World(fleet)


def fragile(phase: str) -> tuple[str, ...]:
    """The program of an agent that dies by SIGKILL as soon as its journal says this."""
    return (sys.executable, "-m", "tests.cluster.fragile_agent", phase)


def fragile_coordinator(world: World, deaths: Path) -> list[str]:
    """The program of a coordinator that dies after each thing that it writes, and begins anew; ``deaths`` tells of which."""
    words = [world.bucket, world.fleet.depot.keys / PRIVATE_FILE, deaths]
    return [sys.executable, "-m", "tests.cluster.fragile_coordinator", *map(str, words)]


@contextmanager
def running(program: Sequence[str], log: Path) -> Iterator[None]:
    """In the background, until this is left."""
    with log.open("ab") as out:
        process = subprocess.Popen(leashed(program), stdout=out, stderr=out)
    try:
        yield
        assert process.poll() is None, log.read_text()
    finally:
        process.kill()
        process.wait()


def assert_same(expected: Rows, found: Rows) -> None:
    """Row by row; told by table where they differ."""
    assert sorted(expected) == sorted(found)
    assert any(expected.values())
    for name, rows in expected.items():
        assert rows == found[name], f"{name}: {len(rows)} rows were backed up, and {len(found[name])} are there"


__all__ = [
    "Death",
    "Lives",
    "Typed",
    "World",
    "assert_same",
    "fragile",
    "fragile_coordinator",
    "largest_data_file",
    "opened",
    "rows_of",
    "running",
    "serving",
    "until",
]
