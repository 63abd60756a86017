"""A schema's text as what has to be known of its tables before files are put under them.

    found = read_schema(describe_cql)
    found.tables["shop", "orders"].columns, found.views_of("shop", "orders"), found.indexes_of("shop", "orders")

Both forms of text are read: the server's (``DESCRIBE SCHEMA WITH INTERNALS``, with ids, and with dropped columns as
``CREATE …; ALTER … DROP … USING TIMESTAMP``) and the driver's, which has neither. The text may come from a hostile
bucket: what cannot be understood is Corrupt, never left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise

from backupstore.core.cql_objects import (
    Columns,
    Subject,
    functions_named,
    object_id,
    subject_of,
    table_columns,
    type_fields,
    types_named,
)
from backupstore.core.cql_text import CqlStatement, Cursor, Token, statements
from backupstore.errors import Corrupt

Name = tuple[str, str]
"""Keyspace, and the name of what is in it, both as on disk."""

Signature = tuple[str, str, tuple[str, ...]]
"""Of a function or aggregate: keyspace, name and the types of its arguments."""

_MOST_STATEMENTS = 200_000
_ATTACHED = frozenset({"storageattachedindex", "sai"})


@dataclass(frozen=True, slots=True)
class Table:
    """A table. ``columns`` are those that it has, ``dropped`` those it had: name → microseconds of the last drop.

    A column that was dropped and added again is in both. ``id``: 32 hex digits, None where the text has none;
    ``descending``: clustering columns in descending order; ``texts``: the statements that make it, in their order;
    ``types``: which types of its keyspace its columns are of.
    """

    columns: Columns
    id: str | None
    descending: frozenset[str]
    types: frozenset[str]
    texts: tuple[str, ...]
    dropped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class View:
    """A materialized view of ``base``. ``definition``: what it selects, by which key and in which order."""

    base: str
    id: str | None
    definition: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Index:
    """An index on ``table``. ``custom``: made by a class, such as SAI, whose files lie among those of the table."""

    table: str
    custom: bool
    definition: tuple[str, ...]
    text: str

    @property
    def is_attached(self) -> bool:
        """Whether it is SAI: each SSTable that a node is sent has to bring its part of the index along."""
        using = [after for word, after in pairwise(self.definition) if word == "using"]
        return any(name.rpartition(".")[2].lower() in _ATTACHED for name in using)


@dataclass(frozen=True, slots=True)
class UserType:
    """A user's type: its fields, name and type, in their order; ``types``: others of its keyspace that they are of."""

    fields: tuple[tuple[str, str], ...]
    types: frozenset[str]
    text: str


@dataclass(frozen=True, slots=True)
class Routine:
    """A function, or an aggregate of functions that it ``calls``; ``types``: those of its keyspace that it speaks of."""

    is_aggregate: bool
    definition: tuple[str, ...]
    types: frozenset[str]
    calls: frozenset[str]
    text: str


@dataclass(frozen=True, slots=True)
class SchemaText:
    """All of a schema, in the order of its text. ``keyspaces``: name → statement that makes it.

    ``triggers``: keyspace and table → statements that make its triggers.
    """

    keyspaces: Mapping[str, str] = field(default_factory=dict)
    types: Mapping[Name, UserType] = field(default_factory=dict)
    tables: Mapping[Name, Table] = field(default_factory=dict)
    views: Mapping[Name, View] = field(default_factory=dict)
    indexes: Mapping[Name, Index] = field(default_factory=dict)
    routines: Mapping[Signature, Routine] = field(default_factory=dict)
    triggers: Mapping[Name, tuple[str, ...]] = field(default_factory=dict)

    def views_of(self, keyspace: str, table: str) -> dict[str, View]:
        """Name → view, of one table."""
        return {name: view for (of, name), view in self.views.items() if (of, view.base) == (keyspace, table)}

    def indexes_of(self, keyspace: str, table: str) -> dict[str, Index]:
        """Name → index, of one table."""
        return {name: index for (of, name), index in self.indexes.items() if (of, index.table) == (keyspace, table)}

    def types_of(self, keyspace: str, table: str) -> tuple[str, ...]:
        """The types of its keyspace that a table's columns are of, each behind those that it is made of."""
        reached = set(self.tables[keyspace, table].types)
        while more := {inner for name in reached for inner in self._inner(keyspace, name)} - reached:
            reached |= more
        # The order of the text: a server tells of a type before it tells of those made of it.
        return tuple(name for of, name in self.types if of == keyspace and name in reached)

    def _inner(self, keyspace: str, name: str) -> frozenset[str]:
        found = self.types.get((keyspace, name))
        return found.types if found else frozenset()

    def only(self, keyspaces: Iterable[str]) -> SchemaText:
        """What belongs to some keyspaces."""
        kept = frozenset(keyspaces)
        parts = {each.name: getattr(self, each.name) for each in fields(self)}
        return SchemaText(
            **{
                part: {name: each for name, each in found.items() if (name if part == "keyspaces" else name[0]) in kept}
                for part, found in parts.items()
            }
        )

    def joined(self, other: SchemaText) -> SchemaText:
        """Both; where both tell of a thing, the other one's word counts."""
        parts = (each.name for each in fields(self))
        return SchemaText(**{part: {**getattr(self, part), **getattr(other, part)} for part in parts})


def read_schema(text: str) -> SchemaText:
    """Everything in a schema's text. Corrupt when a statement of it cannot be understood."""
    pairs = list(_pairs(text))
    known: dict[str, set[str]] = {}
    for _, subject in pairs:
        if subject.kind == "type":
            known.setdefault(subject.keyspace, set()).add(subject.name)
    reading = _Reading()
    for statement, subject in pairs:
        reading.take(statement, subject, known.get(subject.keyspace, set()))
    return SchemaText(**{each.name: getattr(reading, each.name) for each in fields(reading)})


def _pairs(text: str) -> Iterator[tuple[CqlStatement, Subject]]:
    for count, statement in enumerate(statements(text)):
        if count >= _MOST_STATEMENTS:
            raise Corrupt(
                f"The schema has more than {_MOST_STATEMENTS:,} statements.",
                hint="No cluster has as many: choose another backup, and find out who wrote this.",
                operation="schema",
            )
        # The driver tells in this way of what a server only pretends to have: VIRTUAL KEYSPACE system_views.
        if not statement.tokens[0].is_word("VIRTUAL"):
            yield statement, subject_of(statement)


@dataclass(frozen=True, slots=True)
class _Reading:
    """A schema's text, read so far."""

    keyspaces: dict[str, str] = field(default_factory=dict)
    types: dict[Name, UserType] = field(default_factory=dict)
    tables: dict[Name, Table] = field(default_factory=dict)
    views: dict[Name, View] = field(default_factory=dict)
    indexes: dict[Name, Index] = field(default_factory=dict)
    routines: dict[Signature, Routine] = field(default_factory=dict)
    triggers: dict[Name, tuple[str, ...]] = field(default_factory=dict)

    def take(self, statement: CqlStatement, subject: Subject, types: set[str]) -> None:
        """Take one statement; ``types`` are all those of its keyspace."""
        name = (subject.keyspace, subject.name)
        if subject.verb == "alter":
            if subject.kind == "table" and name in self.tables:
                self.tables[name] = _altered(self.tables[name], statement, subject)
        elif subject.kind == "keyspace":
            self.keyspaces[subject.name] = statement.text
        elif subject.kind == "type":
            self.types[name] = UserType(type_fields(statement), types_named(statement, types), statement.text)
        elif subject.kind == "table":
            self.tables[name] = _table(statement, subject, types)
        elif subject.kind == "view":
            self.views[name] = _view(statement, subject)
        elif subject.kind == "index":
            definition = _spelled(statement.tokens[subject.rest :])
            self.indexes[name] = Index(subject.table, subject.custom, definition, statement.text)
        elif subject.kind == "trigger":
            table = (subject.keyspace, subject.table)
            self.triggers[table] = (*self.triggers.get(table, ()), statement.text)
        else:
            signature = (*name, subject.arguments or ())
            definition, calls = _spelled(statement.tokens[subject.rest :]), functions_named(statement)
            spoken = types_named(statement, types)
            self.routines[signature] = Routine(subject.kind == "aggregate", definition, spoken, calls, statement.text)


def _table(statement: CqlStatement, subject: Subject, types: set[str]) -> Table:
    cursor = Cursor(statement, subject.rest)
    cursor.inside("(", ")")
    options = cursor.rest()
    return Table(
        columns=table_columns(statement),
        id=object_id(options),
        descending=_descending(statement, cursor.at),
        types=types_named(statement, types),
        texts=(statement.text,),
    )


def _altered(table: Table, statement: CqlStatement, subject: Subject) -> Table:
    """What a server tells behind a table: ``DROP c USING TIMESTAMP n``, ``ADD c type``."""
    cursor, columns, dropped = Cursor(statement, subject.rest), table.columns, dict(table.dropped)
    types, static = dict(columns.types), set(columns.static)
    if cursor.took("DROP"):
        name = cursor.name()
        types.pop(name, None)
        static.discard(name)
        dropped[name] = _number(cursor) if cursor.took("USING", "TIMESTAMP") else 0
    elif cursor.took("ADD"):
        begin = Cursor(statement, subject.rest + 1)
        name = begin.name()
        added = table_columns(_as_table(statement, subject))
        types[name] = added.types[name]
        static |= added.static
    else:
        return replace(table, texts=(*table.texts, statement.text))
    changed = replace(columns, types=types, static=frozenset(static))
    return replace(table, columns=changed, dropped=dropped, texts=(*table.texts, statement.text))


def _as_table(statement: CqlStatement, subject: Subject) -> CqlStatement:
    """The column that a statement adds, as the only one of a table."""
    names = statement.tokens[subject.names : subject.rest]
    column = statement.tokens[subject.rest + 1 :]
    parts = (Token("word", "CREATE"), Token("word", "TABLE"), *names, Token("mark", "("), *column, Token("mark", ")"))
    return CqlStatement(statement.text, parts)


def _number(cursor: Cursor) -> int:
    token = cursor.here
    if token is None or not token.text.isdecimal():
        raise cursor.bad("a time is missing")
    return int(token.text)


def _view(statement: CqlStatement, subject: Subject) -> View:
    tokens = statement.tokens[subject.rest :]
    ends = [at for at, token in enumerate(tokens) if token.is_word("WITH")]
    selects, options = (tokens[: ends[-1]], tokens[ends[-1] :]) if ends else (tokens, ())
    order = sorted(_descending(statement, subject.rest))
    return View(subject.table, object_id(options), (*_spelled(selects), *order), statement.text)


def _descending(statement: CqlStatement, at: int) -> frozenset[str]:
    """The columns of ``CLUSTERING ORDER BY (a DESC, b ASC)``."""
    for position in range(at, len(statement.tokens)):
        cursor = Cursor(statement, position)
        if cursor.took("CLUSTERING", "ORDER", "BY"):
            columns = cursor.inside("(", ")")
            return frozenset(part[0].name or "" for part in columns if part[-1].is_word("DESC"))
    return frozenset()


def _spelled(tokens: Iterable[Token]) -> tuple[str, ...]:
    """Alike for alike statements, whoever wrote them."""
    return tuple(token.name if token.name is not None else token.value for token in tokens)
