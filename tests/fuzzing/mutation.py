"""Sound examples with something wrong in them: parts cut out, doubled, moved, and replaced by what hurts.

Nothing here knows a format: an example is cut into strings, words, spaces and marks, which serves JSON, XML, CQL, HTTP
and keys alike, and makes what no writer of the format could: names that come twice, halves of values, NaN.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import strategies as st

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\w.+-]+|\s+|.', re.DOTALL)
_DEEP = 3000
_HERE = "the place of a value"

AWKWARD: tuple[bytes, ...] = (
    # other types, and numbers at and beyond every bound
    b"null", b"true", b"0", b"-1", b"1.5", b"-0.0", b"1e999", b"-1e999", b"NaN", b"Infinity", b"-Infinity", b"1e-999",
    b"9223372036854775808", b"9" * 400, b"9" * 4300, b"9" * 4301, b"9" * 1_000_000, b"0x1f", b"1_0", b".1e999",
    "٣".encode(), "²".encode(), b'"9223372036854775808"', b'"' + b"9" * 4301 + b'"',
    # structure
    b"", b"[]", b"{}", b"[", b"]", b"{", b"}", b",", b":", b'"', b"\\", b"'", b"`",
    b"[" * _DEEP + b"]" * _DEEP, b'{"a":' * _DEEP + b"1" + b"}" * _DEEP, b"[" * _DEEP, b"[" * 960 + b"]" * 960,
    b"<a>" * _DEEP + b"</a>" * _DEEP, b"<", b">", b"</", b"&lt;", b"&x;", b"&#0;", b"&#x110000;", b"]]>", b"<![CDATA[",
    b'<!DOCTYPE a [<!ENTITY x "y">]>', b"<!--", b"<?", b"--", b"/*", b"*/", b"$$", b";", b"//", b"\r\n", b"\n", b"\r\n\r\n",
    # text
    b'""', b'"\\ud800"', b'"a\\u0000b"', b'"\\u001b[31m\\nroot"', b'"' + b"x" * 5000 + b'"', b"x" * 5000,
    b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b"\x00", b"\x1b[31m", b"\x7f", "\u2028\u202e".encode(), b"\xef\xbb\xbf",
    # names and keys
    b"..", b".", b"/", b"../../etc/passwd", b'"../../etc/passwd"', b"%2e%2e%2f", b"%00", b"%ff", b"+", b"-", b"index", b"meta",
    b"data", b"data-v", b"format", b'"format"', b'"size"', b'"path"', b'"objects"', b"CREATE KEYSPACE ", b"CREATE ", b"WITH",
    # times, and other words of protocols
    b"0000", b"Sun, 01 Jan 0000 00:00:00 GMT", b"9999-99-99T99:99:99Z", b"2026-03-01T12:00:00.1e999Z", b"bytes 0-4/",
    b"Content-Length", b"Transfer-Encoding", b"chunked", b"HTTP/1.1 204", b"HTTP/0.9", b"UTF-16", b"utf-7", b"cp037",
)  # fmt: skip

WORST: tuple[bytes, ...] = (
    b"NaN",
    b"1e999",
    b"9" * 400,
    b"9" * 4301,
    b'"' + b"9" * 4301 + b'"',
    b"7",
    b"[7]",
    b'{"7":7}',
    b'"\\u001b[31m\\nroot"',
    b"\x1b[31m",
    b'"../../etc/passwd"',
    b"[" * 960 + b"]" * 960,
    b".1e999",
    b"0000",
    b"null",
)

_WHOLE: tuple[Callable[[bytes], bytes], ...] = (
    lambda body: b"\xef\xbb\xbf" + body,
    lambda body: body.decode("latin-1").encode("utf-16"),
    lambda body: body.decode("latin-1").encode("utf-16-le"),
    lambda body: body + b"\0",
    lambda body: body + body,
    lambda body: b"\xff" + body,
    lambda body: body.upper(),
    lambda body: body[::-1],
)


def tokens(body: bytes) -> list[bytes]:
    """The strings, words, spaces and marks of an example; together they are the example."""
    return _TOKEN.findall(body)


def replaced(body: bytes, things: tuple[bytes, ...]) -> Iterator[bytes]:
    """The example with each of these in the place of each string and word, and of each value as a whole if it is JSON."""
    parts = tokens(body)
    spots = [(parts[:at], parts[at + 1 :]) for at, part in enumerate(parts) if len(part) > 1 or part.isalnum()]
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    else:
        spots += [([before], [after]) for before, after in _without_a_value(document)]
    for before, after in spots:
        for thing in things:
            yield b"".join([*before, thing, *after])


def _without_a_value(document: Any) -> Iterator[tuple[bytes, bytes]]:  # noqa: ANN401 -- any JSON
    """The text of a document before and after each object and array in it, the innermost ones first."""
    inner = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for at, value in list(inner):
        if isinstance(value, dict | list):
            for before, after in _without_a_value(value):
                document[at] = _HERE
                start, end = json.dumps(document).encode().split(json.dumps(_HERE).encode())
                yield start + before, after + end
            document[at] = value
    yield b"", b""


@st.composite
def mutated(draw: st.DrawFn, seeds: tuple[bytes, ...]) -> bytes:
    """One of the examples, changed in up to four places, and sometimes as a whole."""
    parts = tokens(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(parts)))
        to = min(len(parts), at + draw(st.integers(0, 8)))
        match draw(st.sampled_from(("replace", "replace", "cut", "double", "move", "end"))):
            case "replace":
                parts[at : at + 1] = [draw(st.sampled_from(AWKWARD))]
            case "cut":
                del parts[at:to]
            case "double":
                parts[at:at] = parts[at:to]
            case "move":
                moved, parts[at:to] = parts[at:to], []
                there = draw(st.integers(0, len(parts)))
                parts[there:there] = moved
            case "end":
                del parts[to:]
    body = b"".join(parts)
    if draw(st.integers(0, 7)) == 0:
        body = draw(st.sampled_from(_WHOLE))(body)
    return body
