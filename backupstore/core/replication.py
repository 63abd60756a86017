"""What a schema's text says about where the replicas of each keyspace are.

The text comes from a node, and a node may be hostile: it is read in one pass, in memory of the order of its length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

# A text, a quoted name, a comment or a body begins, or there is a word, or a mark.
_BEGINS = re.compile(r"--|//|/\*|\$\$|['\"]|[A-Za-z0-9_.+-]+|\S")
_ENDS = {"--": "\n", "//": "\n", "/*": "*/", "$$": "$$"}
_QUOTES = frozenset("'\"")
_MOST_WORDS = 20_000
"""Of one statement: what a keyspace of five thousand datacenters needs."""


@dataclass(frozen=True, slots=True)
class Replication:
    """A keyspace's strategy, without its package, and its options in the schema's order."""

    strategy: str
    options: tuple[tuple[str, str], ...] = ()


def replications(schema: str) -> dict[str, Replication]:
    """Each keyspace of a schema's text, in its order. One without a replication that can be read has an empty strategy."""
    found: dict[str, Replication] = {}
    for words in _statements(schema):
        upper = [word.upper() for word in words[:5]]
        if upper[:2] != ["CREATE", "KEYSPACE"]:
            continue
        at = 5 if upper[2:] == ["IF", "NOT", "EXISTS"] else 2
        if at < len(words):
            found[_plain(words[at])] = _replication(words[at + 1 :])
    return found


def _statements(schema: str) -> Iterator[list[str]]:
    """The words of each statement; texts and quoted names with their quotes, comments left out."""
    words: list[str] = []
    for word in _words(schema):
        if word == ";":
            yield words
            words = []
        elif len(words) < _MOST_WORDS:
            words.append(word)
    yield words


def _words(schema: str) -> Iterator[str]:
    """What is never closed goes on to the end, so that no text takes longer, or more memory, than its length."""
    at = 0
    while match := _BEGINS.search(schema, at):
        start, word = match.start(), match[0]
        at = match.end()
        if word in _ENDS:
            at = _after(schema, _ENDS[word], at)
        elif word in _QUOTES:
            at = _after(schema, word, at)
            while schema.startswith(word, at):  # twice is a quote inside
                at = _after(schema, word, at + 1)
            yield schema[start:at]
        else:
            yield word


def _after(schema: str, end: str, at: int) -> int:
    found = schema.find(end, at)
    return len(schema) if found < 0 else found + len(end)


def _plain(word: str) -> str:
    return word[1:-1].replace('""', '"') if word.startswith('"') else word.lower()


def _replication(words: Sequence[str]) -> Replication:
    """From ``WITH replication = {'class': …}``; an empty strategy where there is none."""
    try:
        start = [word.lower() for word in words].index("replication")
        inner = words[words.index("{", start) + 1 : words.index("}", start)]
    except ValueError:
        return Replication("")
    pairs = [(inner[at], inner[at + 2]) for at in range(0, len(inner) - 2, 4) if inner[at + 1] == ":"]
    values = {_text(name): _text(value) for name, value in pairs}
    strategy = values.pop("class", "").rpartition(".")[2]
    return Replication(strategy, tuple(values.items()))


def _text(word: str) -> str:
    return word[1:-1].replace("''", "'") if word.startswith("'") else word
