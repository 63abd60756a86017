"""Many histories, and what must have happened in them: what cannot happen cannot go wrong."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.simulation.bucket import Violation
from tests.simulation.play import STEPS, play

REPLAY = "python -m tests.simulation --seed"
TESTED = 10_000
"""So many histories are in the tests."""
HALF, BLOCK = TESTED // 2, 1000
SITUATIONS = frozenset(
    {
        "a smaller ring was seen",
        "an event came twice",
        "an object was lost",
        "another host took over",
        "another purge was heard",
        "backed up",
        "braked",
        "delete-backup",
        "events were lost",
        "found bad",
        "found good",
        "indexed",
        "indexer crashed",
        "purge crashed",
        "purge waits",
        "purged",
        "purged by plan",
        "reconciled",
        "restore held",
        "restore refused",
        "settled",
        "shipper crashed",
        "shipper refused",
        "somebody slept for days",
        "stock backed up",
        "stock deleted",
        "stock listed",
        "verifier crashed",
        "work came too late",
        "work was sent",
        "worked",
        "worker crashed",
    }
)
"""All that is worth happening."""


@dataclass
class Told:
    """What some histories came to."""

    histories: int = 0
    steps: int = 0
    happened: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def add(self, other: Told) -> None:
        """And these as well."""
        self.histories += other.histories
        self.steps += other.steps
        self.happened += other.happened
        self.violations += other.violations


def live(first: int, number: int) -> Told:
    """Histories "sim FIRST" and on."""
    told = Told()
    for seed in (f"sim {position}" for position in range(first, first + number)):
        told.histories += 1
        try:
            history = play(seed)
        except Violation as error:
            told.violations.append(f'{error}\n  again: {REPLAY} "{seed}"')
            continue
        if history.steps < STEPS:
            told.violations.append(f"{seed} has {history.steps} steps only")
        told.steps += history.steps
        told.happened.update(history.happened)
    return told
