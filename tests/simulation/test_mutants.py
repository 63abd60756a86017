"""A simulation that cannot fail proves nothing: each rule broken loses something, and is caught."""

from __future__ import annotations

import pytest

from tests.simulation.many import live
from tests.simulation.mutants import CAUGHT, MUTANTS, Mutant, catch, listing_before_the_attempt
from tests.simulation.openings import prepare

HISTORIES = 6000


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_broken_rule_is_caught(mutant: Mutant) -> None:
    """By the seed that caught it before; or, should histories have changed, by any of many."""
    recorded = CAUGHT[mutant.__name__]
    assert catch(mutant, recorded, 1) or catch(mutant, 0, HISTORIES)


def test_each_mutant_has_its_seed() -> None:
    assert CAUGHT.keys() == {mutant.__name__ for mutant in MUTANTS}


def test_a_violation_tells_how_to_see_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    prepare()
    listing_before_the_attempt(monkeypatch)
    number = CAUGHT["listing_before_the_attempt"]
    (violation,) = live(number, 1).violations
    assert violation.endswith(f'python -m tests.simulation --seed "sim {number}"')
