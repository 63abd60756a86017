"""A purge's plan as a value: what would go and why, how much of all there is that would be, and what it is for each node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from backupstore.core.documents import ClusterBackup
from backupstore.core.layout import Layout
from backupstore.core.purge_records import PlannedWork
from backupstore.core.retention import Candidate, Policy, Verdict
from backupstore.operations.doomed import Doomed
from backupstore.operations.each import Each
from backupstore.ports import ObjectStore


@dataclass(frozen=True, slots=True)
class Place:
    """A cluster's part of a bucket, and the time."""

    store: ObjectStore
    layout: Layout
    now: float
    each: Each = map


@dataclass(frozen=True, slots=True)
class Share:
    """What goes, of what there is: complete backups and bytes. What is being deleted already is in neither."""

    complete: int
    complete_gone: int
    size: int
    size_gone: int

    @property
    def largest(self) -> float:
        """The larger of the two shares, from 0 to 1."""
        return max(
            self.complete_gone / self.complete if self.complete else 0.0,
            self.size_gone / self.size if self.size else 0.0,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a purge would do. ``candidates`` and ``documents`` by name, as they are in the bucket where it matters.

    ``nodes``: the only ones that have work; None for all. ``asked``: an operator named what goes, no policy did.
    """

    policy: Policy
    now: float
    candidates: Mapping[str, Candidate]
    documents: Mapping[str, ClusterBackup]
    verdicts: tuple[Verdict, ...]
    work: tuple[PlannedWork, ...]
    doomed: Doomed
    nodes: frozenset[str] | None = None
    asked: bool = False

    @property
    def deletes(self) -> frozenset[str]:
        """The cluster backups that go."""
        return frozenset(verdict.name for verdict in self.verdicts if verdict.delete)

    @property
    def newest_gone(self) -> frozenset[str]:
        """Those that go although they are among the newest that count, which only happens when an operator names them."""
        counted = sorted(
            (one for one in self.candidates.values() if one.counts), key=lambda one: (one.started, one.name)
        )
        return self.deletes & {one.name for one in counted[-self.policy.spares :]}

    @property
    def share(self) -> Share:
        """How much goes."""
        there = {name: one for name, one in self.candidates.items() if not one.condemned}
        gone = self.deletes & there.keys()
        complete = {name for name, one in there.items() if one.state == "complete"}
        return Share(
            len(complete),
            len(complete & gone),
            sum(self.size_of(name) for name in there),
            sum(self.size_of(name) for name in gone),
        )

    def size_of(self, name: str) -> int:
        """Bytes that the manifests of one cluster backup name; differential backups share many of them."""
        return sum(fact.size for fact in self.documents[name].nodes.values())
