"""The protocol of cluster jobs in every order in which things can happen, and its mutants, of which none may pass."""

from __future__ import annotations

from typing import Any

import pytest

from backupstore.core.job_documents import Phase, Request
from backupstore.core.job_phases import BACK, LOADING, REPLACE, Course
from tests.model.clusters import BACKUP, CLUSTERS, request
from tests.model.exchange import Exchanges, orders_of
from tests.model.explore import explore
from tests.model.mutants import MUTANTS, Mutant
from tests.model.world import Protocol


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_one_adversity_at_any_time_breaks_no_rule(cluster: str) -> None:
    found = explore(Protocol(CLUSTERS[cluster]), 1)
    assert not found.violations, str(found.violations[0])


@pytest.mark.parametrize(
    ("how", "course", "decision"),
    [
        ({}, REPLACE, "committing"),
        ({"stop_first": True}, REPLACE, "stopping"),
        ({"method": "sstableloader"}, LOADING, "schema"),
    ],
    ids=["in place", "old data deleted first", "sstableloader"],
)
def test_nor_do_two_in_a_smaller_cluster(how: dict[str, Any], course: Course, decision: Phase) -> None:
    found = explore(Protocol(request(nodes=2, **how)), 2)
    assert not found.violations, str(found.violations[0])
    assert {phase for phase in course if f"{phase}, waiting" in found.ends} == set(course)
    decided = {phase for phase in course if f"{phase}, waiting, without somebody" in found.ends}
    assert decided == set(list(course)[list(course).index(decision) :])
    back = {phase for phase in BACK if f"{phase}, waiting, without somebody" in found.ends}
    assert back == ({"rolling-back"} if how else set(BACK))
    assert {"committed", "rolled-back", "committed, without somebody", "rolled-back, without somebody"} <= set(
        found.ends
    )


@pytest.mark.parametrize("asked", [request(), request(seeds=2), request(kind="backup", job=BACKUP)])
def test_a_world_stands_for_those_that_differ_by_names_only(asked: Request) -> None:
    protocol = Protocol(asked)
    exchanges, every = Exchanges(protocol), explore(protocol, 1, exchanging=False)
    fewer = explore(protocol, 1)
    assert fewer.worlds == {exchanges.same(world) for world in every.worlds}
    assert set(fewer.ends) == set(every.ends)
    assert fewer.states < 0.6 * every.states


def test_where_something_goes_by_the_order_of_nodes_none_are_exchanged() -> None:
    assert orders_of(request()) == ((0, 2, 1),)
    assert orders_of(request(seeds=2)) == ((1, 0, 2),)
    assert len(orders_of(request(seeds=3))) == 5
    assert orders_of(request(parallel=2)) == orders_of(request(method="sstableloader")) == ()


def test_without_any_all_goes_well() -> None:
    found = explore(Protocol(request()), 0)
    assert not found.violations
    assert set(found.ends) == {"committed"}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_broken_rule_is_caught(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = mutant(monkeypatch)
    found = explore(broken.protocol, broken.adversities)
    assert [each.why for each in found.violations if broken.harm in each.why], mutant.__doc__
