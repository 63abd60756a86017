"""What others wrote, as it may be shown to people: in a message, in a log, on a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable

_MOST_NAMES = 4
_SAID = 500
_EXCERPT = 120
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """Without what could play tricks on a terminal."""
    return "".join(char if char.isprintable() else "?" for char in text)


def counted(number: int, thing: str) -> str:
    """``1 node``, ``2 nodes``; ``2 indexes``."""
    ending = "" if number == 1 else "es" if thing.endswith("x") else "s"
    return f"{number:,} {thing}{ending}"


def some_of(names: Iterable[str], most: int = _MOST_NAMES) -> str:
    """The first of them, and how many more there are: ``n1, n2 and 3 more``."""
    every = list(names)
    more = f" and {len(every) - most:,} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


def one_line(text: str, most: int = _SAID) -> str:
    """The beginning of it, so many characters at most, as a part of one line."""
    return printable(" ".join(text[:most].split()))


def excerpt(value: object) -> str:
    """The beginning of a message that makes no sense: ASCII, and on one line."""
    text = value.decode(errors="replace") if isinstance(value, bytes) else value
    try:
        return ascii(text if isinstance(text, str) else repr(value))[: _EXCERPT + 2]
    except RecursionError:  # whoever read it may have had more room than there is here
        return "a value that is nested too deeply"


def harmless(text: str) -> str:
    """As it is, but for what a terminal would obey: that is written as JSON writes it, and so may be JSON."""
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
