"""What Google's functions are called with: CloudEvents around Pub/Sub messages, and what a timer's message says.

    {"message": {"messageId": …, "data": "<base64>", "attributes": {…}}, "subscription": …}

Eventarc and a push subscription of one's own send the same. A message may come twice, late, and from anybody who may
publish to the topic.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from backupstore.core.shown import excerpt
from backupstore.errors import Corrupt

_HINT = "Only Pub/Sub should call this function: see what else does, and what else publishes to its topic."


@dataclass(frozen=True, slots=True)
class Pushed:
    """A message. ``text`` is its data, empty where it has none."""

    id: str
    text: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Timer:
    """A timer asks for ``what``, for the cluster with this prefix, or for all that are served (None)."""

    what: str
    prefix: str | None = None


def pushed_of(data: object) -> Pushed:
    """The message in the data of a CloudEvent. Corrupt when there is none that can be read."""
    message = data.get("message") if isinstance(data, dict) else None
    if not isinstance(message, dict):
        raise _unreadable(data)
    encoded, attributes = message.get("data") or "", message.get("attributes") or {}
    try:
        text = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, TypeError, ValueError) as error:
        raise _unreadable(data) from error
    if not isinstance(attributes, dict):
        raise _unreadable(data)
    plain = {name: value for name, value in attributes.items() if isinstance(name, str) and isinstance(value, str)}
    known = message.get("messageId") or message.get("message_id")
    return Pushed(str(known) if isinstance(known, str | int) else "", text, plain)


def attempt_of(request: object) -> int:
    """How often Pub/Sub has pushed what this request brings, this time included. It counts where there are dead letters."""
    attempt = request.get("deliveryAttempt") if isinstance(request, dict) else None
    return attempt if isinstance(attempt, int) and attempt > 0 else 1


def timer_of(text: str) -> Timer | None:
    """What a timer's message asks for; None when it is no timer's."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    match document:
        case {"timer": str() as what, "prefix": str() as prefix}:
            return Timer(what, prefix)
        case {"timer": str() as what} if "prefix" not in document:
            return Timer(what)
    return None


def _unreadable(data: object) -> Corrupt:
    return Corrupt(f"This event holds no message of Pub/Sub: {excerpt(data)}", hint=_HINT, operation="read event")
