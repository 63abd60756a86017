"""What two schema texts say about each other, and what a table promises about deleted rows. Text in, values out.

    changes(describe_cql, live)   # ("TABLE shop.orders was dropped", "TYPE shop.address was changed")

Used to find out whether a ring has moved on since a backup; nothing is executed from it. So a statement of a kind that
nobody knows is one like any other here, named by how it begins. Names are as on disk and only shown as far as they can be
printed: a text may come from a hostile bucket.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from backupstore.core.cql_objects import Subject, object_id, option, subject_of
from backupstore.core.cql_text import CqlStatement, Token, statements
from backupstore.core.names import SYSTEM_KEYSPACES
from backupstore.core.shown import printable
from backupstore.errors import Corrupt

_SHOWN = 60
_GRACE = re.compile(r"[0-9]{1,12}")
_WITH_FILES = frozenset({"table", "view"})


@dataclass(frozen=True, slots=True)
class _Object:
    """What a statement is about; ``subject`` is None where nobody knows."""

    statement: CqlStatement
    subject: Subject | None

    @property
    def name(self) -> str:
        """``TABLE shop.users``; of functions with what they take."""
        subject = self.subject
        if subject is None:
            return printable(" ".join(token.text for token in self.statement.tokens)[:_SHOWN])
        name = printable(subject.name) if subject.kind == "keyspace" else self.full_name
        signature = "" if subject.arguments is None else printable(f"({', '.join(subject.arguments)})")
        return f"{subject.kind.upper()} {name}{signature}"

    @property
    def is_users(self) -> bool:
        """Whether it is none of Cassandra's own."""
        return self.subject is None or self.subject.keyspace not in SYSTEM_KEYSPACES

    @property
    def options(self) -> Sequence[Token]:
        """Of what makes a table or a view: what stands behind its last WITH; of anything else nothing."""
        subject = self.subject
        has_files = subject is not None and subject.verb == "create" and subject.kind in _WITH_FILES
        tokens = self.statement.tokens[subject.rest :] if subject and has_files else ()
        ends = [at for at, token in enumerate(tokens) if token.is_word("WITH")]
        return tokens[ends[-1] :] if ends else ()

    @property
    def full_name(self) -> str:
        """``keyspace.name``."""
        return printable(f"{self.subject.keyspace}.{self.subject.name}") if self.subject else ""


def _objects(text: str) -> Iterator[_Object]:
    for statement in statements(text):
        if statement.tokens[0].is_word("VIRTUAL"):  # which a server only pretends to have
            continue
        try:
            yield _Object(statement, subject_of(statement))
        except Corrupt:
            yield _Object(statement, None)


def _texts(text: str) -> dict[str, tuple[str, ...]]:
    """Name → the statements about it, of what is users'."""
    found: dict[str, list[str]] = {}
    for each in _objects(text):
        if each.is_users:
            found.setdefault(each.name, []).append(each.statement.text)
    return {name: tuple(texts) for name, texts in found.items()}


def changes(backup: str, live: str) -> tuple[str, ...]:
    """What users changed from the backup's schema to the live one, one line each; empty when nothing did.

    A text that cannot be read is a line as well: nobody knows what was changed.
    """
    if backup == live:
        return ()
    try:
        before, now = _texts(backup), _texts(live)
    except Corrupt as error:
        return (f"SCHEMA cannot be compared: {error.message}",)
    lines = [f"{name} was dropped" for name in before if name not in now]
    lines += [f"{name} was changed" for name in before if name in now and before[name] != now[name]]
    lines += [f"{name} was created" for name in now if name not in before]
    return tuple(sorted(lines))


def table_ids(text: str) -> Mapping[str, str]:
    """Id (32 hex digits) → ``keyspace.table`` of tables and views, from statements that carry ids. Corrupt."""
    objects = ((object_id(each.options), each.full_name) for each in _objects(text))
    return {table_id: name for table_id, name in objects if table_id}


def gc_grace(text: str) -> Mapping[str, int]:
    """``keyspace.table`` → gc_grace_seconds, of users' tables and views. Corrupt."""
    objects = ((option(each.options, "GC_GRACE_SECONDS"), each) for each in _objects(text) if each.is_users)
    return {each.full_name: int(grace) for grace, each in objects if _GRACE.fullmatch(grace)}
