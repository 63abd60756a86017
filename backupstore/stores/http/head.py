"""The head of an HTTP answer: its grammar, and where its body ends. Strict, because both sides must agree on that.

An answer of which nobody can say where it ends, or two things are said, is none: the connection is dropped, and the
request made again. One that ends where the connection does could have been cut short, and is no success.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_NO_BODY = frozenset({204, 304})
_FINAL = 200
_OK = 300
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LENGTH = re.compile(r"[0-9]{1,18}")
_FRAMING = frozenset({"content-length", "transfer-encoding"})


class BadAnswer(OSError):
    """What came is not HTTP as it should be, or not all of it."""


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers of an answer, names in lower case."""

    status: int
    headers: Mapping[str, str]
    has_body: bool
    last: bool  # the connection is of no use after it


def read_head(text: str, *, head_only: bool, last: bool) -> Head:
    """Read a head, without the empty line at its end. ``head_only``: the request was one whose answer has no body.

    BadAnswer.
    """
    first, *lines = text.split("\r\n")
    status = int(first[9:12]) if first.startswith("HTTP/1.") and first[9:12].isdecimal() else 0
    if not status:
        raise BadAnswer(f"not an HTTP answer: {first[:40]!r}")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not _NAME.fullmatch(name):
            raise BadAnswer("a header without a name and a colon")
        name, value = name.lower(), value.strip()
        if name in _FRAMING and headers.get(name, value) != value:
            raise BadAnswer(f"two answers about {name}")
        # Google tells one digest in each of two headers of one name.
        headers[name] = f"{headers[name]}, {value}" if name in headers and name not in _FRAMING else value
    has_body = not head_only and status >= _FINAL and status not in _NO_BODY and headers.get("content-length") != "0"
    endless = _is_endless(headers) and has_body
    if endless and status < _OK:
        raise BadAnswer("an answer that does not say how long it is")
    closing = "close" in headers.get("connection", "").lower() or first.startswith("HTTP/1.0")
    return Head(status, headers, has_body, last or closing or endless)


def is_length(text: str) -> bool:
    """Whether it is a number of bytes as stores write them; others would take long to read, or could not be."""
    return _LENGTH.fullmatch(text) is not None


def _is_endless(headers: Mapping[str, str]) -> bool:
    """Whether the body lasts as long as the connection. BadAnswer when nobody can say."""
    coding, length = headers.get("transfer-encoding"), headers.get("content-length")
    if coding is not None and coding.lower() != "chunked":
        raise BadAnswer("an encoding that nobody asked for")
    if coding is not None and length is not None:
        raise BadAnswer("a length beside chunks")
    if length is not None and not is_length(length):
        raise BadAnswer("a length that is no number")
    return coding is None and length is None
