"""A simulation that cannot fail proves nothing: each rule broken loses something, and is caught."""

from __future__ import annotations

import pytest

from tests.simulation.bucket import Violation
from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.play import play

HISTORIES = 3000


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_broken_rule_is_caught(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant(monkeypatch)
    with pytest.raises(Violation):
        _many()


def _many() -> None:
    for number in range(HISTORIES):
        play(f"sim {number}", settle=False)
