"""What kind of object a CQL statement of a schema creates or alters, its names, and the columns of a table or type."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from backupstore.core.cql_text import CqlStatement, Cursor, Token
from backupstore.errors import Corrupt

Verb = Literal["create", "alter"]
Kind = Literal["keyspace", "type", "function", "aggregate", "table", "index", "view", "trigger"]

_KINDS: tuple[tuple[tuple[str, ...], Kind], ...] = (
    (("KEYSPACE",), "keyspace"),
    (("TYPE",), "type"),
    (("FUNCTION",), "function"),
    (("AGGREGATE",), "aggregate"),
    (("TABLE",), "table"),
    (("COLUMNFAMILY",), "table"),
    (("MATERIALIZED", "VIEW"), "view"),
    (("CUSTOM", "INDEX"), "index"),
    (("INDEX",), "index"),
    (("TRIGGER",), "trigger"),
)
_SIGNED = frozenset({"function", "aggregate"})
_ATTACHED = frozenset({"index", "trigger"})
_COLUMN_ENDS = ("STATIC", "PRIMARY", "MASKED", "CHECK")
_PAIR = 2
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PLAIN = re.compile(r"[a-z][a-z0-9_]*")
_ALIASES = {"varchar": "text"}


@dataclass(frozen=True, slots=True)
class Subject:
    """What a statement is about. Names as on disk; the keyspace is empty where the text says none.

    ``arguments``: of a function or aggregate the types that belong to its name, spelled alike whoever wrote them, else
    None. ``table``: of an index, a trigger or a view, that which it belongs to. ``rest``: the position of the first
    token behind the names, ``names`` that of the first one of the names; "IF NOT EXISTS" stands before them.
    """

    verb: Verb
    kind: Kind
    keyspace: str
    name: str
    arguments: tuple[str, ...] | None
    table: str
    custom: bool
    names: int
    rest: int


@dataclass(frozen=True, slots=True)
class Columns:
    """A table's columns, name → type, and which of them make its key, partition key first."""

    types: Mapping[str, str]
    partition_key: tuple[str, ...]
    clustering: tuple[str, ...]
    static: frozenset[str]


def subject_of(statement: CqlStatement) -> Subject:
    """What a statement is about. Corrupt when it neither creates nor alters a thing that schemas are made of."""
    cursor = Cursor(statement)
    verb: Verb = "create" if cursor.took("CREATE") else "alter"
    if verb == "alter":
        cursor.need("ALTER")
    else:
        cursor.took("OR", "REPLACE")
    start = cursor.here
    kind = next((kind for words, kind in _KINDS if cursor.took(*words)), None)
    if kind is None:
        raise cursor.bad("nobody knows what is created or altered")
    cursor.took("IF", "NOT", "EXISTS") or cursor.took("IF", "EXISTS")
    names = cursor.at
    keyspace, name, table = _names(cursor, kind)
    arguments = None
    if kind in _SIGNED and verb == "create":
        at = cursor.at
        first = 1 if kind == "function" else 0  # a function names its arguments
        arguments = tuple(_type(part[first:], keyspace) for part in cursor.inside("(", ")"))
        cursor.at = at
    custom = start is not None and start.is_word("CUSTOM")
    return Subject(verb, kind, keyspace, name, arguments, table, custom, names, cursor.at)


def _names(cursor: Cursor, kind: Kind) -> tuple[str, str, str]:
    """Keyspace, name, and the table that it belongs to."""
    if kind == "keyspace":
        name = cursor.name()
        return name, name, ""
    if kind in _ATTACHED:
        # CREATE INDEX ON t (c): Cassandra finds a name for it.
        unnamed = cursor.took("ON")
        name = "" if unnamed else cursor.name()
        if not unnamed:
            cursor.need("ON")
        keyspace, table = cursor.qualified()
        return keyspace, name, table
    keyspace, name = cursor.qualified()
    return keyspace, name, _base(cursor) if kind == "view" else ""


def _base(cursor: Cursor) -> str:
    """The table that a view selects from; empty where its text selects nothing, as one that alters it."""
    at = cursor.at
    while (token := cursor.here) is not None:
        cursor.at += 1
        if token.is_word("FROM"):
            _, table = cursor.qualified()
            cursor.at = at
            return table
    cursor.at = at
    return ""


def table_columns(statement: CqlStatement) -> Columns:
    """The columns of a statement that creates a table. Corrupt when they cannot be read."""
    subject = subject_of(statement)
    cursor = Cursor(statement, subject.rest)
    types: dict[str, str] = {}
    static: set[str] = set()
    key: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    for part in cursor.inside("(", ")"):
        if _is_key(part):
            key = _primary_key(part[2:], cursor)
            continue
        name = _name(part, cursor)
        ends = [at for at, token in enumerate(part) if at and any(map(token.is_word, _COLUMN_ENDS))]
        types[name] = _type(part[1 : ends[0] if ends else None], subject.keyspace)
        words = {token.text.upper() for token in part[ends[0] :] if token.kind == "word"} if ends else set()
        if "STATIC" in words:
            static.add(name)
        if "PRIMARY" in words:
            key = ((name,), ())
    return Columns(types, *key, frozenset(static))


def _is_key(part: Sequence[Token]) -> bool:
    return len(part) > _PAIR and part[0].is_word("PRIMARY") and part[1].is_word("KEY")


def _primary_key(part: Sequence[Token], cursor: Cursor) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """``((a, b), c)`` or ``(a, c)``: partition key and clustering columns."""
    outer = Cursor(CqlStatement("PRIMARY KEY", tuple(part))).inside("(", ")")
    if not outer:
        raise cursor.bad("the key is empty")
    first = outer[0]
    opens = first[0].kind == "mark" and first[0].text == "("
    inner = Cursor(CqlStatement("PRIMARY KEY", first)).inside("(", ")") if opens else (first,)
    return tuple(_name(each, cursor) for each in inner), tuple(_name(each, cursor) for each in outer[1:])


def type_fields(statement: CqlStatement) -> tuple[tuple[str, str], ...]:
    """The fields of a statement that creates a type, in its order: name, and type."""
    subject = subject_of(statement)
    cursor = Cursor(statement, subject.rest)
    return tuple((_name(part, cursor), _type(part[1:], subject.keyspace)) for part in cursor.inside("(", ")"))


def types_named(statement: CqlStatement, known: Iterable[str]) -> frozenset[str]:
    """Which of a keyspace's types a statement that creates something in it speaks of, where a type may stand."""
    subject = subject_of(statement)
    wanted = frozenset(known)
    spoken = set()
    for part in _typed(statement, subject):
        spoken |= {name for token in part if (name := token.name) is not None}
    return wanted & spoken


def _typed(statement: CqlStatement, subject: Subject) -> Iterable[Sequence[Token]]:
    """The parts of a statement in which types are named."""
    if subject.verb == "alter":
        return
    cursor = Cursor(statement, subject.rest)
    if subject.kind in {"table", "type"}:
        yield from (part[1:] for part in cursor.inside("(", ")") if not _is_key(part))
    elif subject.kind == "function":
        yield from (part[1:] for part in cursor.inside("(", ")"))
        yield _after(cursor, "RETURNS", "LANGUAGE")
    elif subject.kind == "aggregate":
        yield from cursor.inside("(", ")")
        yield _after(cursor, "STYPE", "FINALFUNC", "INITCOND")


def functions_named(statement: CqlStatement) -> frozenset[str]:
    """The names of the functions of its own keyspace that an aggregate calls; nothing else that schemas have calls any."""
    subject = subject_of(statement)
    if subject.kind != "aggregate":
        return frozenset()
    cursor = Cursor(statement, subject.rest)
    cursor.inside("(", ")")
    rest = cursor.rest()
    found = (
        following.name for token, following in pairwise(rest) if token.is_word("SFUNC") or token.is_word("FINALFUNC")
    )
    return frozenset(name for name in found if name is not None)


def _after(cursor: Cursor, word: str, *ends: str) -> Sequence[Token]:
    """The tokens behind a word, up to one of others."""
    found: list[Token] = []
    inside = False
    for token in cursor.rest():
        if inside and any(map(token.is_word, ends)):
            break
        if inside:
            found.append(token)
        inside = inside or token.is_word(word)
    return found


def _name(part: Sequence[Token], cursor: Cursor) -> str:
    name = part[0].name if part else None
    if name is None:
        raise cursor.bad("a column has no name")
    return name


def _type(part: Sequence[Token], keyspace: str) -> str:
    """A type as one word: without spaces, its own keyspace left out, quotes only where they matter."""
    spelled: list[str] = []
    names: list[str | None] = []
    for token in part:
        plain = token.name is not None and _PLAIN.fullmatch(token.name)
        spelled.append(_ALIASES.get(token.name or "", token.name or "") if plain else token.text)
        names.append(token.name)
        if names[-2:-1] == [keyspace] and spelled[-1] == ".":
            del spelled[-2:], names[-2:]
    return "".join(spelled)


def option(tokens: Iterable[Token], name: str) -> str:
    """What stands behind ``name =``, in capitals or not, the first time it is said; empty when it never is."""
    for (word, mark), (_, value) in pairwise(pairwise(tokens)):
        if word.is_word(name) and mark.kind == "mark" and mark.text == "=":
            return value.text
    return ""


def object_id(options: Iterable[Token]) -> str | None:
    """The id of a table or view, 32 hex digits, where its options tell one."""
    found = option(options, "ID").lower()
    return found.replace("-", "") if _ID.fullmatch(found) else None


def check_schema_text(statement: CqlStatement) -> None:
    """Corrupt unless a statement can be understood, its columns too where it has some."""
    subject = subject_of(statement)
    if subject.verb == "create" and subject.kind == "table" and not table_columns(statement).partition_key:
        raise Corrupt(
            f"The table {subject.keyspace}.{subject.name} has no key.",
            hint="Choose another backup.",
            operation="schema",
        )
    if subject.verb == "create" and subject.kind == "type":
        type_fields(statement)
