"""Nothing that counts is ever lost: thousands of histories here, any number by ``make simulate N=…``."""

from __future__ import annotations

from tests.simulation.play import play


def test_a_seed_is_a_history() -> None:
    assert [play(f"again {number}") for number in range(10)] == [play(f"again {number}") for number in range(10)]
