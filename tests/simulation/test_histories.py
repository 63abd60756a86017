"""Nothing that counts is ever lost: thousands of histories here, any number by ``make simulate N=…``."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.simulation.play import History, play

BLOCKS = 25
BLOCK = 100


@pytest.mark.parametrize("block", range(BLOCKS))
def test_nothing_that_counts_is_lost(block: int) -> None:
    histories = [play(f"sim {number}") for number in range(block * BLOCK, (block + 1) * BLOCK)]
    assert sum(history.steps for history in histories) / BLOCK > 200
    _check_rich(histories)


def _check_rich(histories: list[History]) -> None:
    """What cannot happen cannot go wrong."""
    happened: Counter[str] = Counter()
    for history in histories:
        happened.update(history.happened)
    for what in (
        "backed up",
        "purged",
        "purge waits",
        "purge crashed",
        "shipper crashed",
        "restore held",
        "reconciled",
    ):
        assert happened[what], what
    assert happened["stock backed up"]
    assert happened["backed up"] > 2 * BLOCK


def test_a_seed_is_a_history() -> None:
    assert [play(f"again {number}") for number in range(5)] == [play(f"again {number}") for number in range(5)]
