"""Many nodes finish at once: nothing is lost, the list is complete, and no cloud is asked for more than it takes."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from tests.scale.__main__ import line_of
from tests.scale.burst import AMAZON, GOOGLE, LAYOUT, TIMER, Burst

_PAGE = (Path(__file__).resolve().parents[2] / "docs" / "scale.md").read_text()


def test_a_thousand_nodes_within_a_minute_on_amazon() -> None:
    burst = Burst(AMAZON, 1000)
    result = burst.run()
    assert burst.is_complete()
    assert result.tally.done == 1000
    assert not result.tally.dead
    assert not result.tally.failed
    assert result.documents <= result.tally.calls, "a batch writes the document of its backup once"
    assert result.complete is not None
    assert result.last + result.complete < TIMER, "before any timer came"
    assert line_of(result) in _PAGE, "make scale prints what belongs into docs/scale.md"


def test_on_google_no_object_is_written_more_than_once_a_second() -> None:
    burst = Burst(GOOGLE, 120)
    result = burst.run()
    assert burst.is_complete()
    assert result.tally.done == 120
    assert not result.tally.dead
    assert result.seen.refused, "the limit was felt"
    assert result.fastest <= 10
    for moments in result.seen.written.values():
        ordered = sorted(moments)
        assert all(later - earlier >= 1.0 for earlier, later in pairwise(ordered))


@pytest.mark.parametrize("cloud", [AMAZON, GOOGLE], ids=lambda cloud: cloud.name)
def test_the_same_seed_gives_the_same_run(cloud: object) -> None:
    first, second = (Burst(cloud, 20).run() for _ in range(2))  # type: ignore[arg-type] # one of these
    assert first == second


def test_a_message_that_never_works_ends_among_the_dead_ones() -> None:
    for cloud in (AMAZON, GOOGLE):
        burst = Burst(cloud, 3, timer=False)
        key = LAYOUT.announced("n0000", "b", "finished")
        honest = burst.queue.work

        def failing(keys: dict[str, str], honest: object = honest) -> set[str]:
            done: set[str] = honest(keys)  # type: ignore[operator] # as it was
            return done | (keys.keys() & {key})  # noqa: B023 # of this cloud

        burst.queue.work = failing
        assert burst.run().tally.dead == [key]
