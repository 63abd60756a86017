"""``tokenmap.json``: which node of a datacenter holds which tokens, as the writing node saw it.

Written in stock's form, because stock parses the copy in its index. Read tolerantly, because every tokenmap that stock
ever wrote must restore: rack, datacenter and state may be missing, tokens may be text, and one token may stand alone.
Anything else is Corrupt: a wrong ring would restore data to the wrong nodes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from backupstore.core import names
from backupstore.core.documents import Place
from backupstore.errors import Corrupt

_DIGITS = 40  # the longest token of any partitioner has 39
_ID = 16


@dataclass(frozen=True, slots=True)
class RingMember:
    """One node of the writing node's datacenter. ``is_up`` as it was then; None where nobody knew."""

    tokens: tuple[int, ...]
    rack: str = ""
    dc: str = ""
    is_up: bool | None = None


Tokenmap = Mapping[str, RingMember]
Ring = Mapping[str, Place]


def parse(body: bytes, key: str) -> dict[str, RingMember]:
    """The ring by node name. Corrupt, naming the key."""
    try:
        return _members(json.loads(body.decode("utf-8"), parse_constant=_refuse_constant))
    except (ValueError, TypeError, RecursionError) as error:
        hint = "The ring of this node backup is unknown: another node's tokenmap of the same backup may serve."
        raise Corrupt(f"{key} cannot be read: {error}", hint=hint, operation="read", key=key) from error


def encode(ring: Tokenmap) -> bytes:
    """The bytes that stock's dumper gives."""
    return json.dumps(
        {
            name: {"tokens": list(member.tokens), "is_up": member.is_up, "rack": member.rack, "dc": member.dc}
            for name, member in ring.items()
        }
    ).encode("ascii")


def places(ring: Tokenmap) -> dict[str, Place]:
    """Where the nodes stand, without the tokens themselves, sorted by name."""
    return {
        name: Place(dc=member.dc, rack=member.rack, tokens=len(member.tokens)) for name, member in sorted(ring.items())
    }


def ring_id(ring: Ring) -> str:
    """Names the content: equal rings have equal ids, in whatever order their nodes stand."""
    content = [[name, place.dc, place.rack, place.tokens] for name, place in sorted(ring.items())]
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:_ID]


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _members(ring: Any) -> dict[str, RingMember]:  # noqa: ANN401 # anything that JSON can say
    if not isinstance(ring, dict):
        raise TypeError("it is not an object")
    return {_name(name): _member(name, value) for name, value in ring.items()}


def _name(name: str) -> str:
    if not names.is_segment(name) or not name.isprintable():
        raise ValueError(f"{name[:100]!r} is not the name of a node")
    return name


def _member(name: str, value: Any) -> RingMember:  # noqa: ANN401 # anything that JSON can say
    if not isinstance(value, dict) or "tokens" not in value:
        raise TypeError(f"{name} has no tokens")
    tokens = value["tokens"]
    if not isinstance(tokens, list):
        tokens = [tokens]
    is_up = value.get("is_up")
    if is_up is not None and not isinstance(is_up, bool):
        raise TypeError(f"'is_up' of {name} is neither true, false nor null")
    return RingMember(
        tuple(_token(name, token) for token in tokens), _text(name, value, "rack"), _text(name, value, "dc"), is_up
    )


def _token(name: str, token: Any) -> int:  # noqa: ANN401 # anything that JSON can say
    if type(token) is int:
        return token
    if isinstance(token, str) and len(token) <= _DIGITS and token.isascii() and token.removeprefix("-").isdecimal():
        return int(token)
    raise TypeError(f"a token of {name} is not a whole number")


def _text(name: str, value: dict[str, Any], field: str) -> str:
    text = value.get(field)
    if text is None:
        return ""
    if not isinstance(text, str) or not text.isprintable():
        raise TypeError(f"'{field}' of {name} is not a string")
    return text
