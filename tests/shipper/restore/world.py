"""One node that is only directories, its bucket with a backup, and what must be true of the two after any restore."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from backupstore.core.layout import Layout
from backupstore.core.writers import Principal
from backupstore.ports import ObjectStore
from backupstore.stores.memory import MemoryBucket
from shipper.backup import Limits, back_up
from shipper.begin import Request as BackupRequest
from shipper.progress import Silent
from shipper.restore import journal as journals
from shipper.restore.node import Report, restore_node, undo
from shipper.restore.node import Request as RestoreRequest
from shipper.restore.places import WORK
from shipper.restore.port import Directories, Witness
from shipper.restore.steps import Machine
from shipper.site import Site
from shipper.state import StateDirectory
from tests.clocks import SettableClock
from tests.killing import Point, Trigger, killed, killing
from tests.recorded import NAME, RecordedNode
from tests.shipper.listener import Listener
from tests.shipper.restore.dying import dying
from tests.shipper.restore.fake import Node, Peers, Service, tree, which
from tests.sstables import Kind

FEW = ("Data.db", "Digest.crc32", "Index.db", "Statistics.db")
TABLES = {
    "system.local": Kind(components=FEW),
    "system_schema.tables": Kind(components=FEW),
    "shop.customers": Kind(components=FEW, index=".customers_by_name"),
    "shop.empty_shelf": Kind(flushed=0),
}


OTHERS = ("commitlog", "hints", "saved_caches", "cdc_raw")


@dataclass
class World:
    """``request`` is what will be asked for; ``directories`` is how cassandra.yaml has them."""

    node: Node
    store: ObjectStore
    owner: ObjectStore
    directories: Directories
    service: Service
    peers: Peers
    state: StateDirectory
    clock: SettableClock = field(default_factory=SettableClock)
    listener: Listener = field(default_factory=Listener)
    layout: Layout = field(default_factory=Layout)
    bucket: str = "bucket"
    workers: int = 2
    name: str = NAME

    @property
    def base(self) -> Path:
        return self.node.base

    @property
    def site(self) -> Site:
        return Site(self.store, self.layout, self.node, self.name, self.state, self.clock, self.bucket)

    @property
    def machine(self) -> Machine:
        yaml = self.base / "cassandra.yaml"
        return Machine(self.directories, self.service, self.peers, self.workers, lambda: uuid.uuid4().hex, yaml)

    def back_up(self, name: str) -> None:
        back_up(self.site, BackupRequest(name), Limits(workers=2), Silent())

    def restore(self, name: str = "monday", **options: object) -> Report:
        request = RestoreRequest(name, **options)  # type: ignore[arg-type]  # what the test says
        return restore_node(self.site, self.machine, request, self.listener)

    def undo(self, *, leave_job: bool = False) -> journals.Journal:
        return undo(self.site, self.machine, self.listener, leave_job=leave_job)

    def journal(self) -> journals.Journal | None:
        return journals.load(self.state)

    def deadly(self, trigger: Trigger) -> World:
        """The same world, of which each call may be the last."""
        return replace(
            self,
            store=killing(self.store, trigger, "store"),
            service=killing(self.service, trigger, "service"),
            peers=killing(self.peers, trigger, "peers"),
        )

    def expect(self, state: str) -> None:
        """Write down what the directories hold now, as what they may hold: before the restore (old), or after it."""
        held = tree(self.directories)
        if state != "old":
            # Cassandra keeps these two keyspaces in its first directory; the recorded node deals them out like others.
            own = ("data2/system/", "data2/system_schema/")
            placed = {f"data1{path[5:]}" if path.startswith(own) else path: held[path] for path in held}
            held = {path: digest for path, digest in placed.items() if path.startswith("data")}
        (self.base / f"expected-{state}.json").write_text(json.dumps(held))

    def stands(self) -> str:
        """``old``, or ``new`` (as the backup monday has it), or another state; a leftover or a mix is an error."""
        assert not (self.base / "was-mixed").exists(), "Cassandra was started on a mix of old and new"
        assert self.journal() is None
        assert not list(self.base.rglob(f"{WORK}*"))
        assert not list(self.base.rglob("*.part"))
        assert not list(self.base.glob("quiet-*"))
        found = which(self.base, self.directories)
        assert found != "mixed"
        return found


def make_world(base: Path, *, disks: int = 2, prepare: Callable[[Node], None] = lambda _: None) -> World:
    """A node backed up as ``monday``, which has moved on since: other SSTables, a newer table, a dropped one."""
    RecordedNode.make(base, disks=disks, tables=TABLES)
    return arrange(base, prepare)


def arrange(base: Path, prepare: Callable[[Node], None] = lambda _: None) -> World:
    """``make_world`` for a node that is there."""
    node = Node(base)
    clock = SettableClock()
    world = open_world(base, MemoryBucket(clock.now))
    for directory in world.directories.others:
        directory.mkdir()
    (base / "running").touch()
    world.expect("new")
    world.back_up("monday")
    for name in ("shop.customers", "system.local", "system_schema.tables"):
        node.compact(name)
    node.create("shop.newer", Kind(components=FEW))
    prepare(node)
    grow_old(world)
    return replace(world, node=Node(base))


def grow_old(world: World) -> None:
    """What the directories hold from now on is what a restore that is taken back must bring back."""
    for directory in world.directories.others:
        (directory / f"{directory.name}-old.db").write_text(f"{directory.name} of the old")
    world.expect("old")


def open_world(base: Path, bucket: MemoryBucket, store: ObjectStore | None = None) -> World:
    """The world that lies there. The program has the rights of a shipper, the owner all."""
    node = Node(base)
    others, caches = tuple(base / name for name in OTHERS), base / "saved_caches"
    directories = Directories(node.data_directories, others, caches=caches)
    layout = Layout()
    return World(
        node=node,
        store=store or bucket.open(Principal.SHIPPER, layout, NAME),
        owner=store or bucket.open(None),
        layout=layout,
        directories=directories,
        service=Service(base, directories),
        peers=Peers(base),
        state=StateDirectory(base / "state"),
    )


def copy_of(world: World, base: Path) -> World:
    """The same node somewhere else, with a bucket of its own that holds the same."""
    shutil.copytree(world.base, base)
    bucket = MemoryBucket(world.clock.now)
    for stored in world.owner.list(""):
        bucket.open(None).put(stored.key, world.owner.read(stored.key).body)
    return open_world(base, bucket)


def ring_of_three(world: World, **changed: object) -> Witness:
    """The ring as a peer sees it, with the schema of now."""
    schema = world.node.schema()
    members = world.node.ring()
    seen = Witness("10.0.0.2", members, schema.described, schema.export, {})
    return replace(seen, **changed)  # type: ignore[arg-type]  # what the test says


def killed_at(world: World, point: Point) -> None:
    """Begin to restore, and be killed there."""
    world = replace(world, workers=1)
    trigger = Trigger(point)
    with dying(trigger, world.base):
        assert killed(lambda: world.deadly(trigger).restore())
