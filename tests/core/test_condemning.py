"""What purge may do now: one table of what a backup can be, and the ages of documents."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backupstore.core.condemning import (
    Seen,
    Standing,
    in_documents,
    is_stock_at_work,
    may_drop,
    may_execute,
    standing,
)
from backupstore.core.documents import Attempt
from tests.attempts import attempt_of

GRACE = 100.0
DOCUMENTS = frozenset({"r-1", "r-2"})
INTENT = {"schema.cql": 50.0}
MINE = {**INTENT, "attempt-1.json": 51.0}


def attempt(*seen: str) -> Attempt:
    return attempt_of("n", "b", condemned_seen=seen)


@pytest.mark.parametrize(
    ("seen", "now", "expected"),
    [
        (Seen("b", {}), 60.0, Standing.OVER),
        (Seen("b", INTENT), 60.0, Standing.UNDER_WAY),
        (Seen("b", INTENT), 150.0, Standing.UNDER_WAY),
        (Seen("b", INTENT), 150.5, Standing.OVER),
        (Seen("b", MINE, 1, attempt()), 60.0, Standing.UNDER_WAY),
        (Seen("b", MINE, 1, attempt("r-1")), 60.0, Standing.UNDER_WAY),
        (Seen("b", MINE, 1, attempt("r-1", "r-2", "q-1")), 60.0, Standing.WARNED),
        (Seen("b", MINE, 1, None), 60.0, Standing.UNDER_WAY),
        (Seen("b", {"attempt-1.json": 51.0}, 1, attempt()), 60.0, Standing.OVER),
        (Seen("b", {**MINE, "manifest.json": 52.0}, 1), 60.0, Standing.FINISHED),
        (Seen("b", {**MINE, "manifest.json": 52.0}, 1), 1e9, Standing.FINISHED),
        (Seen("b", {"manifest.json": 52.0}), 60.0, Standing.FINISHED),
        (Seen("b", {**MINE, "manifest.json": 52.0, "abandoned": 51.5}, 1), 60.0, Standing.OVER),
        (Seen("b", {**INTENT, "tokenmap.json": 51.0}), 60.0, Standing.STOCK),
        (Seen("b", {**INTENT, "tokenmap.json": 51.0}), 151.0, Standing.OVER),
    ],
)
def test_what_a_backup_is(seen: Seen, now: float, expected: Standing) -> None:
    assert standing(seen, DOCUMENTS, now=now, grace=GRACE) is expected


def test_before_there_is_a_document_nobody_has_seen_it() -> None:
    assert standing(Seen("b", MINE, 1, attempt("r-1")), frozenset(), now=60, grace=GRACE) is Standing.UNDER_WAY


def test_stock_is_at_work_while_what_it_wrote_is_young() -> None:
    stocks = Seen("b", {**INTENT, "manifest.json": 60.0})
    assert is_stock_at_work(stocks, now=150, grace=GRACE)
    assert not is_stock_at_work(stocks, now=151, grace=GRACE)
    assert not is_stock_at_work(Seen("b", MINE, 1), now=60, grace=GRACE)
    assert not is_stock_at_work(Seen("b", INTENT), now=60, grace=GRACE)
    assert not is_stock_at_work(Seen("b", {**INTENT, "abandoned": 51.0}), now=60, grace=GRACE)


@given(created=st.floats(0, 1e9), now=st.floats(0, 1e9), grace=st.floats(1, 1e9))
def test_between_the_last_hand_and_the_drop_lies_half_of_the_grace(created: float, now: float, grace: float) -> None:
    if may_drop(created=created, now=now, grace=grace):
        assert not may_execute(created=created, now=now - grace / 2 + 1e-3, grace=grace) or grace < 1
    assert not (may_drop(created=created, now=now, grace=grace) and may_execute(created=created, now=now, grace=grace))


@given(keys=st.lists(st.text(max_size=20), max_size=40), most=st.integers(1, 200))
def test_keys_are_split_without_losing_one(keys: list[str], most: int) -> None:
    parts = list(in_documents(keys, most))
    assert [key for part in parts for key in part] == keys
    assert parts
    for part in parts:
        assert len(part) <= 1 or len(json.dumps(part, separators=(",", ":"))) <= most + 2
    assert all(parts) or not keys
