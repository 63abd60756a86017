"""Work items: what one message says comes back as it was, and anything else is refused as what it is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backupstore.core.work import MOST_TEXT, PurgeWork, VerifyWork, encode_work, read_work
from backupstore.errors import Corrupt
from tests.core.strategies import backups, layouts, nodes, segments

prefixes = layouts.map(lambda layout: layout.prefix)
purges = st.builds(PurgeWork, prefix=prefixes, run=segments, node=nodes)
verifications = st.builds(
    VerifyWork, prefix=prefixes, round=segments, node=nodes, backups=st.lists(backups, min_size=1).map(tuple)
)


@given(st.one_of(purges, verifications))
def test_what_was_sent_is_read(work: PurgeWork | VerifyWork) -> None:
    text = encode_work(work)
    assert read_work(text) == work
    assert text.isascii()


def test_a_message_of_purge_is_small_however_much_is_to_be_deleted() -> None:
    assert len(encode_work(PurgeWork(prefix="p" * 128, run="r" * 128, node="n" * 253))) < MOST_TEXT / 100


@given(st.one_of(st.text(), st.lists(st.one_of(st.none(), st.text(), st.integers())).map(json.dumps)))
def test_anything_else_is_corrupt(text: str) -> None:
    with pytest.raises(Corrupt):
        read_work(text)


PLAIN = {"format": 1, "kind": "purge-node", "prefix": "p", "run": "r", "node": "n1"}


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"kind": "purge"},
        {"kind": None},
        {"prefix": "a/b"},
        {"prefix": None},
        {"run": ".."},
        {"run": ""},
        {"node": "n1/../n2"},
        {"node": "n\x00"},
        {"node": ["n1"]},
    ],
)
def test_a_message_that_could_lead_elsewhere_is_corrupt(change: dict[str, object]) -> None:
    assert read_work(json.dumps(PLAIN)) == PurgeWork(prefix="p", run="r", node="n1")
    with pytest.raises(Corrupt) as caught:
        read_work(json.dumps({**PLAIN, **change}))
    assert "upgrade" in caught.value.hint


VERIFY = {"format": 1, "kind": "verify-node", "prefix": "p", "round": "r", "node": "n1", "backups": ["b"]}


@pytest.mark.parametrize(
    "change",
    [{"piece": "5/4"}, {"piece": ""}, {"piece": 1}, {"backups": []}, {"backups": ["a/b"]}, {"round": ".."}],
)
def test_a_verification_that_could_lead_elsewhere_is_corrupt(change: dict[str, object]) -> None:
    assert read_work(json.dumps(VERIFY)) == VerifyWork(prefix="p", round="r", node="n1", backups=("b",))
    with pytest.raises(Corrupt):
        read_work(json.dumps({**VERIFY, **change}))


def test_what_is_too_much_is_split_until_it_is_small_enough() -> None:
    work = VerifyWork(prefix="p", round="r", node="n1", backups=("a", "b", "c"))
    assert [some.backups for some in work.smaller()] == [("a",), ("b", "c")]
    (one, *_) = work.smaller()
    assert [some.piece for some in one.smaller()] == ["1/4", "2/4", "3/4", "4/4"]
    assert {(some.backups, some.node, some.round, some.prefix) for some in one.smaller()} == {(("a",), "n1", "r", "p")}
    times = 0
    while smaller := one.smaller():
        one = smaller[-1]
        times += 1
    assert times == 7
    assert one.piece == "16384/16384"
