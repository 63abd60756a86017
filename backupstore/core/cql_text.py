"""CQL text as tokens, and as statements: a ';' inside a string, a body, a quoted name or a comment ends nothing.

The text comes from a bucket and may be hostile: it is read in one pass, in memory of the order of its length, and the
tokens of a text together are that text, whatever it is. Only what is asked of the tokens may be refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from backupstore.core.shown import one_line
from backupstore.errors import Corrupt

TokenKind = Literal["space", "comment", "text", "quoted", "word", "number", "mark"]

_NEXT = re.compile(
    r"(?P<space>[ \t\r\n]+)"
    r"|(?P<opening>--|//|/\*|\$\$|['\"])"
    r"|(?P<number>[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b|[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?[0-9A-Za-z_]*)"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<mark>.)",
    re.DOTALL,
)
_OPENINGS: dict[str, TokenKind] = {
    "--": "comment",
    "//": "comment",
    "/*": "comment",
    "$$": "text",
    "'": "text",
    '"': "quoted",
}
_LINE_END = re.compile(r"[\r\n]")
_SILENT = frozenset({"space", "comment"})
_SHOWN = 80
_MOST_TOKENS = 100_000
"""Of one statement: what a keyspace of ten thousand datacenters, or a table of as many columns, needs."""


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text as it stands there. ``closed`` is false for one whose end is missing: it is the last one."""

    kind: TokenKind
    text: str
    closed: bool = True

    @property
    def name(self) -> str | None:
        """The name of an object that it spells, as it is on disk; None when it spells none."""
        if self.kind == "word":
            return self.text.lower()
        return self.text[1:-1].replace('""', '"') if self.kind == "quoted" and self.closed else None

    @property
    def value(self) -> str:
        """What a string or a body says; of any other token its text."""
        if self.kind != "text":
            return self.text
        begin, inner = (2, False) if self.text.startswith("$$") else (1, True)
        said = self.text[begin : len(self.text) - begin if self.closed else None]
        return said.replace("''", "'") if inner else said

    def is_word(self, word: str) -> bool:
        """Whether it is this word of the language, given in capitals; a quoted name never is."""
        return self.kind == "word" and self.text.upper() == word


def tokens(text: str) -> Iterator[Token]:
    """Every token in order, spaces and comments among them. What is never closed goes on to the end of the text."""
    at = 0
    while at < len(text):
        found = _NEXT.match(text, at)
        if found is None or found.lastgroup is None:  # the last alternative takes any character
            raise AssertionError(text[at])
        if found.lastgroup != "opening":
            yield Token(_KINDS[found.lastgroup], found[0])
            at = found.end()
            continue
        end, closed = _end(text, found[0], found.end())
        yield Token(_OPENINGS[found[0]], text[at:end], closed)
        at = end


_KINDS: dict[str, TokenKind] = {"space": "space", "number": "number", "word": "word", "mark": "mark"}


def _end(text: str, opening: str, at: int) -> tuple[int, bool]:
    """Where what begins with ``opening`` ends, and whether it does."""
    if opening in {"--", "//"}:
        line_end = _LINE_END.search(text, at)
        return (line_end.start() if line_end else len(text)), True
    closing = "*/" if opening == "/*" else opening
    while (found := text.find(closing, at)) >= 0:
        at = found + len(closing)
        if len(closing) == len("*/") or not text.startswith(closing, at):
            return at, True
        at += 1  # twice is a quote inside
    return len(text), False


@dataclass(frozen=True, slots=True)
class CqlStatement:
    """One statement: its text from the first to the last token that means something, without ';', and those tokens."""

    text: str
    tokens: tuple[Token, ...]


def statements(text: str) -> Iterator[CqlStatement]:
    """The statements of a text, in its order, empty ones left out. Corrupt when a string, name or comment never ends."""
    pieces: list[str] = []
    found: list[Token] = []
    told = 0
    for token in tokens(text):
        if not token.closed:
            raise _bad(f"{_WHAT[token.kind]} that begins with {token.text[:_SHOWN]!r} never ends")
        if token.kind == "mark" and token.text == ";":
            if found:
                yield CqlStatement("".join(pieces[:told]), tuple(found))
            pieces, found, told = [], [], 0
            continue
        if token.kind not in _SILENT:
            found.append(token)
        elif not found:
            continue
        pieces.append(token.text)
        if token.kind not in _SILENT:
            told = len(pieces)
        if len(pieces) > 2 * _MOST_TOKENS:
            raise _bad(f"the statement {''.join(pieces[:20])[:_SHOWN]!r} is too long")
    if found:
        yield CqlStatement("".join(pieces[:told]), tuple(found))


_WHAT: dict[TokenKind, str] = {"comment": "a comment", "text": "a text", "quoted": "a name"}


def quoted(*names: str) -> str:
    """A name, or keyspace and name, as CQL takes them whatever they are: ``"shop"."QuotedTable"``."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


class Cursor:
    """Reads the tokens of one statement from left to right. Corrupt when there is something else than is asked for."""

    def __init__(self, statement: CqlStatement, at: int = 0) -> None:
        self._statement = statement
        self.at = at

    @property
    def here(self) -> Token | None:
        """The next token, None after the last."""
        return self._statement.tokens[self.at] if self.at < len(self._statement.tokens) else None

    def took(self, *words: str) -> bool:
        """Go over these words or marks if they are what comes next, all of them."""
        ahead = self._statement.tokens[self.at : self.at + len(words)]
        if len(ahead) < len(words) or not all(map(_is, ahead, words)):
            return False
        self.at += len(words)
        return True

    def need(self, *words: str) -> None:
        """Go over these words or marks."""
        if not self.took(*words):
            raise self.bad(f"{' '.join(words)} is missing")

    def name(self) -> str:
        """The next name, as on disk."""
        found = self.here
        name = found.name if found else None
        if name is None:
            raise self.bad("a name is missing")
        self.at += 1
        return name

    def qualified(self) -> tuple[str, str]:
        """Keyspace, empty where none is said, and name."""
        first = self.name()
        return (first, self.name()) if self.took(".") else ("", first)

    def inside(self, opening: str, closing: str) -> tuple[tuple[Token, ...], ...]:
        """What stands in brackets, which come next, as the parts between its commas. Further brackets stay together."""
        self.need(opening)
        parts: list[list[Token]] = [[]]
        depth = 1
        while (token := self.here) is not None:
            self.at += 1
            mark = token.text if token.kind == "mark" else ""
            depth += (mark in _DEEPER) - (mark in _HIGHER)
            if depth == 0:
                if mark != closing:
                    break
                return tuple(tuple(part) for part in parts if part)
            if depth == 1 and mark == ",":
                parts.append([])
            else:
                parts[-1].append(token)
        raise self.bad(f"{closing} is missing")

    def rest(self) -> Sequence[Token]:
        """All tokens from here on."""
        return self._statement.tokens[self.at :]

    def bad(self, why: str) -> Corrupt:
        """The error that says where."""
        return _bad(f"{why} in {one_line(self._statement.text, _SHOWN)!r}")


_DEEPER, _HIGHER = frozenset("(<{["), frozenset(")>}]")


def _is(token: Token, word: str) -> bool:
    return token.is_word(word) or (token.kind == "mark" and token.text == word)


def _bad(why: str) -> Corrupt:
    return Corrupt(
        f"This is no schema: {one_line(why)}.",
        hint="Choose another backup, or create the schema by hand with cqlsh.",
        operation="schema",
    )
