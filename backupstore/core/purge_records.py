"""What a purge writes about itself: ``index/purges/<run>.json``, its workers' answers, and the rings that were accepted."""

from __future__ import annotations

from datetime import datetime, timezone

from pydantic import Field

from backupstore.core.documents import Own, Value


class PlannedVerdict(Value):
    """What was decided about one cluster backup, and why."""

    name: str
    delete: bool
    reason: str


class PlannedWork(Value):
    """What is to be deleted of one node; without backups, its orphans are looked for all the same."""

    node: str
    backups: tuple[str, ...] = ()


def run_of(name: str) -> str:
    """The purge that wrote the condemned document of this name: ``<run>-<random>``, ``.json`` or not."""
    return name.removesuffix(".json").rpartition("-")[0]


class PurgeRules(Value):
    """By what a node's work is done. ``grace`` is incomplete_grace, in seconds.

    ``orphan_grace``: the age in seconds from which an object that no manifest names is swept. ``stock_is_idle``: an operator
    said that stock runs nowhere. ``cached_mount``: who deletes may see late what others write.
    """

    grace: float
    orphan_grace: float
    stock_is_idle: bool = False
    cached_mount: bool = False


class NodeResult(Value):
    """What became of it. ``done`` is false when a later purge has to go on; ``error``: what went wrong."""

    node: str
    objects: int = 0
    bytes: int = 0
    done: bool
    notes: tuple[str, ...] = ()
    error: str | None = None

    @property
    def is_blocked(self) -> bool:
        """Whether nothing could be deleted although nothing went wrong: something is under way, or cannot be read."""
        return not self.done and self.error is None


class NodeAnswer(Own):
    """``index/purged/<run>/F.json``: what workers have done of one node's work so far; ``ended``: that is all of it."""

    revision: str
    run: str
    ended: bool
    result: NodeResult


class PurgeRecord(Own):
    """``index/purges/<run>.json``: the plan, written before anything is condemned, and the outcome, written at the end.

    ``braked``: it would have deleted too much, and did nothing. ``ending``: nobody begins to delete for it any more.
    ``documents``: the condemned documents that count as its own, ``F/<name>``; None while it is open.
    """

    revision: str
    run: str
    created: float
    forced: bool = False
    braked: bool = False
    scheduled: bool = False
    verdicts: tuple[PlannedVerdict, ...] = ()
    work: tuple[PlannedWork, ...] = ()
    rules: PurgeRules | None = None
    ending: bool = False
    finished: float | None = None
    results: tuple[NodeResult, ...] = ()
    documents: tuple[str, ...] | None = None

    @property
    def deletes(self) -> frozenset[str]:
        """The cluster backups that it decided to delete."""
        return frozenset(verdict.name for verdict in self.verdicts if verdict.delete)

    @property
    def by_node(self) -> dict[str, tuple[str, ...]]:
        """What is to be deleted of each node."""
        return {work.node: work.backups for work in self.work}

    @property
    def pending(self) -> frozenset[str]:
        """The nodes for which there is still something to do."""
        done = {result.node for result in self.results if result.done}
        return frozenset(work.node for work in self.work if work.node not in done)

    @property
    def blocked(self) -> frozenset[str]:
        """The nodes of which nothing could be deleted, although nothing went wrong."""
        return frozenset(result.node for result in self.results if result.is_blocked)

    @property
    def is_open(self) -> bool:
        """Whether workers may still delete for it."""
        return self.finished is None and not self.ending

    @property
    def is_done(self) -> bool:
        """Whether it has come to its end, and left nothing for a later one."""
        return self.finished is not None and not self.braked and not self.pending


class AcceptedRing(Own):
    """``index/accepted_rings/N.json``: from backup N on, these are all nodes, although there were more before."""

    backup: str
    started: float
    hosts: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    by: str
    created: float


def run_name(now: float, random: str) -> str:
    """What a purge that begins now is called: names sort by time, and no two are alike."""
    return f"{datetime.fromtimestamp(now, timezone.utc):%Y%m%dT%H%M%SZ}-{random[:8]}"
