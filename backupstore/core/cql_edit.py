"""Small changes of a statement's text: everything that is not changed stays as it was written, byte by byte."""

from __future__ import annotations

from collections.abc import Mapping

from backupstore.core.cql_objects import subject_of
from backupstore.core.cql_text import CqlStatement, Cursor, statements, tokens

_SILENT = frozenset({"space", "comment"})


def one(text: str) -> CqlStatement:
    """The only statement of a text."""
    (statement,) = statements(text)
    return statement


def if_not_exists(text: str) -> str:
    """A statement that creates something, so that it does nothing where a thing of that name is already."""
    statement = one(text)
    first = statement.tokens[subject_of(statement).names]
    position = subject_of(statement).names
    if Cursor(statement, max(0, position - 3)).took("IF", "NOT", "EXISTS") or Cursor(statement, 1).took("OR"):
        return text
    if subject_of(statement).kind == "index" and not subject_of(statement).name:
        return text
    return _edited(statement, {position: f"IF NOT EXISTS {first.text}"})


def without_id(text: str) -> str:
    """A statement that creates a table or view, without ``ID = …``, so that the server finds a new one."""
    statement = one(text)
    for at in range(len(statement.tokens) - 3):
        cursor = Cursor(statement, at)
        if (cursor.took("WITH", "ID", "=") or cursor.took("AND", "ID", "=")) and cursor.here:
            goes = dict.fromkeys(range(at + 1, at + 4), "")
            more = Cursor(statement, at + 4)
            if more.took("AND"):
                return _edited(statement, {**goes, at + 4: ""})
            return _edited(statement, {at: "", **goes})
    return text


def with_replication(text: str, options: Mapping[str, str]) -> str:
    """A statement that creates a keyspace, with these options for its ``replication``."""
    statement = one(text)
    for at in range(len(statement.tokens)):
        cursor = Cursor(statement, at)
        if cursor.took("REPLICATION", "="):
            begin = cursor.at
            cursor.inside("{", "}")
            spelled = ", ".join(f"{_string(name)}: {_string(value)}" for name, value in options.items())
            return _edited(statement, {**dict.fromkeys(range(begin, cursor.at), ""), begin: "{" + spelled + "}"})
    return text


def _string(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _edited(statement: CqlStatement, changes: Mapping[int, str]) -> str:
    """The text with some of the tokens that mean something replaced, by position; with one that goes, the space before."""
    pieces: list[str] = []
    position = 0
    for token in tokens(statement.text):
        if token.kind in _SILENT:
            pieces.append(token.text)
            continue
        changed = changes.get(position, token.text)
        if not changed and pieces and not pieces[-1].strip():
            pieces.pop()
        pieces.append(changed)
        position += 1
    return "".join(pieces)
