"""Who decided what may go: the records of purges, read as they are written, and what each purge still relies on.

A purge that deletes complete backups counts others as kept. It may count what is good in the bucket while it plans, and
nothing that a purge which was on record before it deletes as well. So of what it counts, as many as its policy never lets
go must outlive these.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from math import inf


@dataclass
class Decided:
    """One purge.

    ``seen``: the cluster backups that were good at some moment while it planned, None where an operator chose; ``took``:
    good ones that went because of it.
    """

    order: float = inf
    is_open: bool = True
    deletes: frozenset[str] = frozenset()
    spares: int = 0
    seen: set[str] | None = None
    took: set[str] = field(default_factory=set)


class Decisions:
    """Of all purges of a history. ``allowed``: what may go by somebody else's decision.

    ``asked``: what an operator named. Such a purge may go on with another one's record, if that decided the same.
    """

    def __init__(self) -> None:
        self.runs: dict[str, Decided] = {}
        self.allowed: set[str] = set()
        self.asked: set[str] = set()
        self._planning: dict[str, set[str]] = {}
        self._records = 0
        self._condemned: dict[str, set[str]] = {}
        self._destroyed: dict[str, float] = {}

    def is_planned(self, backup: str) -> bool:
        """Whether somebody decided that it goes."""
        return backup in self.allowed or any(backup in run.deletes for run in self.runs.values())

    def became_good(self, backup: str) -> None:
        """Whoever plans now may count it."""
        for seen in self._planning.values():
            seen.add(backup)

    def begin(self, run: str, good: set[str], spares: int) -> None:
        """A purge plans from now on until its record is there; so many of what it counts never go."""
        seen = set(good)
        self._planning[run] = seen
        self.runs[run] = Decided(seen=seen, spares=spares)

    def end(self, run: str) -> None:
        """It looks at nothing more."""
        self._planning.pop(run, None)

    def recorded(self, body: bytes) -> None:
        """A purge's record was written."""
        record = json.loads(body)
        self.end(record["run"])
        run = self.runs.setdefault(record["run"], Decided())
        self._records += 1
        run.order = min(run.order, self._records)
        decided = frozenset(verdict["name"] for verdict in record["verdicts"] if verdict["delete"])
        run.deletes = frozenset() if record["braked"] else decided
        run.is_open = record["finished"] is None and not record["ending"]

    def condemned(self, body: bytes) -> None:
        """A condemned document was written; of a purge that is over it counts for nothing."""
        document = json.loads(body)
        run = self.runs.get(document["run"])
        for backup in document["backups"] if run and run.is_open else ():
            self._condemned.setdefault(backup, set()).add(document["run"])

    def destroyed(self, backup: str) -> str:
        """A good cluster backup is one no longer, by a purge. What is wrong with that; empty when nothing is."""
        names = [name for name in self._condemned.get(backup, ()) if backup in self.runs[name].deletes]
        if not names:
            return f"{backup} went, and no purge that decided so had condemned it"
        first = min((self.runs[name] for name in names), key=lambda run: run.order)
        if backup not in self.asked:
            first.took.add(backup)
        self._destroyed[backup] = first.order
        return next(filter(None, map(self._complaint, self.runs.values())), "")

    def _complaint(self, run: Decided) -> str:
        if run.seen is None or not run.took:
            return ""
        left = run.seen - run.deletes - {name for name, order in self._destroyed.items() if order < run.order}
        if len(left) >= run.spares:
            return ""
        return f"{sorted(run.took)} went, and of {sorted(run.seen)} only {sorted(left)} were left to rely on"
