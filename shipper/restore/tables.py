"""Restoring single tables of a node: which, where their files go, and why they may not. Values in, verdicts out.

Real nodes taught these rules. A column that the live table lacks makes it look empty, with nothing but a line in a log;
a key of another type may be accepted without a word. A table without its views leaves these stale, an index without its
directory says that it is there and finds nothing. The files of a table that was created anew are found only under its
new id, those of a dropped one only when a table with their id is there again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from backupstore.core.cql_text import quoted
from backupstore.core.names import SYSTEM_KEYSPACES
from backupstore.core.schema_statements import Index, Name, SchemaText
from backupstore.errors import Refused
from shipper.restore.columns import column_problems
from shipper.restore.plan import listed
from shipper.restore.selection import Held


@dataclass(frozen=True, slots=True)
class Live:
    """The node's schema now. ``ids``: of tables and views, 32 hex digits; ``truncated``: names, since the backup."""

    schema: SchemaText
    ids: Mapping[Name, str]
    truncated: frozenset[Name] = frozenset()


@dataclass(frozen=True, slots=True)
class Move:
    """The files of one table or view: from ``folder`` of the backup into ``target`` on the node."""

    keyspace: str
    folder: str
    target: str
    files: int

    @property
    def table(self) -> str:
        """Its name without the id."""
        return self.target.partition("-")[0]

    @property
    def name(self) -> str:
        """``keyspace.table``."""
        return f"{self.keyspace}.{self.table}"

    @property
    def unit(self) -> str:
        """Where they go, below a data directory."""
        return f"{self.keyspace}/{self.target}"


@dataclass(frozen=True, slots=True)
class Creation:
    """Something that is not there any more and is created first. ``id``: of a table or a view, 32 hex digits."""

    kind: str
    keyspace: str
    name: str
    id: str | None
    texts: tuple[str, ...]

    @property
    def drop(self) -> str:
        """The statement that takes it back."""
        names = (self.name,) if self.kind == "KEYSPACE" else (self.keyspace, self.name)
        return f"DROP {self.kind} IF EXISTS {quoted(*names)}"

    @property
    def shown(self) -> str:
        """For people: ``TABLE shop.orders``."""
        return f"{self.kind} {self.name if self.kind == 'KEYSPACE' else f'{self.keyspace}.{self.name}'}"


@dataclass(frozen=True, slots=True)
class Rebuild:
    """An index that the backup has no files of, on a table that has some."""

    keyspace: str
    table: str
    index: str

    @property
    def told(self) -> str:
        """For people."""
        return f"the index {self.index} of {self.keyspace}.{self.table} has no files in the backup: it is built anew"


@dataclass(frozen=True, slots=True)
class TablesPlan:
    """What restoring these tables comes to. ``left_out``: moves' hidden folders of indexes that are no more.

    ``changed``: tables that were dropped, created again or truncated since, in words; ``told``: what else people should
    know.
    """

    moves: tuple[Move, ...]
    creations: tuple[Creation, ...] = ()
    left_out: tuple[tuple[Move, str], ...] = ()
    rebuilds: tuple[Rebuild, ...] = ()
    changed: tuple[str, ...] = ()
    told: tuple[str, ...] = ()


def plan_tables(chosen: Sequence[Held], backup: SchemaText, live: Live, *, has_ids: bool) -> TablesPlan:
    """Where everything goes, and what has to be created first. Refused where rows would be silently lost.

    ``has_ids``: whether ``backup`` is the server's own text, from which a table can be created as it was.
    """
    return _Planning(tuple(chosen), backup, live, has_ids).plan()


def would_lose_rows(problems: Sequence[str]) -> Refused:
    """The refusal. ``problems``: what of which table is not as it was."""
    return Refused(
        "The tables are not as they were, and rows would be silently lost:\n" + listed(tuple(problems)),
        hint="Drop what differs (its present rows are lost) and run the same command again: a table is created as it was."
        " To keep both, fetch the files with 'download' and load them elsewhere.",
        operation="restore",
    )


@dataclass(frozen=True, slots=True)
class _Planning:
    chosen: tuple[Held, ...]
    backup: SchemaText
    live: Live
    has_ids: bool

    def plan(self) -> TablesPlan:
        tables = tuple(each for each in self.chosen if each.name not in self.backup.views)
        self._refuse(tables)
        creations = tuple(each for held in tables if self._is_gone(held) for each in self._create(held))
        moves = {each.name: move for each in self.chosen if (move := self._move(each, creations)) is not None}
        rebuilds = tuple(each for held in tables for each in self._rebuilds(held))
        left_out = tuple((moves[each.name], hidden) for each in tables for hidden in self._left_out(each))
        changed = tuple(self._changed(tables, moves))
        told = (*self._left(tables, moves), *(each.told for each in rebuilds), *self._newer(tables))
        return TablesPlan(tuple(moves.values()), tuple(dict.fromkeys(creations)), left_out, rebuilds, changed, told)

    def _is_gone(self, held: Held) -> bool:
        return held.name not in self.live.ids

    def _refuse(self, tables: Sequence[Held]) -> None:
        by_hand = [line for held in tables if self._is_gone(held) for line in self._uncreatable(held)]
        if by_hand:
            raise Refused(
                "Tables were dropped since, and the backup does not say how to create them as they were:\n"
                + listed(tuple(by_hand)),
                hint="Create them by hand, CREATE TABLE … WITH ID = …, with their views and indexes, as schema.cql of"
                " the backup has them ('download' fetches it); then run the same command again.",
                operation="restore",
            )
        problems = [line for held in tables for line in self._problems(held)]
        if problems:
            raise would_lose_rows(problems)

    def _uncreatable(self, held: Held) -> list[str]:
        before = self.backup.tables.get(held.name)
        known = before is not None and self.has_ids and before.id == held.id
        return [] if known else [f"{held.shown}, id {held.id or 'unknown'}"]

    def _problems(self, held: Held) -> Iterator[str]:
        before, now = self.backup.tables.get(held.name), self.live.schema.tables.get(held.name)
        if before is None:
            yield f"{held.shown}: the schema in the backup does not say which columns it has"
            return
        if now is not None:
            yield from (f"{held.shown}: {problem}" for problem in column_problems(before, now))
        elif not self._is_gone(held):
            yield f"{held.shown}: it is no table any more"
        yield from self._type_problems(*held.name)
        yield from self._view_problems(*held.name, exists=now is not None)
        yield from self._index_problems(*held.name)

    def _type_problems(self, keyspace: str, table: str) -> Iterator[str]:
        """Types may have grown since, at their end. Anything else reads old values as something that they are not."""
        for name in self.backup.types_of(keyspace, table):
            before, now = self.backup.types[keyspace, name], self.live.schema.types.get((keyspace, name))
            if now is not None and now.fields[: len(before.fields)] != before.fields:
                yield f"{keyspace}.{table}: its type {name} was changed since"

    def _view_problems(self, keyspace: str, table: str, *, exists: bool) -> Iterator[str]:
        before, now = self.backup.views_of(keyspace, table), self.live.schema.views
        held = {each.name for each in self.chosen}
        for name in self.live.schema.views_of(keyspace, table):
            if name not in before:
                yield f"{keyspace}.{table}: its view {name} was created since, and would be stale"
        for name, view in before.items():
            live = now.get((keyspace, name))
            if live is None and (keyspace, name) in self.live.ids:
                yield f"{keyspace}.{table}: its view {name} is a table now"
            elif live is not None and live.definition != view.definition:
                yield f"{keyspace}.{table}: its view {name} was changed since"
            elif (live is not None or not exists) and (keyspace, name) not in held:
                yield f"{keyspace}.{table}: the backup has no files of its view {name}"

    def _index_problems(self, keyspace: str, table: str) -> Iterator[str]:
        now = self.live.schema.indexes
        for name, index in self.backup.indexes_of(keyspace, table).items():
            live = now.get((keyspace, name))
            if live is not None and (live.table, live.definition) != (index.table, index.definition):
                yield f"{keyspace}.{table}: its index {name} was changed since"

    def _create(self, held: Held) -> Iterator[Creation]:
        """The dropped table, what it needs, and what it had, in the order in which they can be created."""
        keyspace, name = held.name
        if keyspace not in self.live.schema.keyspaces and keyspace in self.backup.keyspaces:
            yield Creation("KEYSPACE", keyspace, keyspace, None, (self.backup.keyspaces[keyspace],))
        for of in self.backup.types_of(keyspace, name):
            if (keyspace, of) not in self.live.schema.types:
                yield Creation("TYPE", keyspace, of, None, (self.backup.types[keyspace, of].text,))
        table, indexes = self.backup.tables[held.name], self.backup.indexes_of(keyspace, name).values()
        yield Creation("TABLE", keyspace, name, table.id, (*table.texts, *(index.text for index in indexes)))
        for of, view in self.backup.views_of(keyspace, name).items():
            yield Creation("MATERIALIZED VIEW", keyspace, of, view.id, (view.text,))

    def _move(self, held: Held, creations: Sequence[Creation]) -> Move | None:
        """None for a view that was dropped while its table is still there."""
        if any((each.keyspace, each.name, each.id) == (*held.name, held.id) for each in creations):
            return Move(held.keyspace, held.folder, held.folder, held.files)
        live = self.live.ids.get(held.name)
        return Move(held.keyspace, held.folder, f"{held.name[1]}-{live}", held.files) if live else None

    def _indexes_after(self, held: Held) -> Mapping[str, Index]:
        """Those that the table will have."""
        return (self.backup if self._is_gone(held) else self.live.schema).indexes_of(*held.name)

    def _rebuilds(self, held: Held) -> list[Rebuild]:
        return [
            Rebuild(*held.name, name)
            for name, index in sorted(self._indexes_after(held).items())
            if held.files and not index.custom and f".{name}" not in held.indexes
        ]

    def _left_out(self, held: Held) -> list[str]:
        after = self._indexes_after(held)
        return [hidden for hidden in sorted(held.indexes) if hidden[1:] not in after]

    def _changed(self, tables: Sequence[Held], moves: Mapping[Name, Move]) -> Iterator[str]:
        for each in tables:
            if self._is_gone(each):
                yield f"{each.shown} was dropped since: it is created again with its id, its indexes and views"
            elif moves[each.name].target != each.folder:
                yield f"{each.shown} was dropped and created again since: its files go to the new id"
            if each.name in self.live.truncated:
                yield f"{each.shown} was truncated since: its rows come back"

    def _left(self, tables: Sequence[Held], moves: Mapping[Name, Move]) -> Iterator[str]:
        for each in self.chosen:
            if each.name not in moves:
                yield f"the view {each.shown} was dropped since and stays so"
        for each in tables:
            after = self._indexes_after(each)
            for name in self.backup.indexes_of(*each.name):
                if name not in after:
                    yield f"the index {name} of {each.shown} was dropped since and stays so"

    def _newer(self, tables: Sequence[Held]) -> list[str]:
        """Of the keyspaces in which something is restored; nobody named them, and nobody touches them."""
        keyspaces = {each.keyspace for each in tables} - SYSTEM_KEYSPACES
        return [
            f"{'.'.join(name)} is not in the backup and stays as it is"
            for name in sorted(self.live.schema.tables)
            if name[0] in keyspaces and name not in self.backup.tables
        ]
