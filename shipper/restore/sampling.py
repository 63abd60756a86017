"""Looking into restored tables before the commit: rows are counted, as far as that is cheap, and indexes asked.

An index may say that it is there and find nothing: one that does not find a value that was just read is built anew, and
if it still does not, it is not good. Of single tables, which people have named, an index that finds nothing, or a table
that does not answer, takes the restore back; the rest is told. Of a whole node all of it is told, and its operator decides:
the other tables are good, and [checks] says what must be.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from uuid import UUID

from backupstore.core.cql_text import quoted
from backupstore.core.names import SYSTEM_KEYSPACES
from backupstore.core.schema_statements import Index, Name, SchemaText, Table, read_schema
from backupstore.core.shown import counted, printable, some_of
from backupstore.errors import BackupError, Denied, NodeTrouble
from backupstore.ports import Clock
from shipper.cassandra.port import Undecoded
from shipper.in_threads import Ended
from shipper.progress import Progress
from shipper.restore.patience import patiently
from shipper.restore.port import Rows, Service
from shipper.site import Site

_log = logging.getLogger("medusa-shipper")

_COUNTED = 1000
_READ = 20
_PLAIN = (str, int, UUID, bytes)
"""Values whose equality means the same here and there."""
_LONGEST = 120.0
"""Seconds for all tables of a node: it takes a read or two of each."""
_SHOWN = 6


@dataclass(slots=True)
class Found:
    """What there was to see: so many tables and views with and without rows, so many indexes that find them.

    ``bare``: those without any row, though there are files; ``unread`` with the reason; ``blind``: indexes that find
    nothing; ``unasked``: indexes of which nobody knows, for want of a plain value or an answer, ``mute`` when one gave none;
    ``undecoded``: those with rows that cannot be shown, with the reason; ``left_out``: so many tables were not looked at, for
    want of time.
    """

    filled: int = 0
    empty: int = 0
    indexes: int = 0
    bare: list[str] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)
    blind: list[str] = field(default_factory=list)
    unasked: list[str] = field(default_factory=list)
    undecoded: dict[str, str] = field(default_factory=dict)
    mute: bool = False
    left_out: int = 0

    @property
    def good(self) -> str:
        """In a sentence, for people."""
        asked = f" Indexes that find them: {self.indexes}." if self.indexes else ""
        unasked = f" Not asked: {_named(self.unasked)}." if self.unasked else ""
        return f"Tables and views with rows: {self.filled}, without: {self.empty}.{asked}{unasked}"

    @property
    def bad(self) -> tuple[str, ...]:
        """What an operator should look into, a sentence each."""
        said = []
        if self.unread:
            said.append(f"Not read, so that nobody knows whether they are good: {_with_reason(self.unread)}.")
        if self.undecoded:
            said.append(
                "There are rows with values that cannot be shown here, such as times after the year 9999, so that they were"
                f" not counted: {_with_reason(self.undecoded)}. Look at them with cqlsh."
            )
        if self.blind:
            said.append(
                f"Indexes that do not find rows that are there: {_named(self.blind)}. Drop and create them anew."
            )
        if self.bare:
            said.append(
                f"There are SSTables and no row of {_named(self.bare)}: unless all rows were deleted or had expired, look"
                " into Cassandra's system.log, and restore another backup."
            )
        if self.left_out:
            said.append(f"Tables that nobody looked at, for it took too long: {self.left_out}.")
        return tuple(said)


@dataclass(frozen=True, slots=True)
class Sampling:
    """``schema``: as the node has it now."""

    service: Service
    clock: Clock
    schema: SchemaText
    progress: Progress
    found: Found = field(default_factory=Found)

    def look_at_all(self, tables: Iterable[tuple[Name, bool]]) -> None:
        """Look at tables and views, each with whether it has files. Nothing is raised: it is all in ``found``.

        A storage attached index may still be built, and refuse to answer: those do not keep others from being looked at.
        """
        self.progress.step("reading a few rows of each table")
        end = self.clock.running() + _LONGEST
        for name, has_files in sorted(tables, key=lambda each: self._may_wait(each[0])):
            if self.clock.running() > end:
                self.found.left_out += 1
                continue
            with _Spared(partial(self.found.unread.__setitem__, ".".join(name))):
                self.look(name, has_files=has_files)

    def look(self, name: Name, *, has_files: bool) -> str:
        """Look at one table or view, and say how many rows it has. NodeTrouble when it cannot be read."""
        table = self.schema.tables.get(name)
        try:
            count, is_all = self._count(name, table)
        except Denied as error:
            self.found.unread[".".join(name)] = error.message
            return "not read"
        self.found.filled += bool(count)
        self.found.empty += not count
        if has_files and not count:
            self.found.bare.append(".".join(name))
        for index, of in self.schema.indexes_of(*name).items():
            if count:
                self._ask_index(name, index, of, _plain_column(table, of) if table else None)
        return f"{'' if is_all else 'at least '}{counted(count, 'row')}"

    def tell(self) -> str:
        """Say what was found, and return it: first what is not good, for somebody may cut it short."""
        for line in self.found.bad:
            self.progress.warn(line)
        self.progress.step(self.found.good)
        return " ".join((*self.found.bad, self.found.good))

    def _count(self, name: Name, table: Table | None) -> tuple[int, bool]:
        """How many rows, and whether there are no more. Whole rows are read of the first ones only, for they may be large."""
        key = (*table.columns.partition_key, *table.columns.clustering) if table else ()
        count = 1
        try:
            count = some = len(self._ask(lambda: self._rows(name, (), _READ), patient=not self.found.unread))
            if some == _READ and key:
                count = len(self._rows(name, key, _COUNTED))
        except Undecoded as error:
            self.found.undecoded[".".join(name)] = error.message
            return count, False
        return count, count < (_COUNTED if key else _READ)

    def _ask(self, question: Callable[[], Rows], *, patient: bool) -> Rows:
        """A node that has just started is given time, once: one that does not answer then will not a second later."""
        return patiently(self.clock, question) if patient else question()

    def _rows(self, name: Name, columns: tuple[str, ...], limit: int) -> Rows:
        what = ", ".join(map(quoted, columns)) or "*"
        return self.service.query(f"SELECT {what} FROM {quoted(*name)} LIMIT {limit}")  # noqa: S608 - quoted names

    def _ask_index(self, name: Name, index: str, of: Index, column: str | None) -> None:
        called = f"{index} of {'.'.join(name)}"
        try:
            values = (row[0] for row in self._rows(name, (column,), _READ)) if column else iter(())
            value = next((each for each in values if isinstance(each, _PLAIN)), None)
            if column is None or value is None:
                self.found.unasked.append(called)
                return
            finds = self._finds(name, column, value)
            if not finds and not of.custom:
                self.progress.step(f"building the index {called} anew: it found nothing")
                self.service.rebuild_index(*name, index)
                finds = self._finds(name, column, value)
        except (NodeTrouble, Denied) as error:
            self.progress.warn(f"the index {called} was not checked: {error.message}")
            self.found.unasked.append(called)
            self.found.mute = True
            return
        self.found.indexes += finds
        if not finds:
            self.found.blind.append(called)

    def _finds(self, name: Name, column: str, value: object) -> bool:
        select = f"SELECT {quoted(column)} FROM {quoted(*name)} WHERE {quoted(column)} = "  # noqa: S608 - quoted names
        # The driver puts values into the text by Python's '%'.
        asked = f"{select.replace('%', '%%')}%s LIMIT 1"
        patient = not (self.found.unread or self.found.mute)
        return bool(self._ask(lambda: self.service.query(asked, (value,)), patient=patient))

    def _may_wait(self, name: Name) -> bool:
        return any(each.custom or each.is_attached for each in self.schema.indexes_of(*name).values())


def look_into(site: Site, service: Service, progress: Progress, meant: SchemaText | None = None) -> str:
    """What the tables and views of a node hold, in sentences; first what is not good. ``meant``: only of these.

    For where this decides nothing: a look that fails, by whatever error, is told instead.
    """
    failed = list[str]()
    with _Spared(failed.append), service.asking():
        sampling = Sampling(service, site.clock, read_schema(site.cassandra.schema().described), progress)
        there = tables_of(sampling.schema, site.cassandra.data_directories)
        sampling.look_at_all(each for each in there if meant is None or each[0] in {*meant.tables, *meant.views})
        return sampling.tell()
    progress.warn(f"no table was looked into: {failed[0]}")
    return f"No table was looked into: {failed[0]}"


def tables_of(schema: SchemaText, data: Sequence[Path]) -> Iterator[tuple[Name, bool]]:
    """All users' tables and views, each with whether any of the data directories holds an SSTable of it."""
    ids = {name: each.id for of in (schema.tables, schema.views) for name, each in of.items()}
    for name in sorted(ids):
        if name[0] not in SYSTEM_KEYSPACES:
            folder = f"{'/'.join(name)}-{ids[name]}"
            yield name, any(any(directory.glob(f"{folder}/*-Data.db")) for directory in data)


def _plain_column(table: Table, index: Index) -> str | None:
    """The column of ``(name)``; None for what no plain value is compared with, such as ``(keys(phones))``."""
    target = index.definition[:3]
    column = target[1] if len(target) == len("(c)") and (target[0], target[2]) == ("(", ")") else None
    return column if column in table.columns.types else None


@dataclass(frozen=True, slots=True)
class _Spared:
    """For a block that decides nothing for a whole node: what goes wrong in it is said, and goes no further."""

    say: Callable[[str], None]

    def __enter__(self) -> None: ...

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception) or isinstance(error, Ended):
            return False
        if isinstance(error, BackupError):
            self.say(error.message)
        else:
            _log.error("this is a defect in medusa-shipper", exc_info=error)
            self.say(f"{type(error).__name__}: {error}")
        return True


def _with_reason(reasons: Mapping[str, str]) -> str:
    """The names, and why the first of them."""
    return f"{_named(reasons)} ({next(iter(reasons.values())).rstrip('.')})"


def _named(names: Collection[str]) -> str:
    return some_of(map(printable, names), _SHOWN)
