"""JSON read through a window: a document of any length, value by value, in bounded memory.

``Window`` holds the text that has come and not been used yet. Its methods are generators that yield whenever they need
more text, so that a grammar written with them (``core.manifest``) reads like one for text that is all there, and may be
fed by a store that pushes. No value may be longer than ``LIMIT`` characters: that bounds the memory a hostile document
can take.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Generator
from typing import Any, NoReturn

from backupstore.errors import Corrupt

LIMIT = 64 << 10

More = Generator[None, None, None]
"""A step of a grammar; it yields when it needs more text."""


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_decode = json.JSONDecoder(parse_constant=_refuse_constant).raw_decode
_CLOSING = frozenset('"]}')
_SPACE = re.compile(r"[ \t\r\n]*")


class Window:
    """The text at hand. ``key`` names the document in errors, ``hint`` says what to do about them."""

    def __init__(self, key: str, hint: str) -> None:
        self._key = key
        self._hint = hint
        self._bytes = codecs.getincrementaldecoder("utf-8")()
        self._text = ""
        self._at = 0
        self._before = 0  # characters that came and went before this text
        self._ended = False
        self._broken = ""  # why no text comes after this one
        self._careful = 0  # up to here, array members are decoded one by one

    def add(self, piece: bytes, *, final: bool = False) -> None:
        """Take the next bytes; what was used is dropped."""
        self._before += self._at
        self._careful = max(0, self._careful - self._at)
        self._text, self._at = self._text[self._at :], 0
        try:
            self._text += self._bytes.decode(piece, final)
            self._ended = final
        except UnicodeDecodeError as error:
            # The text before it comes first: what is wrong must not depend on how the bytes were cut into pieces.
            self._text += error.object[: error.start].decode()
            self._broken = f"it is not UTF-8: {error.reason}"

    def check(self) -> None:
        """After the grammar has used what it can: Corrupt when no more text can come."""
        if self._broken:
            self._at = len(self._text)
            self.fail(self._broken)

    @property
    def position(self) -> int:
        """How many characters have been used so far."""
        return self._before + self._at

    def fail(self, problem: str, at: int | None = None) -> NoReturn:
        """Corrupt, with the position: this one unless told otherwise."""
        where = self.position if at is None else at
        message = f"{self._key} cannot be read: {problem} (at character {where})"
        raise Corrupt(message, hint=self._hint, operation="read", key=self._key)

    def peek(self) -> Generator[None, None, str]:
        """The next character that is no space; empty only at the end."""
        while True:
            space = _SPACE.match(self._text, self._at)
            self._at = space.end() if space else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if self._ended:
                return ""
            yield

    def accept(self, token: str) -> Generator[None, None, bool]:
        """Whether the next character is this one; then it is used."""
        found = (yield from self.peek()) == token
        self._at += found
        return found

    def expect(self, token: str, problem: str) -> More:
        """The next character must be this one."""
        if not (yield from self.accept(token)):
            self.fail(problem if self._at < len(self._text) else f"it ends too early: {problem}")

    def value(self) -> Generator[None, None, Any]:
        """One whole value; waits for more text as long as it may become one."""
        while True:
            yield from self.peek()
            problem, end = "it ends in the middle of a value", 0
            try:
                value, end = _decode(self._text, self._at)
            except RecursionError:
                self.fail("a value is nested too deeply")
            except json.JSONDecodeError as error:
                problem = f"a value is no JSON: {error.msg}"
            except ValueError as error:
                problem = f"a value is no JSON: {error}"
            # A number at the very end of the text may go on.
            complete = end > 0 and (end < len(self._text) or self._ended or self._text[end - 1] in _CLOSING)
            if (end if complete else len(self._text)) - self._at > LIMIT:
                self.fail(f"a value is no JSON, or longer than {LIMIT} characters")
            if complete:
                self._at = end
                return value
            if self._ended:
                self.fail(problem)
            yield

    def members(self) -> Generator[None, None, tuple[list[Any], bool]]:
        """At least one object of an array, as many as lie complete in the window; and whether the array ended there."""
        if (yield from self.peek()) == "]":
            self.fail("an object is missing")
        start = self._at
        cut = self._text.rfind("}", start, start + LIMIT)
        if cut >= 0 and start >= self._careful:
            # The decoder stops at the array's real end if that lies before the cut, else at the bracket added here.
            chunk = f"[{self._text[start : cut + 1]}]"
            try:
                values, end = _decode(chunk)
            except (ValueError, RecursionError):
                # Cut inside a string or a nested value, or simply wrong: one by one will tell. Not tried again before
                # the cut, so that nobody can make each object cost a whole window.
                self._careful = cut + 1
            else:
                ended = end < len(chunk)
                self._at = start + end - 1 if ended else cut + 1
                return values, ended
        return [(yield from self.value())], False
