"""A cluster of nodes that back up at given times, and a purge with no more rights than its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from backupstore.core import layout as grammar
from backupstore.core.documents import Condemned, Hold, encode
from backupstore.core.layout import Layout
from backupstore.core.purge_records import AcceptedRing
from backupstore.core.retention import Policy, Verdict
from backupstore.core.writers import Principal
from backupstore.operations.holds import Held, place_hold
from backupstore.operations.plan import Place, Plan
from backupstore.operations.planning import make_plan
from backupstore.operations.purging import Outcome, Run, carry_out
from backupstore.operations.reconcile import reconcile
from backupstore.stores.memory import MemoryBucket, MemoryStore
from tests.shipper.cli.handmade import Made, Maker

DAY = 86_400.0
NOW = 1000 * DAY
NODES = ("n1", "n2", "n3")


@dataclass
class Fleet:
    """One cluster. Days count back from now: a backup of day 3 began three days ago."""

    nodes: tuple[str, ...] = NODES
    layout: Layout = field(default_factory=lambda: Layout("p"))
    time: float = NOW
    _revisions: Any = field(default_factory=count)

    def __post_init__(self) -> None:
        self.bucket = MemoryBucket(clock=lambda: self.time)

    @property
    def store(self) -> MemoryStore:
        """As the bucket's owner."""
        return self.bucket.open(None)

    def revision(self) -> str:
        return f"r{next(self._revisions)}"

    # --- what others do ---

    def ship(self, name: str, days: float, *, made: Made | None = None, nodes: Iterable[str] | None = None) -> None:
        """A backup of these nodes (all); the ring is all nodes unless it is given."""
        self.time = NOW - days * DAY
        given = made or Made(ring=dict.fromkeys(self.nodes, "dc1"))
        for node in nodes or self.nodes:
            Maker(self.store, self.layout).ship(name, replace(given, node=node))
        self.time = NOW

    def daily(self, days: Iterable[int]) -> None:
        """Complete backups d<days>, each with a file that it shares and one of its own."""
        for day in sorted(days, reverse=True):
            self.ship(f"d{day}", day, made=Made(ring=dict.fromkeys(self.nodes, "dc1"), files=shared_and_own(f"d{day}")))

    def hold(self, name: str, expires: float | None = None) -> Held:
        hold = Hold(backup=name, id="h1", by="anna", why="audit", created=NOW, expires=expires)
        return place_hold(self.bucket.open(Principal.OPERATOR, self.layout), self.layout, hold)

    def condemn(self, node: str, *names: str, run: str = "other") -> None:
        document = Condemned(revision="x", run=run, node=node, created=NOW, backups=names)
        self.store.create(self.layout.condemned_document(node, f"{run}-x"), encode(document))

    def index(self) -> None:
        indexer = self.bucket.open(Principal.INDEXER, self.layout)
        reconcile(indexer, self.layout, now=self.time, revision=self.revision)

    # --- purge ---

    @property
    def place(self) -> Place:
        return Place(self.bucket.open(Principal.PURGE, self.layout), self.layout, self.time)

    def plan(self, policy: Policy, *, accepted: tuple[AcceptedRing, ...] = ()) -> Plan:
        return make_plan(self.place, policy, also_accepted=accepted)

    def verdicts(self, policy: Policy) -> Mapping[str, Verdict]:
        return {verdict.name: verdict for verdict in self.plan(policy).verdicts}

    def run(self, name: str, **more: Any) -> Run:  # noqa: ANN401 # any field of Run
        return Run(name=name, grace=14 * DAY, orphan_grace=10 * DAY, revision=self.revision, **more)

    def carry_out(self, plan: Plan, name: str = "run1", **more: Any) -> Outcome:  # noqa: ANN401 # any field of Run
        indexer = self.bucket.open(Principal.INDEXER, self.layout)
        return carry_out(self.place, plan, self.run(name, **more), indexer=indexer)

    def purge(self, policy: Policy, name: str = "run1", **more: Any) -> Outcome:  # noqa: ANN401 # any field of Run
        return self.carry_out(self.plan(policy), name, **more)

    # --- what there is ---

    def everything(self) -> list[str]:
        return self.keys("")

    def keys(self, folder: str) -> list[str]:
        return [stored.key for stored in self.store.list(folder)]

    def backups(self, node: str = "n1") -> list[str]:
        """The backups of a node that have a schema.cql."""
        folders = (child for child in self.store.entries(self.layout.node(node)).folders)
        names = (folder[len(self.layout.node(node)) : -1] for folder in folders)
        return [name for name in names if self.layout.meta(node, name, grammar.SCHEMA) in self.everything()]


def shared_and_own(name: str) -> dict[str, bytes]:
    """Two files: one that all backups have, one with the name of this backup in it."""
    return {"nb-1-big-Data.db": b"shared", f"nb-{name.removeprefix('d')}9-big-Data.db": name.encode()}
