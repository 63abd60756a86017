"""Shippers: ``shipper.backup``'s own run on a node that is a dict, without its files, threads and SQLite.

Everything that talks to the bucket is the real code: the look under the name, the decision, the intent, the condemned
documents, the attempt, where each file goes, how it is sent and compared, the commit and what comes after it.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backupstore.core import layout as grammar
from backupstore.core.documents import Mode
from backupstore.core.manifest import Entry, TableSection, write_manifest
from backupstore.core.writers import Principal
from backupstore.errors import BackupError, Conflict, Refused
from backupstore.ports import StoredObject
from shipper import backup as real
from shipper.announce import announce_started
from shipper.begin import Opened, Opening, Request, look_at_node
from shipper.cassandra.port import Identity, Member, Schema, Statement, TableFolder
from shipper.intent import New, Resume
from shipper.memory import Taken
from shipper.pace import Pace
from shipper.progress import Silent
from shipper.site import Site
from shipper.transfer.decide import Destination, decide
from shipper.transfer.known import KnownFile
from shipper.transfer.ledger import FileRow, Shipped, Totals
from shipper.transfer.source import Digests
from shipper.transfer.upload import Uploader, _Task
from tests.simulation.world import GRACE, LAYOUT, NODE, Crash, Machine, ProcessStore, World

_TABLE = "t-" + "0" * 32
_MODES: tuple[Mode, ...] = ("differential", "differential", "differential", "full")


@dataclass
class Disk:
    """A node's files by name, and its snapshots. ``known``: what was shipped, by content."""

    files: dict[str, bytes] = field(default_factory=dict)
    snapshots: dict[str, dict[str, bytes]] = field(default_factory=dict)
    known: dict[bytes, KnownFile] = field(default_factory=dict)
    remembered: dict[str, dict[str, Any]] = field(default_factory=dict)

    def copy(self) -> Disk:
        """As it is now."""
        return Disk(dict(self.files), dict(self.snapshots), dict(self.known), dict(self.remembered))


@dataclass
class Host:
    """A machine with a node: what is on its disk outlives its processes.

    ``sees``: the nodes of the ring, as it sees it. ``tail``: what its node's host id ends with.
    """

    name: str
    clock: Machine
    node: str = NODE
    sees: tuple[str, ...] = (NODE,)
    tail: str = "1"
    disk: Disk = field(default_factory=Disk)


class Node:
    """``CassandraNode`` as far as the run asks."""

    data_directories = (Path("data"),)

    def __init__(self, host: Host) -> None:
        self._host = host
        self.disk = host.disk

    def is_up(self) -> bool:
        return True

    def identity(self) -> Identity:
        node = self._host.node
        return Identity(self._id(node), "c", node, "dc1", "r1", "5.0.6", "cassandra", _tokens(node))

    def ring(self) -> tuple[Member, ...]:
        return tuple(
            Member(node, node, self._id(node), "dc1", "r1", _tokens(node), is_up=True) for node in self._host.sees
        )

    def _id(self, node: str) -> str:
        tail = self._host.tail if node == self._host.node else "1"
        return f"00000000-0000-0000-0000-{node[1:]:0>6}{tail:0>6}"

    def schema(self) -> Schema:
        return Schema("schema", (Statement("ks", "table", "t", "CREATE TABLE ks.t"),))

    def snapshot(self, tag: str, *, keyspaces: Sequence[str] = (), tables: Sequence[str] = ()) -> None:
        del keyspaces, tables
        self.disk.snapshots[tag] = dict(self.disk.files)

    def snapshot_tags(self, start: str) -> tuple[str, ...]:
        return tuple(sorted(tag for tag in self.disk.snapshots if tag.startswith(start)))

    def clear_snapshot(self, tag: str) -> None:
        self.disk.snapshots.pop(tag, None)

    def snapshot_tables(self, tag: str) -> tuple[TableFolder, ...]:
        return (TableFolder(0, "ks", _TABLE, Path("/")),) if tag in self.disk.snapshots else ()


def _tokens(node: str) -> tuple[int, ...]:
    return (int(node[1:]),)


class State:
    """``StateDirectory`` in memory; ``locked`` is never waited for, since a host's processes come one after the other."""

    def __init__(self, disk: Disk) -> None:
        self._values = disk.remembered
        self.path = Path("state")
        self.journal = Path("/nonexistent/restore.json")

    @contextmanager
    def locked(self, verb: str) -> Iterator[None]:
        del verb
        yield

    def read(self, name: str) -> dict[str, Any]:
        return dict(self._values.get(name, {}))

    def write(self, name: str, value: dict[str, Any]) -> None:
        self._values[name] = value

    def forget(self, name: str) -> None:
        self._values.pop(name, None)


class Content:
    """A file's bytes as the uploader takes them."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.also = None

    @property
    def size(self) -> int:
        return len(self._body)

    def chunks(self) -> Iterator[bytes]:
        yield self._body

    def digest(self) -> Digests:
        md5 = hashlib.md5(self._body, usedforsecurity=False).hexdigest()
        return Digests(hashlib.sha256(self._body).hexdigest(), zlib.crc32(self._body), md5)

    taken = digest


class Sender(Uploader):
    """The uploader, file by file."""

    def __init__(self, store: ProcessStore, destination: Destination, clock: Machine, bodies: dict[str, bytes]) -> None:
        super().__init__(store, None, destination, clock=clock, workers=1)  # type: ignore[arg-type] # no ledger
        self._bodies = bodies

    def send(self, row: FileRow, known: KnownFile | None, listed: dict[str, StoredObject]) -> Shipped:
        at_known = listed.get(known.key) if known else None
        plain = listed.get(self._destination.plain(row))
        decision = decide(row, self._destination, known=known, at_known=at_known, at_plain=plain)
        return self._one(_Task(row, decision, None, read_again=False))

    def _source(self, row: FileRow, *, md5: bool = False, sha256: str | None = None) -> Any:  # noqa: ANN401 # as Content
        del md5, sha256
        return Content(self._bodies[row.file])


class Run(real._Run):  # the run itself is what is tried here
    """The run, with the ledger in a dict."""

    __slots__ = ()

    @property
    def disk(self) -> Disk:
        disk: Disk = self.site.cassandra.disk  # type: ignore[attr-defined] # our own node
        return disk

    def _ship(self, opening: Opening, intent: New | Resume, taken: Taken, opened: Opened) -> real.Report:
        site, request = self.site, self.request
        keys = opened.condemned.keys
        destination = Destination(site.layout, site.name, request.backup, request.mode, opened.number, keys)
        listed = self._listed(destination)
        opening.write_meta(intent, taken)
        announce_started(site, request.backup, opened.number, self.progress)
        pace = Pace(site, request.backup, opened.deadline)
        pace.check()
        bodies = self.disk.snapshots[taken.tag]
        sender = Sender(site.store, destination, site.clock, bodies)  # type: ignore[arg-type] # both are ours
        entries = []
        for number, (file, body) in enumerate(sorted(bodies.items())):
            row = FileRow(number, "ks", _TABLE, "", file, 0, file, 0, number, len(body), 0)
            known = self.disk.known.get(body) if request.mode == "differential" else None
            shipped = sender.send(row, known, listed)
            stored = shipped.object
            entries.append(Entry("ks", _TABLE, stored.key, len(body), stored.digest, shipped.sha256))
            if request.mode == "differential":
                self.disk.known[body] = KnownFile(
                    shipped.sha256, shipped.crc32, None, None, stored.key, stored.modified, stored.digest, 0.0
                )
            pace.check()
        modified = self._commit(entries, pace)
        self._check_commit(opening, opened, modified)
        return real.Report(request.backup, opened.number, Totals(len(entries), 0, 0, 0, 0), 0.0)

    def _listed(self, destination: Destination) -> dict[str, StoredObject]:
        """As ``transfer.plan`` lists."""
        store, layout = self.site.store, self.site.layout
        listed = {stored.key: stored for stored in store.list(destination.folder())}
        if destination.mode == "differential":
            listed |= {stored.key: stored for stored in store.list(layout.versioned_data(self.site.name))}
        return listed

    def _commit(self, entries: list[Entry], pace: Pace) -> float:
        site, backup = self.site, self.request.backup
        key = site.layout.meta(site.name, backup, grammar.MANIFEST)
        body = b"".join(write_manifest([TableSection("ks", _TABLE), *entries]))
        pace.check()
        try:
            return site.store.create(key, body).modified
        except Conflict as error:
            stored = site.store.read(key)
            if stored.body == body:
                return stored.modified
            raise Refused("committed by another process") from error


def shipper(world: World, host: Host, names: Iterable[str]) -> None:
    """A host's backups, one after the other; its processes die and are started again, or the name is given up."""
    random = world.random
    for name in names:
        _live(world, host.disk)
        request = Request(name, random.choice(_MODES))
        for _ in range(random.choice((1, 2, 3))):
            if _process(world, host, request):
                break
            if random.random() < 0.3:
                host.clock.reboot()


def site_of(world: World, host: Host, **temper: float) -> Site:
    """What a program on that machine works with."""
    store = ProcessStore.open(world, Principal.SHIPPER, host.node, **temper)
    state: Any = State(host.disk)
    return Site(store, LAYOUT, Node(host), host.node, state, host.clock, "bucket")


def _live(world: World, disk: Disk) -> None:
    """Flushes, compactions, and Statistics.db rewritten under its name. Two hosts of one name have equal names."""
    random = world.random
    for _ in range(random.randint(1, 3)):
        file = f"nb-{random.randint(1, 4)}-big-Data.db"
        if random.random() < 0.3:
            disk.files.pop(file, None)
        else:
            disk.files[file] = f"{file} {random.randint(1, 2)}".encode()
    disk.files.setdefault("nb-9-big-Data.db", b"nb-9-big-Data.db 0")


def _process(world: World, host: Host, request: Request) -> bool:
    """One start of the program; whether there is no sense in another one for this name."""
    random = world.random
    trouble = {"crashes": random.choice((0.0, 0.0, 0.02, 0.05)), "faults": random.choice((0.0, 0.0, 0.01))}
    site = site_of(world, host, **({} if world.calm else trouble))
    try:
        Run(site, request, real.Limits(grace=GRACE), Silent(), look_at_node(site)).run()
    except Crash:
        world.tell("shipper crashed")
        return False
    except Refused:
        world.tell("shipper refused")
        return True
    except BackupError as error:
        world.tell(f"shipper: {type(error).__name__}")
        return False
    world.tell("backed up")
    return True
