"""A verification shared by many workers: a queue in memory, and a ring of nodes with a catalog."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from backupstore.core.documents import Findings, Level
from backupstore.core.due import Rhythm
from backupstore.core.layout import Layout
from backupstore.core.verify_records import VerifyRound
from backupstore.core.work import VerifyWork, read_work
from backupstore.core.writers import Principal
from backupstore.operations.findings import read_findings
from backupstore.operations.reading import read_head
from backupstore.operations.reconcile import reconcile
from backupstore.operations.round_merge import Desk
from backupstore.operations.round_work import Done, do_work
from backupstore.operations.rounds import Begun, Planner
from backupstore.operations.verify import verify
from backupstore.operations.verify_node import Wanted
from backupstore.ports import ObjectStore
from tests.operations.ring import Ring

DAY = 86_400.0
NOW = 20_000 * DAY


class ListQueue:
    """``ports.WorkQueue``: a list."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def send(self, texts: Sequence[str]) -> None:
        self.texts += texts


@dataclass
class Team:
    """The bucket's clock is that of the workers. ``weather`` goes around every store that a worker gets."""

    ring: Ring = field(default_factory=Ring)
    now: float = NOW
    share: float = 0.0
    queue: ListQueue = field(default_factory=ListQueue)
    weather: Callable[[ObjectStore], ObjectStore] = lambda store: store
    _revisions: Any = field(default_factory=count)

    def __post_init__(self) -> None:
        self.ring.bucket._clock = lambda: self.now

    @property
    def layout(self) -> Layout:
        return self.ring.layout

    def revision(self) -> str:
        return f"{next(self._revisions):08}"

    def open(self, principal: Principal) -> ObjectStore:
        return self.weather(self.ring.bucket.open(principal, self.layout))

    def index(self) -> None:
        indexer = self.ring.bucket.open(Principal.INDEXER, self.layout)
        reconcile(indexer, self.layout, now=self.now, revision=self.revision)

    def plan(self) -> Begun:
        store = self.open(Principal.VERIFY)
        planner = Planner(store, lambda: self.queue, Rhythm(DAY, self.share), self.now, self.revision)
        return planner.begin(self.layout)

    def taken(self) -> list[VerifyWork]:
        """All that is in the queue, which is empty then."""
        texts, self.queue.texts = self.queue.texts, []
        works = [read_work(text) for text in texts]
        return [work for work in works if isinstance(work, VerifyWork)]

    def work(self, work: VerifyWork, **more: Any) -> Done:  # noqa: ANN401 # any field of Desk
        desk = Desk(
            self.open(Principal.VERIFY),
            self.open(Principal.INDEXER),
            self.layout,
            self.now,
            self.revision,
            part_size=50 << 20,
            **more,
        )
        return do_work(desk, work)

    def work_all(self, **more: Any) -> list[Done]:  # noqa: ANN401 # any field of Desk
        """All that is to be done, and what comes of it; no message is lost."""
        done = []
        while self.queue.texts:
            for work in self.taken():
                one = self.work(work, **more)
                self.queue.send([text.model_dump_json() for text in one.rest])
                done.append(one)
        return done

    # --- what there is ---

    def found(self, level: Level, backup: str = "b") -> Findings | None:
        return read_findings(self.ring.store, self.layout, backup, level)

    def alone(self, plan: VerifyRound, backup: str = "b", store: ObjectStore | None = None) -> Findings:
        """What one process finds that looks at the same."""
        wanted = Wanted(plan.level, plan.checksums, plan.part_of_data)
        (verified,) = verify(store or self.ring.store, self.layout, [backup], wanted)
        return verified.findings(now=plan.created, revision="")

    def left(self) -> list[str]:
        """What lies of rounds."""
        return [stored.key for stored in self.ring.store.list(self.layout.all_rounds())]

    def levels(self, backup: str = "b") -> dict[str, bool]:
        """What the head says of its verifications."""
        head = read_head(self.ring.store, self.layout)
        assert head
        (line,) = (line for line in head.backups if line.name == backup)
        return {each.level: each.ok for each in line.levels}


def plain(findings: Findings | None) -> dict[str, Any]:
    """Without what differs from one writing to the next; the order of findings of one kind is nobody's promise."""
    assert findings is not None
    told = findings.model_dump(exclude={"revision"})
    told["findings"] = sorted((each["kind"], each["node"], each["path"], each["why"]) for each in told["findings"])
    return told
