"""What a purge writes about itself: ``index/purges/<run>.json``, and the rings that an operator accepted."""

from __future__ import annotations

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


class NodeResult(Value):
    """What became of it. ``done`` is false when a later purge has to go on; ``error``: what went wrong."""

    node: str
    objects: int = 0
    bytes: int = 0
    done: bool
    notes: tuple[str, ...] = ()
    error: str | None = None


class PurgeRecord(Own):
    """``index/purges/<run>.json``: the plan, written before anything is condemned, and the outcome, written at the end.

    ``braked``: it would have deleted too much, and did nothing.
    """

    revision: str
    run: str
    created: float
    forced: bool = False
    braked: bool = False
    verdicts: tuple[PlannedVerdict, ...] = ()
    work: tuple[PlannedWork, ...] = ()
    finished: float | None = None
    results: tuple[NodeResult, ...] = ()

    @property
    def deletes(self) -> frozenset[str]:
        """The cluster backups that it decided to delete."""
        return frozenset(verdict.name for verdict in self.verdicts if verdict.delete)

    @property
    def pending(self) -> frozenset[str]:
        """The nodes for which there is still something to do."""
        done = {result.node for result in self.results if result.done}
        return frozenset(work.node for work in self.work if work.node not in done)

    @property
    def is_done(self) -> bool:
        """Whether it has come to its end, and left nothing for a later one."""
        return self.finished is not None and not self.pending


class AcceptedRing(Own):
    """``index/accepted_rings/N.json``: from backup N on, these are all nodes, although there were more before."""

    backup: str
    started: float
    hosts: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    by: str
    created: float
