"""Messages of Pub/Sub in CloudEvents, and timers: understood, or told as what they are not."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backupstore.core.cloud_events import Pushed, Timer, attempt_of, pushed_of, timer_of
from backupstore.errors import Corrupt


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_a_message_as_eventarc_and_push_send_it() -> None:
    message = {"messageId": "7", "message_id": "7", "data": encoded("ä{}"), "attributes": {"eventType": "x"}}
    assert pushed_of({"message": message, "subscription": "s"}) == Pushed("7", "ä{}", {"eventType": "x"})


def test_one_that_has_attributes_only() -> None:
    assert pushed_of({"message": {"messageId": "7", "attributes": {"a": "b"}}}) == Pushed("7", "", {"a": "b"})


@pytest.mark.parametrize(
    "data",
    [
        *(None, 5, b"x", [], {}, {"message": None}),
        *({"message": message} for message in ({"data": "!"}, {"data": "/w=="}, {"data": 5}, {"attributes": [1]})),
    ],
)
def test_what_is_no_message_is_corrupt(data: object) -> None:
    with pytest.raises(Corrupt) as caught:
        pushed_of(data)
    assert caught.value.hint


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["message", "data", "attributes", "x"]), inner),
)


@given(data=_ANY)
def test_anything_may_come(data: object) -> None:
    try:
        pushed = pushed_of(data)
    except Corrupt:
        return
    assert isinstance(pushed.text, str)


@pytest.mark.parametrize(
    ("request_body", "attempt"),
    [
        ({"deliveryAttempt": 3}, 3),
        ({}, 1),
        (None, 1),
        ([], 1),
        ({"deliveryAttempt": "3"}, 1),
        ({"deliveryAttempt": 0}, 1),
    ],
)
def test_how_often_it_came(request_body: object, attempt: int) -> None:
    assert attempt_of(request_body) == attempt


@pytest.mark.parametrize(
    ("text", "timer"),
    [
        ('{"timer": "purge"}', Timer("purge")),
        ('{"timer": "verify", "prefix": "prod"}', Timer("verify", "prod")),
        ('{"timer": "verify", "prefix": ""}', Timer("verify", "")),
        ('{"timer": "verify", "prefix": 5}', None),
        ('{"timer": 5}', None),
        ('{"kind": "purge-node"}', None),
        ("[]", None),
        ("", None),
        ("[" * 100_000, None),
    ],
)
def test_a_timer_says_what_for_and_whom(text: str, timer: Timer | None) -> None:
    assert timer_of(text) == timer
