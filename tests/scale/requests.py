"""How many requests everything costs: the real operations on a bucket that counts, in the kinds that clouds charge for.

A write is one PUT and a listing one LIST for each thousand keys, on every provider; what is larger than a part
(``multipart_chunksize``) takes a PUT for each part and two more. Deletes cost nothing, and are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import ceil
from pathlib import Path
from typing import Literal, NamedTuple

from backupstore.core.documents import Mode
from backupstore.core.events import ObjectEvent
from backupstore.core.key_parsing import parse_in
from backupstore.core.keys import DataKey
from backupstore.core.notifications import Notified
from backupstore.core.retention import Policy
from backupstore.core.writers import Principal
from backupstore.operations.deliver import deliver
from backupstore.operations.reconcile import TRUST, reconcile
from backupstore.operations.report import measure
from backupstore.ports import Folder, ObjectStore, StoredObject
from backupstore.stores.memory import MemoryBucket
from tests.interleaving import Around
from tests.operations.fleet import Fleet
from tests.operations.queued import Site
from tests.operations.team import Team
from tests.shipper.backup.world import elsewhere, new_world
from tests.shipper.cli.handmade import Made, Maker

_PAGE = 1000
_KINDS = {
    "create": "PUT",
    "replace": "PUT",
    "put": "PUT",
    "upload": "PUT",
    "read": "GET",
    "fetch": "GET",
    "head": "GET",
}


class Requests(NamedTuple):
    """Of one piece of work."""

    put: int
    get: int
    list: int


class Counter:
    """What was asked."""

    def __init__(self) -> None:
        self.asked = {"PUT": 0, "GET": 0, "LIST": 0}

    @property
    def requests(self) -> Requests:
        return Requests(self.asked["PUT"], self.asked["GET"], self.asked["LIST"])

    def watch(self, bucket: MemoryBucket) -> None:
        """From now on every store that is opened there counts."""
        opened = bucket.open
        bucket.open = lambda *who, **more: Counting(opened(*who, **more), self)  # type: ignore[assignment, method-assign] # what the operations ask for, it has


class Counting(Around):
    """A store that counts."""

    def __init__(self, store: ObjectStore, counter: Counter) -> None:
        super().__init__(store)
        self._asked = counter.asked

    def before(self, call: str) -> None:
        if call in _KINDS:
            self._asked[_KINDS[call]] += 1

    def list(self, folder: str) -> Iterator[StoredObject]:
        found = tuple(self._store.list(folder))
        self._asked["LIST"] += max(1, ceil(len(found) / _PAGE))
        return iter(found)

    def entries(self, folder: str) -> Folder:
        found = self._store.entries(folder)
        self._asked["LIST"] += max(1, ceil((len(found.folders) + len(found.objects)) / _PAGE))
        return found

    def delete(self, keys: Iterable[str]) -> None:
        self._store.delete(keys)


def backup(base: Path, mode: Mode, *, again: bool, flushed: bool = False) -> tuple[Requests, int]:
    """Of one node's backup, and how many files it sent. ``again``: not its first; ``flushed``: there is something new."""
    world = new_world(base)
    if again:
        world.back_up("before", mode)
        world.clock.advance(3600.0)
    if flushed:
        world.node.flush()
    before = set(world.listing())
    counter = Counter()
    elsewhere(world, store=Counting(world.store, counter)).back_up("now", mode)
    new = [parse_in(world.layout, key) for key in set(world.listing()) - before]
    return counter.requests, sum(isinstance(key, DataKey) for key in new)


def indexed(what: Literal["started", "finished"]) -> Requests:
    """Of one announcement of a node, in a cluster that has a backup, and is listed."""
    fleet = _fleet()
    maker, made = Maker(fleet.store, fleet.layout), Made(ring=dict.fromkeys(fleet.nodes, "dc1"))
    maker.begin("new", made)
    if what == "finished":
        _deliver(fleet, "started")
        maker.finish("new", made)
    counter = _counter(fleet)
    _deliver(fleet, what)
    return counter.requests


def reconciled(nodes: int, backups: int) -> Requests:
    """Of one comparison that finds nothing new."""
    fleet = _fleet(backups, nodes)
    counter = _counter(fleet)
    indexer = fleet.bucket.open(Principal.INDEXER, fleet.layout)
    reconcile(indexer, fleet.layout, now=fleet.time + 60.0, revision=fleet.revision, trust=TRUST)
    return counter.requests


def reported() -> Requests:
    """Of one report about one cluster."""
    fleet = _fleet()
    counter = _counter(fleet)
    measure(fleet.bucket.open(Principal.REPORT, fleet.layout), fleet.layout, now=fleet.time)
    return counter.requests


def verify_tick() -> Requests:
    """Of a timer that finds nothing due."""
    return _verified(due=False)


def verified(backups: int) -> Requests:
    """Of a whole round about so many new backups: its plan, and its three nodes."""
    return _verified(due=True, backups=backups)


def purged(nodes: int, backups: int) -> Requests:
    """Of a whole purge, its plan and all nodes: the oldest of these backups and of one more goes."""
    fleet = _fleet(backups + 1, nodes)
    site = Site(fleet)
    counter = _counter(fleet)
    site.plan(Policy(max_count=backups))
    for work in site.take():
        site.work(work)
    return counter.requests


def _verified(*, due: bool, backups: int = 1) -> Requests:
    team = Team()
    for number in range(backups):
        team.ring.back_up(f"b{number}", "full")
    team.index()
    if not due:
        team.plan()
        team.work_all()
    counter = Counter()
    counter.watch(team.ring.bucket)
    team.plan()
    team.work_all()
    return counter.requests


def _fleet(backups: int = 1, nodes: int = 3) -> Fleet:
    fleet = Fleet(nodes=tuple(f"n{number}" for number in range(1, nodes + 1)))
    fleet.daily(range(1, backups + 1))
    fleet.index()
    return fleet


def _counter(fleet: Fleet) -> Counter:
    counter = Counter()
    counter.watch(fleet.bucket)
    return counter


def _deliver(fleet: Fleet, what: Literal["started", "finished"]) -> None:
    key = fleet.layout.announced("n1", "new", what)
    indexer = fleet.bucket.open(Principal.INDEXER, fleet.layout)
    messages = {"m": Notified((ObjectEvent("created", key),))}
    deliver(indexer, messages, now=fleet.time, revision=fleet.revision)
