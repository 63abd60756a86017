"""Nothing that counts is ever lost: one half of the histories that every run of the tests lives through."""

from __future__ import annotations

import pytest

from tests.simulation.many import BLOCK, HALF, SITUATIONS, live

FIRST = HALF


@pytest.mark.parametrize("first", range(FIRST, FIRST + HALF, BLOCK))
def test_nothing_that_counts_is_lost(first: int) -> None:
    told = live(first, BLOCK)
    assert not told.violations, "\n".join(told.violations)
    assert told.histories == BLOCK
    assert not SITUATIONS - told.happened.keys()
