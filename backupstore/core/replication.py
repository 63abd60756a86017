"""What a schema's text says about where the replicas of each keyspace are.

The text comes from a node, and a node may be hostile: it is read in one pass, in memory of the order of its length.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from backupstore.core.cql_text import Token, tokens

_SILENT = frozenset({"space", "comment"})
_MOST_TOKENS = 20_000
"""Of one statement: what a keyspace of five thousand datacenters needs."""


@dataclass(frozen=True, slots=True)
class Replication:
    """A keyspace's strategy, without its package, and its options in the schema's order."""

    strategy: str
    options: tuple[tuple[str, str], ...] = ()


def replications(schema: str) -> dict[str, Replication]:
    """Each keyspace of a schema's text, in its order. One without a replication that can be read has an empty strategy."""
    found: dict[str, Replication] = {}
    for statement in _statements(schema):
        upper = [token.text.upper() for token in statement[:5]]
        if upper[:2] != ["CREATE", "KEYSPACE"]:
            continue
        at = 5 if upper[2:] == ["IF", "NOT", "EXISTS"] else 2
        name = statement[at].name if at < len(statement) else None
        if name is not None:
            found[name] = _replication(statement[at + 1 :])
    return found


def _statements(schema: str) -> Iterator[list[Token]]:
    """The tokens of each statement that mean something. What is never closed is read as far as it goes."""
    found: list[Token] = []
    for token in tokens(schema):
        if token.kind == "mark" and token.text == ";":
            yield found
            found = []
        elif token.kind not in _SILENT and len(found) < _MOST_TOKENS:
            found.append(token)
    yield found


def _replication(statement: Sequence[Token]) -> Replication:
    """From ``WITH replication = {'class': …}``; an empty strategy where there is none."""
    words = [token.text for token in statement]
    try:
        start = [word.lower() for word in words].index("replication")
        inner = statement[words.index("{", start) + 1 : words.index("}", start)]
    except ValueError:
        return Replication("")
    pairs = [(inner[at], inner[at + 2]) for at in range(0, len(inner) - 2, 4) if inner[at + 1].text == ":"]
    values = {name.value: value.value for name, value in pairs}
    strategy = values.pop("class", "").rpartition(".")[2]
    return Replication(strategy, tuple(values.items()))
