"""A small node beside a real S3 server: what was before, copied for each run, and what must hold after it."""

from __future__ import annotations

import queue
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

from backupstore.core.layout import Layout
from backupstore.ports import ObjectStore
from backupstore.stores.memory import MemoryBucket
from shipper.state import StateDirectory
from tests.clocks import SettableClock
from tests.harness import s3_servers
from tests.harness.faulty_proxy import Fault, FaultyProxy, faulty_proxy
from tests.harness.s3_servers import S3Server
from tests.harness.s3_stores import opened
from tests.recorded import RecordedNode
from tests.shipper.backup.world import World
from tests.shipper.cli.program import Done
from tests.shipper.restore import world as restores
from tests.shipper.s3.program import PREFIX, Child, OnS3, Starter, starter
from tests.shipper.s3.recorded_program import OTHERS
from tests.sstables import Kind

FEW = ("Data.db", "Digest.crc32", "Index.db", "Statistics.db")
TABLES = {name: Kind(components=FEW) for name in ("shop.orders", "system.local", "system_schema.tables")}
BIG = 11 << 20  # three parts
ONE_AT_A_TIME = {"concurrent_transfers": "1", "multipart_max_concurrency": "1"}
"""The n-th request is the same one in every run then."""


@dataclass
class Scene:
    """A server, a proxy before it, a node. Each ``place`` is a fresh copy of what was before."""

    base: Path
    server: S3Server
    proxy: FaultyProxy
    starter: Starter
    node: RecordedNode
    before: OnS3 | None = None
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def place(self, **changes: object) -> OnS3:
        """Bucket and state directory of a run, behind the proxy."""
        number = next(self.numbers)
        made = OnS3(
            base=self.base / f"place-{number}",
            node=self.node.base,
            starter=self.starter,
            server=self.server,
            bucket=f"bucket-{number}",
            port=self.proxy.port,
            storage=ONE_AT_A_TIME,
        )
        self.server.bucket(made.bucket)
        if self.before:
            data = self.base / "server" / "data"
            shutil.copytree(data / self.before.bucket, data / made.bucket, dirs_exist_ok=True)
            shutil.copytree(self.before.state, made.state)
        return replace(made, **changes)  # type: ignore[arg-type]  # fields by name

    def world(self, place: OnS3, store: ObjectStore | None = None) -> World:
        """What lies there, seen by the owner of the bucket, past the proxy."""
        owner = opened(self.server, place.bucket)
        clock, state = SettableClock(time.time()), StateDirectory(place.state)
        return World(RecordedNode(place.node), store or owner, owner, Layout(PREFIX), clock, state)

    def open_uploads(self, place: OnS3) -> int:
        """Multipart uploads that nobody has ended."""
        with self.server.boto() as boto:
            return len(boto.list_multipart_uploads(Bucket=place.bucket).get("Uploads", []))


@contextmanager
def scene(base: Path, *, tables: dict[str, Kind] | None = None, big: int = BIG) -> Iterator[Scene]:
    """A server and a node of which one file is sent in parts."""
    (base / "server").mkdir()
    node = RecordedNode.make(base / "node", tables=tables or TABLES)
    node.grow("shop.orders", big)
    for name in OTHERS:
        (node.base / name).mkdir()
    (node.base / "running").touch()
    with (
        s3_servers.versitygw(base / "server") as server,
        faulty_proxy(server.host, server.port) as proxy,
        starter(base) as begins,
    ):
        yield Scene(base, server, proxy, begins, node)


def moved_on(place: OnS3) -> OnS3:
    """After a backup: the same node on copied disks, which hold other data by now and know both states apart."""
    node = place.base / f"node-{time.monotonic_ns()}"
    shutil.copytree(place.node, node)
    world = restores.open_world(node, MemoryBucket(time.time))
    world.expect("new")
    world.node.compact("shop.orders")
    restores.grow_old(world)
    return replace(place, node=node)


def stands(place: OnS3) -> str:
    """Which state the node is in, ``old`` or ``new``, with nothing left over."""
    assert not (place.state / "restore.json").exists()
    return restores.open_world(place.node, MemoryBucket(time.time)).stands()


def killed_by(proxy: FaultyProxy, fault: Fault, start: Callable[[], Child]) -> Done:
    """Start a run that is killed for real when the fault strikes, if it ever does."""
    running: queue.Queue[Child] = queue.Queue()
    fault.then = lambda: running.get().kill()
    proxy.faults.append(fault)
    child = start()
    running.put(child)
    done = child.wait()
    if fault in proxy.faults:
        proxy.faults.remove(fault)
    assert fault.struck == (done.code == -signal.SIGKILL), done
    return done
