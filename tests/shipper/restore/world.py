"""One node that is only directories, its bucket with a backup, and what must be true of the two after any restore.

``Machine`` is a fake Cassandra that starts only when all of its directories are, to the last byte, as they were before
the restore or as they were at the backup: a mix of the two is remembered and never starts. Everything it knows lies on
disk, so that another process, killed for real, sees the same node.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

from backupstore.core.layout import Layout
from backupstore.errors import NodeTrouble
from backupstore.ports import ObjectStore
from backupstore.stores.memory import MemoryBucket
from shipper.backup import Limits, back_up
from shipper.begin import Request as BackupRequest
from shipper.cassandra.port import Identity, Member
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
from tests.killing import Trigger, killing
from tests.recorded import NAME, RecordedNode, host_id
from tests.sstables import Kind

FEW = ("Data.db", "Digest.crc32", "Index.db", "Statistics.db")
TABLES = {
    "system.local": Kind(components=FEW),
    "system_schema.tables": Kind(components=FEW),
    "shop.customers": Kind(components=FEW, index=".customers_by_name"),
    "shop.empty_shelf": Kind(flushed=0),
}
OTHERS = ("commitlog", "hints", "saved_caches", "cdc_raw")
STRANGER = "00000000-0000-0000-0000-000000000000"
_BY_CASSANDRA = "-started-"


class Listener(Silent):
    """Remembers what the operator was told."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.steps: list[str] = []

    def step(self, text: str) -> None:
        self.steps.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    @property
    def told(self) -> str:
        return "\n".join(self.warnings)


class Node(RecordedNode):
    """A recorded node that is up while its file ``running`` is there, and who it is stands in its system tables."""

    @property
    def down(self) -> bool:
        return not (self.base / "running").exists()

    @down.setter
    def down(self, value: bool) -> None:
        if value:
            (self.base / "running").unlink(missing_ok=True)

    @property
    def disks(self) -> int:
        return int(self._memory["disks"])

    def identity(self) -> Identity:
        found = super().identity()
        known = any(any(disk.glob("system/local-*/*-Data.db")) for disk in self.data_directories)
        return found if known else replace(found, host_id=STRANGER)


@dataclass
class Service:
    """``restore.port.Service``. A file ``broken``: starts fail while the directories are the restored ones."""

    base: Path
    directories: Directories
    ill: bool = False
    missing: tuple[str, ...] = ()

    def stop(self) -> None:
        (self.base / "running").unlink(missing_ok=True)

    def start(self) -> None:
        if (self.base / "running").exists():
            return
        found = which(self.base, self.directories)
        if found == "mixed":
            (self.base / "was-mixed").touch()
        if found == "mixed" or (found == "new" and (self.base / "broken").exists()):
            raise NodeTrouble("Cassandra does not start.", hint="It is a fake.", operation="start")
        self._write_as_cassandra_does()
        (self.base / "running").touch()

    def _write_as_cassandra_does(self) -> None:
        run = next(number for number in count(1) if not (self.base / f"run-{number}").exists())
        (self.base / f"run-{run}").touch()
        for directory in (*self.directories.data, *self.directories.others):
            (directory / f"x{_BY_CASSANDRA}{run}").write_bytes(b"of this run")
            for table in directory.glob("system/local-*"):
                (table / f"nb{_BY_CASSANDRA}{run}-Data.db").write_bytes(b"of this run")

    def check(self) -> None:
        if self.ill and which(self.base, self.directories) == "new":
            raise NodeTrouble("The query gave 0 rows, not 1.", hint="It is a fake.", operation="check")

    def missing_commands(self) -> tuple[str, ...]:
        return self.missing


@dataclass
class Peers:
    """``restore.port.Peers``: who is told to be quiet stands in files."""

    base: Path
    seen: Witness | None = None
    up: frozenset[str] = frozenset()
    deaf: frozenset[str] = frozenset()

    def witness(self) -> Witness | None:
        return self.seen

    def is_up(self, address: str) -> bool:
        return address in self.up

    def hold_hints(self, address: str) -> bool:
        if address not in self.deaf:
            (self.base / f"quiet-{address}").touch()
        return address not in self.deaf

    def release_hints(self, address: str) -> bool:
        (self.base / f"quiet-{address}").unlink(missing_ok=True)
        return address not in self.deaf


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

    @property
    def base(self) -> Path:
        return self.node.base

    @property
    def site(self) -> Site:
        return Site(self.store, self.layout, self.node, NAME, self.state, self.clock, self.bucket)

    @property
    def machine(self) -> Machine:
        return Machine(self.directories, self.service, self.peers, self.workers, lambda: uuid.uuid4().hex)

    def back_up(self, name: str) -> None:
        back_up(self.site, BackupRequest(name), Limits(workers=2), Silent())

    def restore(self, name: str = "monday", **options: object) -> Report:
        request = RestoreRequest(name, **options)  # type: ignore[arg-type]  # what the test says
        return restore_node(self.site, self.machine, request, self.listener)

    def undo(self) -> journals.Journal:
        return undo(self.site, self.machine, self.listener)

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
        """Write down what the directories hold now, as what they may hold: before the restore, or after it."""
        held = tree(self.directories)
        if state == "new":
            held = {path: digest for path, digest in held.items() if path.split("/")[0].startswith("data")}
        (self.base / f"expected-{state}.json").write_text(json.dumps(held))

    def stands(self) -> str:
        """``old`` or ``new``; a leftover or a mix is an error."""
        assert not (self.base / "was-mixed").exists(), "Cassandra was started on a mix of old and new"
        assert self.journal() is None
        assert not list(self.base.rglob(f"{WORK}*"))
        assert not list(self.base.rglob("*.part"))
        assert not list(self.base.glob("quiet-*"))
        found = which(self.base, self.directories)
        assert found in {"old", "new"}
        return found


def which(base: Path, directories: Directories) -> str:
    """Whether the directories are as before the restore, as at the backup, or neither."""
    held = tree(directories)
    for state in ("old", "new"):
        expected = base / f"expected-{state}.json"
        if expected.exists() and json.loads(expected.read_text()) == held:
            return state
    return "mixed"


def tree(directories: Directories) -> dict[str, str]:
    """Path → digest of everything that Cassandra would read, but for what this fake itself writes when it starts."""
    found = {}
    for directory in (*directories.data, *directories.others):
        for path in sorted(directory.rglob("*")):
            parts = path.relative_to(directory).parts
            if path.is_file() and parts[0] != WORK and "snapshots" not in parts and _BY_CASSANDRA not in path.name:
                key = "/".join((directory.name, *parts))
                found[key] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def make_world(base: Path, *, disks: int = 2, prepare: Callable[[Node], None] = lambda _: None) -> World:
    """A node backed up as ``monday``, which has moved on since: other SSTables, a newer table, a dropped one."""
    RecordedNode.make(base, disks=disks, tables=TABLES)
    return arrange(base, prepare)


def arrange(base: Path, prepare: Callable[[Node], None] = lambda _: None) -> World:
    node = Node(base)
    world = open_world(base, MemoryBucket())
    for directory in world.directories.others:
        directory.mkdir()
    (base / "running").touch()
    world.expect("new")
    world.back_up("monday")
    for name in ("shop.customers", "system.local", "system_schema.tables"):
        node.compact(name)
    node.create("shop.newer", Kind(components=FEW))
    prepare(node)
    for directory in world.directories.others:
        (directory / f"{directory.name}-old.db").write_text(f"{directory.name} of the old")
    world = replace(world, node=Node(base))
    world.expect("old")
    return world


def open_world(base: Path, bucket: MemoryBucket, store: ObjectStore | None = None) -> World:
    """The world that lies there."""
    node = Node(base)
    directories = Directories(node.data_directories, tuple(base / name for name in OTHERS))
    owner = store or bucket.open(None)
    return World(
        node=node,
        store=owner,
        owner=owner,
        directories=directories,
        service=Service(base, directories),
        peers=Peers(base),
        state=StateDirectory(base / "state"),
    )


def copy_of(world: World, base: Path) -> World:
    """The same node somewhere else, with the same bucket."""
    shutil.copytree(world.base, base)
    copied = open_world(base, MemoryBucket(), world.owner)
    return replace(copied, clock=world.clock)


def ring_of_three(world: World, **changed: object) -> Witness:
    """The ring as a peer sees it, with the schema of now."""
    schema = world.node.schema()
    members = world.node.ring()
    seen = Witness("10.0.0.2", members, schema.described, schema.export, {})
    return replace(seen, **changed)  # type: ignore[arg-type]  # what the test says


def member(address: str, host: str | None = None) -> Member:
    return Member(address, address, host or host_id(address), "dc1", "r1", (1,), is_up=None)
