"""The tokenmap as stock writes it, as it ever wrote it, and what is none."""

from __future__ import annotations

import json

import pytest

from backupstore.core.documents import Place
from backupstore.core.tokenmap import RingMember, encode, parse, places, ring_id
from backupstore.errors import Corrupt

RING = {"n1": RingMember((-(2**63), 5), "r1", "dc1", is_up=True), "n2": RingMember((7,), "r2", "dc1")}
BODY = (
    b'{"n1": {"tokens": [-9223372036854775808, 5], "is_up": true, "rack": "r1", "dc": "dc1"}, '
    b'"n2": {"tokens": [7], "is_up": null, "rack": "r2", "dc": "dc1"}}'
)


def test_the_bytes_are_stocks() -> None:
    assert encode(RING) == BODY
    assert parse(BODY, "k") == RING


@pytest.mark.parametrize(
    ("value", "member"),
    [
        ({"tokens": [1]}, RingMember((1,))),
        ({"tokens": 1}, RingMember((1,))),
        ({"tokens": "-1"}, RingMember((-1,))),
        ({"tokens": ["1", "2"]}, RingMember((1, 2))),
        ({"tokens": [str(2**127)]}, RingMember((2**127,))),
        ({"tokens": [], "rack": None, "dc": None, "is_up": None, "more": 1}, RingMember(())),
    ],
)
def test_older_forms_are_read(value: object, member: RingMember) -> None:
    assert parse(json.dumps({"n1": value}).encode(), "k") == {"n1": member}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 100_000,
        b'{"n1": []}',
        b'{"n1": {}}',
        b'{"n1": {"tokens": [true]}}',
        b'{"n1": {"tokens": [1.5]}}',
        b'{"n1": {"tokens": [NaN]}}',
        b'{"n1": {"tokens": ["x"]}}',
        b'{"n1": {"tokens": ["--1"]}}',
        b'{"n1": {"tokens": ["' + b"1" * 41 + b'"]}}',
        b'{"n1": {"tokens": [' + b"1" * 5000 + b"]}}",
        b'{"n1": {"tokens": null}}',
        b'{"n1": {"tokens": [1], "dc": 1}}',
        b'{"n1": {"tokens": [1], "rack": "\\u0000"}}',
        b'{"n1": {"tokens": [1], "is_up": "yes"}}',
        b'{"": {"tokens": [1]}}',
        b'{"a/b": {"tokens": [1]}}',
        b'{"..": {"tokens": [1]}}',
        b'{"\\ud800": {"tokens": [1]}}',
    ],
)
def test_anything_else_is_corrupt(body: bytes) -> None:
    with pytest.raises(Corrupt) as caught:
        parse(body, "some/key")
    assert caught.value.key == "some/key"
    assert caught.value.hint
    assert len(caught.value.message) < 400


def test_a_ring_is_named_by_its_content() -> None:
    ring = places(RING)
    assert ring == {"n1": Place(dc="dc1", rack="r1", tokens=2), "n2": Place(dc="dc1", rack="r2", tokens=1)}
    assert ring_id(ring) == ring_id(dict(reversed(ring.items()))) == "7545729c440f881c"
    others = [{}, {"n1": ring["n1"]}, {**ring, "n2": Place(dc="dc1", rack="r2", tokens=2)}]
    assert len({ring_id(other) for other in [ring, *others]}) == 4
