"""Whatever comes is read or refused, by every parser in the table: never another exception, never a hang."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzzing.mutation import AWKWARD, WORST, mutated, replaced
from tests.fuzzing.table import TARGETS

# The same examples each time: make fuzz is for new ones.
usual = settings(derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
every_target = pytest.mark.parametrize("name", TARGETS)


@every_target
@usual
@given(data=st.data())
def test_a_sound_example_with_something_wrong_in_it(name: str, data: st.DataObject) -> None:
    TARGETS[name].attempt(data.draw(mutated(TARGETS[name].seeds)))


@every_target
@settings(usual, max_examples=30)
@given(body=st.binary(max_size=200))
def test_any_bytes(name: str, body: bytes) -> None:
    TARGETS[name].attempt(body)


@every_target
def test_every_beginning_of_an_example(name: str) -> None:
    for seed in TARGETS[name].seeds:
        for end in range(len(seed)):
            TARGETS[name].attempt(seed[:end])


@every_target
def test_each_awkward_thing_alone(name: str) -> None:
    for thing in AWKWARD:
        TARGETS[name].attempt(thing)


@every_target
def test_the_worst_things_in_each_place(name: str) -> None:
    for seed in TARGETS[name].seeds:
        for body in replaced(seed, WORST):
            TARGETS[name].attempt(body)
