"""Whom a cluster backup waits for, in the cases that stock gets wrong as well."""

from __future__ import annotations

import pytest

from backupstore.core.completion import Complete, Waiting, completion
from backupstore.core.documents import NodeFact, Place
from backupstore.core.tokenmap import Ring, ring_id

D1: Ring = {"a1": Place(dc="dc1"), "a2": Place(dc="dc1")}
D1_GROWN: Ring = {**D1, "a3": Place(dc="dc1")}
D2: Ring = {"b1": Place(dc="dc2")}
NAMELESS: Ring = {"a1": Place(), "a2": Place()}
ADDRESSES: Ring = {"10.0.0.1": Place(dc="dc1"), "10.0.0.2": Place(dc="dc1")}
BOTH: Ring = {"10.0.0.1": Place(dc="dc1"), "10.0.0.2": Place(dc="dc2")}
RINGS = {ring_id(ring): ring for ring in (D1, D1_GROWN, D2, NAMELESS, ADDRESSES, BOTH, {})}


def node(ring: Ring | None = D1, started: float = 1.0, **fields: object) -> NodeFact:
    known = {"started": started, "finished": started + 10, "writer": "shipper", "mode": "full", "seen": "s"}
    return NodeFact.model_validate({**known, "ring": None if ring is None else ring_id(ring), **fields})


def running(ring: Ring | None = D1, started: float = 1.0) -> NodeFact:
    return node(ring, started, finished=None)


CASES: dict[str, tuple[dict[str, NodeFact], Complete | Waiting]] = {
    "nothing": ({}, Waiting()),
    "all are there": ({"a1": node(), "a2": node()}, Complete(("a1", "a2"))),
    "one is missing": ({"a1": node()}, Waiting(finished=("a1",), missing=("a2",))),
    "one has only started": ({"a1": node(), "a2": running()}, Waiting(finished=("a1",), incomplete=("a2",))),
    "one has started and its ring is not there yet": (
        {"a1": node(), "a2": running(None)},
        Waiting(finished=("a1",), incomplete=("a2",)),
    ),
    "the first one's ring is not there yet": (
        {"a1": running(None, 0.5), "a2": node()},
        Waiting(finished=("a2",), incomplete=("a1",)),
    ),
    "a problem is not finished": (
        {"a1": node(), "a2": node(problem="manifest.json cannot be read")},
        Waiting(finished=("a1",), incomplete=("a2",)),
    ),
    "one is given up": ({"a1": node(), "a2": node(abandoned=True)}, Waiting(finished=("a1",), missing=("a2",))),
    "all are given up": ({"a1": node(abandoned=True)}, Waiting()),
    "the ring of one given up does not count": (
        {"a1": node(D1_GROWN, 0.5, abandoned=True), "a2": node(started=2.0)},
        Waiting(finished=("a2",), missing=("a1",)),
    ),
    "two datacenters": (
        {"a1": node(), "a2": node(), "b1": node(D2, 5.0)},
        Complete(("a1", "a2", "b1")),
    ),
    "the second datacenter has only started": (
        {"a1": node(), "a2": node(), "b1": running(D2, 5.0)},
        Waiting(finished=("a1", "a2"), incomplete=("b1",)),
    ),
    "the second datacenter has one node that nobody can place": (
        {"a1": node(), "a2": node(), "b1": running(None, 5.0)},
        Waiting(finished=("a1", "a2"), incomplete=("b1",)),
    ),
    "a node joined after the first one started": (
        {"a1": node(), "a2": node(started=2.0), "a3": node(D1_GROWN, 3.0)},
        Complete(("a1", "a2"), unexpected=("a3",)),
    ),
    "the first ring already has the new node": (
        {"a1": node(D1_GROWN, 0.5), "a2": node()},
        Waiting(finished=("a1", "a2"), missing=("a3",)),
    ),
    "equal starts: the lesser name": (
        {"a1": node(D1), "a2": node(D1_GROWN)},
        Complete(("a1", "a2")),
    ),
    "no datacenter named": ({"a1": node(NAMELESS), "a2": node(NAMELESS)}, Complete(("a1", "a2"))),
    "a ring that spells its nodes otherwise": (
        {"a1": node(ADDRESSES), "a2": node(ADDRESSES)},
        Waiting(missing=("10.0.0.1", "10.0.0.2"), unexpected=("a1", "a2")),
    ),
    "such a ring, but not the first": (
        {"a1": node(), "a2": node(ADDRESSES, 2.0)},
        Complete(("a1", "a2")),
    ),
    "a ring of two datacenters without its writer": ({"a1": node(BOTH)}, Waiting(incomplete=("a1",))),
    "an empty ring": ({"a1": node({})}, Waiting(incomplete=("a1",))),
    "finished, but without a ring": ({"a1": node(None)}, Waiting(incomplete=("a1",))),
    "a ring that is not known": ({"a1": node().model_copy(update={"ring": "unknown"})}, Waiting(incomplete=("a1",))),
}


@pytest.mark.parametrize("case", CASES)
def test_completion(case: str) -> None:
    nodes, judged = CASES[case]
    assert completion(nodes, RINGS) == judged
    assert completion(dict(reversed(nodes.items())), RINGS) == judged
