"""A server that knows nothing but its schema, and refuses what Cassandra refuses: what is still used, what is not there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from backupstore.core.cql_objects import Subject, subject_of
from backupstore.core.cql_text import Cursor, statements
from backupstore.core.schema_statements import SchemaText, read_schema
from backupstore.errors import NodeTrouble

Key = tuple[str, str, str, tuple[str, ...]]


@dataclass
class CqlServer:
    """``texts``: what each thing was made by. The order in which things came is that of a real server's telling, or any."""

    texts: dict[Key, list[str]] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)

    @classmethod
    def having(cls, text: str) -> CqlServer:
        server = cls()
        for statement in statements(text):
            server.change(statement.text)
        server.done.clear()
        return server

    def described(self) -> str:
        return ";\n".join(text for texts in self.texts.values() for text in texts) + ";"

    @property
    def schema(self) -> SchemaText:
        return read_schema(self.described())

    def change(self, text: str) -> None:
        (statement,) = statements(text)
        if statement.tokens[0].is_word("DROP"):
            self._drop(Cursor(statement, 1))
        else:
            self._make(subject_of(statement), text)
        self.done.append(text)

    def _make(self, subject: Subject, text: str) -> None:
        key = self._key(subject)
        if subject.verb == "alter":
            if key not in self.texts:
                raise NodeTrouble(f"no table {subject.name}")
            if " DROP " in text and text.split(" DROP ")[1].split(maxsplit=1)[0] not in self._columns(subject):
                raise NodeTrouble("Column was not found")
            if " ADD " in text and text.split(" ADD ")[1].split(maxsplit=1)[0] in self._columns(subject):
                raise NodeTrouble("conflicts with an existing column")
            self.texts[key].append(text)
            return
        if key in self.texts:
            if "IF NOT EXISTS" not in text:
                raise NodeTrouble(f"{key} is there already")
            return
        if subject.kind != "keyspace" and ("keyspace", subject.keyspace, subject.keyspace, ()) not in self.texts:
            raise NodeTrouble(f"Keyspace {subject.keyspace} doesn't exist")
        for needed in self._needs(subject, text):
            if needed not in self.texts:
                raise NodeTrouble(f"{needed} is not there, and {subject.name} needs it")
        self.texts[key] = [text.replace("IF NOT EXISTS ", "")]

    def _columns(self, subject: Subject) -> set[str]:
        return set(self.schema.tables[subject.keyspace, subject.name].columns.types)

    def _needs(self, subject: Subject, text: str) -> Iterator[Key]:
        whole = read_schema(self.described() + text)
        name = (subject.keyspace, subject.name)
        if subject.kind in {"view", "index"}:
            yield ("table", subject.keyspace, subject.table, ())
        types = {
            "table": lambda: whole.tables[name].types,
            "type": lambda: whole.types[name].types,
        }.get(subject.kind, frozenset[str])()
        if subject.kind in {"function", "aggregate"}:
            routine = whole.routines[subject.keyspace, subject.name, subject.arguments or ()]
            types = routine.types
            for called in routine.calls:
                if not any(key[:3] == ("function", subject.keyspace, called) for key in self.texts):
                    yield ("function", subject.keyspace, called, ())
        # What a text speaks of is only known as a type once it is one: made-up types are all called t….
        spoken = {word.strip("<>,()") for word in text.replace("<", " ").replace(">", " ").split()}
        for each in {*types, *(word for word in spoken if word in {"t1", "t2", "t3"} and word != subject.name)}:
            yield ("type", subject.keyspace, each, ())

    def _drop(self, cursor: Cursor) -> None:
        kind = next(
            kind
            for words, kind in (
                (("MATERIALIZED", "VIEW"), "view"),
                (("TABLE",), "table"),
                (("TYPE",), "type"),
                (("AGGREGATE",), "aggregate"),
                (("FUNCTION",), "function"),
            )
            if cursor.took(*words)
        )
        cursor.need("IF", "EXISTS")
        name = cursor.qualified()
        arguments: tuple[str, ...] = ()
        if kind in {"aggregate", "function"}:
            arguments = tuple("".join(token.text for token in part) for part in cursor.inside("(", ")"))
        key = (kind, *name, arguments)
        if key not in self.texts:
            return
        self._check_unused(kind, name)
        del self.texts[key]
        if kind == "table":
            for other in [each for each in self.texts if each[0] == "index" and each[1] == name[0]]:
                if self.schema.indexes[other[1], other[2]].table == name[1]:
                    del self.texts[other]

    def _check_unused(self, kind: str, name: tuple[str, str]) -> None:
        schema = self.schema
        users: list[object] = []
        if kind == "table":
            users += schema.views_of(*name)
        if kind == "type":
            parts = (schema.tables, schema.types, schema.routines)
            users += [
                other for part in parts for other, each in part.items() if other[0] == name[0] and name[1] in each.types
            ]
        if kind == "function":
            users += [other for other, each in schema.routines.items() if other[0] == name[0] and name[1] in each.calls]
        if users:
            raise NodeTrouble(f"{kind} {name} is still used by {users}")

    @staticmethod
    def _key(subject: Subject) -> Key:
        return (subject.kind, subject.keyspace, subject.name, subject.arguments or ())
