"""What a verification that many processes share puts down while it is under way, below ``index/verifying/<round>/``."""

from __future__ import annotations

from pydantic import Field

from backupstore.core.documents import Found, Level, Own
from backupstore.core.verification import Subset, Tally, subset_of


class VerifyRound(Own):
    """``plan.json``: what is looked at, and how closely. ``backups``: for each its nodes, and in how many pieces.

    ``created`` counts as the time of the verification: nothing that it looks at was looked at earlier.
    """

    revision: str
    round: str
    created: float
    level: Level
    subset: str | None = None
    checksums: bool = False
    backups: dict[str, dict[str, int]] = Field(default_factory=dict)

    @property
    def part_of_data(self) -> Subset | None:
        """The part of the data that is read; None for all. ValueError when this is no part."""
        return subset_of(self.subset, now=0.0, every=1.0) if self.subset else None


class VerifyPart(Own):
    """``parts/N/F/<piece>.json``: what was found in a piece of one node backup.

    ``finished`` is false when there was no finished node backup to look at; the rest is as in ``Findings``.
    """

    revision: str
    round: str
    backup: str
    node: str
    piece: str
    finished: bool
    objects: int = 0
    size: int = 0
    read: int = 0
    by_size: int = 0
    counts: dict[str, int] = Field(default_factory=dict)
    findings: tuple[Found, ...] = ()

    @property
    def tally(self) -> Tally:
        """The same as it was counted."""
        tally = Tally.told(self.counts, self.findings)
        tally.objects, tally.size, tally.read, tally.by_size = self.objects, self.size, self.read, self.by_size
        return tally
