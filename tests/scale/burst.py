"""A thousand nodes finish their backups within one minute: what the indexer makes of it, on each cloud.

The operations are the real ones (``deliver`` for messages, ``reconcile`` for the timer), with the rights of the indexer. The
nodes stand in four datacenters, with 16 tokens each; all have begun, and the catalog knows that; then each writes its
manifest and announces it, at a moment of its own within the minute. The timer comes a quarter of an hour after the first.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from itertools import count
from random import Random
from typing import Any, Literal

from backupstore.core import layout as grammar
from backupstore.core import tokenmap
from backupstore.core.documents import Announcement, encode
from backupstore.core.events import ObjectEvent
from backupstore.core.keys import DataKey
from backupstore.core.layout import Layout
from backupstore.core.notifications import Notified
from backupstore.core.tokenmap import RingMember
from backupstore.errors import BackupError
from backupstore.operations.deliver import deliver
from backupstore.operations.reading import read_head
from backupstore.operations.reconcile import TRUST, reconcile
from backupstore.stores.deadline import DeadlineStore
from backupstore.stores.memory import MemoryBucket, MemoryStore
from tests.attempts import attempt_of
from tests.scale.clouds import Cloud, Seen, TimedStore
from tests.scale.deliveries import Push, Sqs, Tally
from tests.scale.virtual import BEGINNING, VirtualTime

MINUTE = 60.0
TIMER = 900.0
LAYOUT = Layout("p")
NAME = "b"
_DATACENTERS, _TOKENS, _FILES = 4, 16, 20
_CALL = 300.0 * 0.8
_POOL = 8
_DAY = 86_400.0

AMAZON = Cloud("Amazon", processor=256 / 1769)
GOOGLE = Cloud("Google", processor=1.0, writes_apart=1.0)


@dataclass(frozen=True, slots=True)
class Result:
    """``complete``: seconds from the last announcement until the head says complete, None where it never did.

    ``fastest``: the most writes of one document within any ten seconds.
    """

    cloud: str
    nodes: int
    tally: Tally
    seen: Seen
    last: float
    complete: float | None
    documents: int
    heads: int
    fastest: int
    ended: float


class Burst:
    """One run. ``timer``: whether there is one; ``shape``: fields of the queue that are not as usual."""

    def __init__(  # any field of Sqs or Push
        self,
        cloud: Cloud,
        nodes: int,
        *,
        seed: str = "burst",
        timer: bool = True,
        **shape: Any,  # noqa: ANN401
    ) -> None:
        self.time = VirtualTime()
        self.cloud, self.seed = cloud, seed
        self.nodes = [f"n{number:04}" for number in range(nodes)]
        self.bucket = MemoryBucket(self.time.now)
        self.owner = self.bucket.open(None, LAYOUT)
        self.store = TimedStore(self.bucket, LAYOUT, self.time, cloud, seed)
        self.queue: Sqs | Push = (
            Push(self.time, self._work, **shape) if cloud.writes_apart else Sqs(self.time, self._work, **shape)
        )
        if isinstance(self.queue, Push):
            self.store.share = self.queue.share
        self._revisions = count()
        self._has_timer = timer
        self._last = 0.0
        self.complete: float | None = None

    def run(self) -> Result:
        """To its end, or for a day."""
        self._begin()
        random = Random(self.seed)
        for node in self.nodes:
            moment = random.uniform(0.0, MINUTE)
            self._last = max(self._last, moment)
            self.time.at(BEGINNING + moment, partial(self._finish, node))
        if self._has_timer:
            self.time.at(BEGINNING + TIMER, lambda: self.time.start(self._reconcile))
        self.time.run(until=BEGINNING + _DAY)
        return self._result()

    def _begin(self) -> None:
        rings = self._rings()
        for node in self.nodes:
            create = partial(_create, self.owner, node)
            create(grammar.SCHEMA, b"CREATE KEYSPACE shop;")
            create("attempt-1.json", encode(attempt_of(node, NAME)))
            create(grammar.TOKENMAP, rings[self._datacenter(node)])
            create(grammar.SERVER_VERSION, b'{"server_type": "cassandra", "release_version": "5.0.6"}')
            create(grammar.DIFFERENTIAL, b"differential")
            self._announce(node, "started")
        reconcile(self.owner, LAYOUT, now=self.time.now(), revision=self._revision)

    def _rings(self) -> dict[str, bytes]:
        members: dict[str, dict[str, RingMember]] = {}
        for number, node in enumerate(self.nodes):
            dc = self._datacenter(node)
            tokens = tuple(number * 10**15 + token for token in range(_TOKENS))
            members.setdefault(dc, {})[node] = RingMember(tokens=tokens, rack="r1", dc=dc, is_up=True)
        return {dc: tokenmap.encode(each) for dc, each in members.items()}

    def _datacenter(self, node: str) -> str:
        return f"dc{int(node[1:]) % _DATACENTERS}"

    def _finish(self, node: str) -> None:
        _create(self.owner, node, grammar.MANIFEST, _manifest(node))
        self.queue.send(self._announce(node, "finished"))

    def _announce(self, node: str, what: Literal["started", "finished"]) -> str:
        key = LAYOUT.announced(node, NAME, what)
        self.owner.create(key, encode(Announcement(attempt=1, at=1.0)))
        return key

    def _work(self, keys: dict[str, str]) -> set[str]:
        """One call of the function, as its host makes it."""
        store = DeadlineStore(self.store, self.time, self.time.running() + _CALL)
        messages = {name: Notified((ObjectEvent("created", key),)) for name, key in keys.items()}
        delivery = deliver(store, messages, now=self.time.now(), revision=self._revision)
        self._look()
        return set(delivery.failures)

    def _reconcile(self) -> None:
        store = DeadlineStore(self.store, self.time, self.time.running() + _CALL)
        try:
            reconcile(
                store,
                LAYOUT,
                now=self.time.now(),
                revision=self._revision,
                trust=TRUST,
                each=self.time.each(_POOL),
            )
        except BackupError:
            self.time.at(self.time.now() + TIMER, lambda: self.time.start(self._reconcile))
        self._look()

    def _look(self) -> None:
        """When was it complete? Asked after each call, at no cost."""
        if self.complete is None and self.is_complete():
            self.complete = max(self.store.seen.written[LAYOUT.head()])

    def is_complete(self) -> bool:
        """What the list of backups says."""
        head = read_head(self.owner, LAYOUT)
        return head is not None and [line.state for line in head.backups] == ["complete"]

    def _revision(self) -> str:
        return f"r{next(self._revisions)}"

    def _result(self) -> Result:
        written = self.store.seen.written
        heads = written.get(LAYOUT.head(), [])
        documents = [moment for key, moments in written.items() if key != LAYOUT.head() for moment in moments]
        return Result(
            cloud=self.cloud.name,
            nodes=len(self.nodes),
            tally=self.queue.tally,
            seen=self.store.seen,
            last=self._last,
            complete=None if self.complete is None else self.complete - self._last,
            documents=len(documents),
            heads=len(heads),
            fastest=max((_most_within(sorted(moments), 10.0) for moments in written.values()), default=0),
            ended=self.time.running(),
        )


def _create(store: MemoryStore, node: str, file: str, body: bytes) -> None:
    store.create(LAYOUT.meta(node, NAME, file), body)


def _manifest(node: str) -> bytes:
    table = f"orders-{'5a1c' * 8}"
    objects = []
    for number in range(_FILES):
        key = LAYOUT.data(DataKey(node, "shop", table, f"nb-{number}-big-Data.db", None, None, None))
        objects.append({"path": key, "MD5": None, "size": 100, "sha256": sha256(key.encode()).hexdigest()})
    return json.dumps([{"keyspace": "shop", "columnfamily": table, "objects": objects}]).encode()


def _most_within(moments: list[float], seconds: float) -> int:
    best = start = 0
    for end, moment in enumerate(moments):
        while moments[start] <= moment - seconds:
            start += 1
        best = max(best, end - start + 1)
    return best
