"""What tests of cluster jobs tell stories with: a bucket, an operator, coordinators, and nodes that obey and answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from backupstore.core.documents import Hold, decode, encode
from backupstore.core.job_documents import Assignment, Job, Request, Wish, WishKind
from backupstore.core.job_ids import job_id
from backupstore.core.layout import Layout
from backupstore.core.writers import Principal
from backupstore.operations.coordinate import Coordinated, Coordinator
from backupstore.ports import ObjectStore, Signer
from backupstore.signing import public_keys_of, signer_of
from backupstore.stores.memory import MemoryBucket
from tests.clocks import SettableClock
from tests.played_nodes import PlayedNode

LAYOUT = Layout("pfx")
KEY = "k1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
PUBLIC = "k1 A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
KEYS = public_keys_of(PUBLIC, "keys")


@dataclass
class World:
    """A bucket with one cluster; each principal may do what it may."""

    bucket: MemoryBucket
    clock: SettableClock
    layout: Layout = LAYOUT
    signer: Signer = field(default_factory=lambda: signer_of(KEY, "key"))
    agents: dict[str, PlayedNode] = field(default_factory=dict)
    _numbers: count[int] = field(default_factory=lambda: count(1))

    @property
    def owner(self) -> ObjectStore:
        return self.bucket.open(None)

    @property
    def operator(self) -> ObjectStore:
        return self.bucket.open(Principal.OPERATOR, self.layout)

    def coordinator(self, around: Callable[[ObjectStore], ObjectStore] = lambda store: store) -> Coordinator:
        """A new process."""
        store = around(self.bucket.open(Principal.COORDINATOR, self.layout))
        return Coordinator(store, self.layout, self.signer, lambda: f"r{next(self._numbers)}")

    def ask(self, kind: str = "restore", nodes: int = 3, seeds: int = 1, **others: Any) -> str:  # noqa: ANN401 # any field
        """An operator asks for a job; its id."""
        now = self.clock.now()
        job = job_id(kind, now, f"{next(self._numbers):08x}")
        names = [f"n{number}" for number in range(1, nodes + 1)]
        assignments = tuple(
            Assignment(target=node, sources=(node,) if kind == "restore" else (), seed=at < seeds)
            for at, node in enumerate(names)
        )
        usual = {"job": job, "kind": kind, "backup": "b", "by": "me", "created": now, "assignments": assignments}
        request = Request.model_validate({**usual, **others})
        self.operator.create(self.layout.job_request(job), encode(request))
        for node in names:
            store = self.bucket.open(Principal.SHIPPER, self.layout, node)
            self.agents.setdefault(node, PlayedNode(store, self.layout, node, KEYS))
        return job

    def wish(self, job: str, wish: WishKind, *without: str) -> str:
        name = f"{wish}-{next(self._numbers)}"
        document = Wish(job=job, id=name, wish=wish, by="me", created=self.clock.now(), without=without)
        self.operator.create(self.layout.job_wish(job, name), encode(document))
        return name

    def call(self) -> tuple[Coordinated, ...]:
        """One call of a new coordinator."""
        return self.coordinator().coordinate(self.clock.now())

    def run(self, most: int = 100) -> None:
        """Until nothing happens any more."""
        for _ in range(most):
            before = self.contents()
            self.call()
            for agent in self.agents.values():
                agent.look(self.clock.now())
            if self.contents() == before:
                return
        raise AssertionError("it never comes to rest")

    def run_until(self, job: str, phase: str) -> None:
        """Until the job stands in that phase, and its commands are written."""
        for _ in range(100):
            self.call()
            if self.job(job).phase == phase:
                return
            for agent in self.agents.values():
                agent.look(self.clock.now())
        raise AssertionError(f"it stays in {self.job(job).phase}")

    # --- what there is ---
    def job(self, job: str) -> Job:
        key = self.layout.job(job)
        return decode(Job, self.owner.read(key).body, key)

    def has_job(self, job: str) -> bool:
        return self.bucket.find(self.layout.job(job)) is not None

    def holds(self) -> list[Hold]:
        listed = self.owner.list(self.layout.all_holds())
        return [decode(Hold, self.owner.read(stored.key).body, stored.key) for stored in listed]

    def contents(self) -> dict[str, bytes]:
        return {stored.key: self.owner.read(stored.key).body for stored in self.owner.list("")}

    def verbs(self, node: str) -> list[str]:
        return self.agents[node].obeyed


def world() -> World:
    """Nothing yet."""
    clock = SettableClock()
    return World(MemoryBucket(clock.now), clock)


FORWARDS = ["prepare", "stop", "place", "start", "check", "commit"]
