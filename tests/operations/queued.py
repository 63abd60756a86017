"""A fleet whose purge is planned by one and worked off by many, one message after the other."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from backupstore.core.purge_records import PurgeRecord, PurgeRules
from backupstore.core.retention import Policy
from backupstore.core.work import PurgeWork, read_work
from backupstore.core.writers import Principal
from backupstore.errors import Retryable
from backupstore.operations.doomed import read_record
from backupstore.operations.opening import Opening
from backupstore.operations.purging import Worker
from backupstore.operations.queued_purge import Sent, Worked, plan_and_send, work_off
from backupstore.ports import ObjectStore
from tests.operations.fleet import DAY, Fleet

TWO = Policy(max_count=2)
RULES = PurgeRules(grace=14 * DAY, orphan_grace=10 * DAY)


@dataclass
class Listing:
    """``ports.WorkQueue`` that shows what it was sent."""

    texts: list[str] = field(default_factory=list)
    fails_after: int | None = None

    def send(self, texts: Sequence[str]) -> None:
        for text in texts:
            if self.fails_after is not None and len(self.texts) >= self.fails_after:
                raise Retryable("the queue does not answer")
            self.texts.append(text)


@dataclass
class Site:
    """A fleet with a queue."""

    fleet: Fleet
    queue: Listing = field(default_factory=Listing)
    runs: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def plan(self, policy: Policy = TWO, most: float = 1.0) -> Sent:
        opening = Opening(name=f"run{next(self.runs)}", rules=RULES, revision=self.fleet.revision)
        return plan_and_send(self.fleet.place, policy, most, opening, self.queue)

    def take(self) -> list[PurgeWork]:
        """All messages that there are."""
        texts, self.queue.texts = self.queue.texts, []
        return [work for work in map(read_work, texts) if isinstance(work, PurgeWork)]

    def work(self, work: PurgeWork, through: Callable[[ObjectStore], ObjectStore] = lambda store: store) -> Worked:
        at = self.fleet.place
        worker = Worker(replace(at, store=through(at.store)), self.fleet.revision, late=at)
        return work_off(worker, work, indexer=self.fleet.bucket.open(Principal.INDEXER, self.fleet.layout))

    def record(self, run: str = "run1") -> PurgeRecord:
        found = read_record(self.fleet.store, self.fleet.layout, run)
        assert found
        return found

    def answers(self) -> list[str]:
        return self.fleet.keys(self.fleet.layout.all_purge_answers())


def queued_site() -> Site:
    """Four complete backups, of which ``TWO`` keeps two."""
    fleet = Fleet()
    fleet.daily([0, 1, 20, 30])
    fleet.index()
    return Site(fleet)
