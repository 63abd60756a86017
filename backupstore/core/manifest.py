"""The manifest, streamed both ways: it may hold ten million components, so it is never in memory as a whole.

A store pushes a download into a sink, so the reader is fed (``ManifestReader.feed``); ``read_manifest`` is the same for
whoever can pull. Components are plain tuples: a model for each would cost 1 KiB and most of the time. Writing gives
exactly the text that stock's dumper gives for the same array.

A manifest comes from a node, and a node may be hostile: whatever is not as ``docs/bucket-format.md`` says is Corrupt,
with the position. Paths are only strings until ``check_entry`` has looked at them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from backupstore.core import names
from backupstore.core.json_window import More, Window
from backupstore.core.key_parsing import data_key
from backupstore.core.keys import DataKey
from backupstore.core.layout import Layout
from backupstore.errors import Corrupt, Refused

EARLY_OBJECTS = 100_000
"""So many components may stand before the names of their table; stock writes the names first."""
SECTIONS = 200_000
"""So many tables may one node have; each is remembered while a manifest is read."""

_EARLY_TEXT = 64 << 20
_PIECE = 64 << 10
_SIZES = 1 << 63
_DISKS = 1 << 31
_SHA256 = 64
_STOCK_FIELDS = 3
_HINT = "Nothing of this node backup can be trusted: use another one, and find out who wrote this."


class TableSection(NamedTuple):
    """One table directory; the entries after it are its components."""

    keyspace: str
    table: str


class Entry(NamedTuple):
    """One component, ``path`` not checked yet. ``corrupt`` says why it is bad; ``disk`` is its data directory."""

    keyspace: str
    table: str
    path: str
    size: int
    md5: str | None = None
    sha256: str | None = None
    corrupt: str | None = None
    disk: int | None = None


Item = TableSection | Entry


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over a manifest."""

    size: int = 0
    objects: int = 0
    corrupt: int = 0
    tables: int = 0

    def plus(self, items: Iterable[Item]) -> Totals:
        """The sums with these items as well."""
        size, objects, corrupt, tables = self.size, self.objects, self.corrupt, self.tables
        for item in items:
            if isinstance(item, Entry):
                size += item.size
                objects += 1
                corrupt += item.corrupt is not None
            else:
                tables += 1
        return Totals(size, objects, corrupt, tables)


def check_entry(layout: Layout, node: str, entry: Entry, *, backup: str | None = None) -> DataKey:
    """The key that an entry names. Corrupt unless it is data of this node, and of this backup if it is one's own."""
    key = data_key(layout, entry.path)
    if key is None:
        problem = "is no data of this cluster"
    elif key.node != node:
        problem = f"is data of another node than {node}"
    elif (key.keyspace, key.table) != (entry.keyspace, entry.table):
        problem = f"does not belong to {entry.keyspace}/{entry.table}"
    elif backup is not None and key.backup not in {None, backup}:
        problem = f"is data of another backup than {backup}"
    else:
        return key
    message = f"a manifest of {node} names {entry.path[:300]!r}, which {problem}"
    raise Corrupt(message, hint=_HINT, operation="read manifest", key=layout.node(node))


def read_manifest(pieces: Iterable[bytes], key: str) -> Iterator[Item]:
    """Each section, followed by its entries. Corrupt, naming the key, at the first thing that is wrong."""
    reader = ManifestReader(key)
    for piece in pieces:
        yield from reader.feed(piece)
    yield from reader.finish()


def write_manifest(items: Iterable[Item]) -> Iterator[bytes]:
    """The manifest's bytes, in pieces of about 64 KiB. Entries follow their section; Refused when they do not."""
    seen: set[TableSection] = set()
    section: TableSection | None = None
    text, length, first = ["["], 0, True
    for item in items:
        if isinstance(item, TableSection):
            if item in seen:
                raise _misplaced(f"{item.keyspace}/{item.table} has two sections")
            seen.add(item)
            head = json.dumps({"keyspace": item.keyspace, "columnfamily": item.table})[:-1]
            part = f'{"]}, " if section else ""}{head}, "objects": ['
            section, first = item, True
        elif section is None or section[0] != item.keyspace or section[1] != item.table:
            raise _misplaced(f"{item.path} is not in the section of its table")
        else:
            part, first = f"{'' if first else ', '}{_entry_text(item)}", False
        text.append(part)
        length += len(part)
        if length >= _PIECE:
            yield "".join(text).encode("ascii")
            text, length = [], 0
    text.append("]}]" if section else "]")
    yield "".join(text).encode("ascii")


def _entry_text(entry: Entry) -> str:
    ours = {"sha256": entry.sha256, "corrupt": entry.corrupt, "disk": entry.disk}
    given = {name: value for name, value in ours.items() if value is not None}
    return json.dumps({"path": entry.path, "MD5": entry.md5, "size": entry.size, **given})


def _misplaced(problem: str) -> Refused:
    hint = "This is a defect of the program: please report it. Nothing was written."
    return Refused(f"the manifest cannot be written: {problem}", hint=hint, operation="write manifest")


@dataclass(slots=True)
class _Section:
    """A section while it is read: its name as far as it is known, and the objects that came before it."""

    keyspace: Any = None
    table: Any = None
    early: list[Any] = field(default_factory=list)
    objects: bool = False
    start: int = 0
    taken: int = 0
    opened: TableSection | None = None


class ManifestReader:
    """An incremental reader: ``feed`` pieces in order, then ``finish``; each gives the items that became complete."""

    def __init__(self, key: str) -> None:
        self._window = Window(key, _HINT)
        self._found: list[Item] = []
        self._seen: set[TableSection] = set()
        self._run = self._manifest()

    def finish(self) -> list[Item]:
        """There are no more bytes."""
        return self.feed(b"", final=True)

    def feed(self, piece: bytes, *, final: bool = False) -> list[Item]:
        """Take the next bytes."""
        self._window.add(piece, final=final)
        next(self._run, None)
        self._window.check()
        found, self._found = self._found, []
        return found

    def _manifest(self) -> More:
        window = self._window
        yield from window.expect("[", "it is not an array")
        if not (yield from window.accept("]")):
            yield from self._section()
            while (yield from window.accept(",")):
                yield from self._section()
            yield from window.expect("]", "expected ',' or ']' after a section")
        if (yield from window.peek()):
            window.fail("there is more after the array")

    def _section(self) -> More:
        window, section = self._window, _Section()
        yield from window.expect("{", "a section is not an object")
        if not (yield from window.accept("}")):
            yield from self._field(section)
            while (yield from window.accept(",")):
                yield from self._field(section)
            yield from window.expect("}", "expected ',' or '}' in a section")
        if not section.objects:
            window.fail("a section has no 'objects'")
        if section.opened is None:
            section.opened = self._open(section)
            self._take(section.early, section)

    def _field(self, section: _Section) -> More:
        window = self._window
        name = yield from window.value()
        if not isinstance(name, str):
            window.fail("the name of a field is not a string")
        yield from window.expect(":", "expected ':' after the name of a field")
        if name == "objects":
            yield from self._objects(section)
            return
        value = yield from window.value()
        # Where a name comes twice the last one counts, as for every reader of JSON; but what went out stays true.
        if name == "keyspace":
            section.keyspace = value
        elif name == "columnfamily":
            section.table = value
        if section.opened and section.opened != (section.keyspace, section.table):
            window.fail("a section is renamed after its objects")

    def _objects(self, section: _Section) -> More:
        window = self._window
        if section.objects:
            window.fail("a section has 'objects' twice")
        section.objects = True
        if section.keyspace is not None and section.table is not None:
            section.opened = self._open(section)
        yield from window.expect("[", "'objects' is not an array")
        section.start = window.position
        ended = yield from window.accept("]")
        while not ended:
            values, ended = yield from window.members()
            if section.opened:
                self._take(values, section)
            else:
                section.early += values
            if section.early and (len(section.early) > EARLY_OBJECTS or window.position - section.start > _EARLY_TEXT):
                window.fail("too many objects come before the names of their table", section.start)
            if not ended and not (yield from window.accept(",")):
                yield from window.expect("]", "expected ',' or ']' after an object")
                ended = True

    def _open(self, section: _Section) -> TableSection:
        keyspace, table = section.keyspace, section.table
        if not isinstance(keyspace, str) or not names.is_keyspace(keyspace):
            self._window.fail("'keyspace' is not the name of a keyspace directory")
        if not isinstance(table, str) or not names.is_table_folder(table):
            self._window.fail("'columnfamily' is not the name of a table directory")
        opened = TableSection(keyspace, table)
        if opened in self._seen:
            self._window.fail(f"{keyspace}/{table} has two sections")
        if len(self._seen) == SECTIONS:
            self._window.fail(f"it has more than {SECTIONS} tables")
        self._seen.add(opened)
        self._found.append(opened)
        return opened

    def _take(self, values: list[Any], section: _Section) -> None:
        keyspace, table = section.keyspace, section.table
        for value in values:
            wrong = _wrong(value)
            section.taken += 1
            if wrong:
                self._window.fail(f"object {section.taken} of {keyspace}/{table}: {wrong}", section.start)
            get = value.get
            entry = (value["path"], value["size"], value["MD5"], get("sha256"), get("corrupt"), get("disk"))
            self._found.append(Entry(keyspace, table, *entry))


def _wrong(value: Any) -> str:  # noqa: ANN401 # anything that JSON can say
    """What is wrong with an object; empty when nothing is. ``type`` and not isinstance: a bool is no size."""
    if type(value) is not dict:
        return "it is not an object"
    path, size, md5 = value.get("path"), value.get("size"), value.get("MD5", 0)
    if type(path) is not str or not path or not _is_text(path):
        return "'path' is not a string, or no text"
    if type(size) is not int or not 0 <= size < _SIZES:
        return "'size' is not a number of bytes"
    if md5 is not None and type(md5) is not str:
        return "'MD5' is neither a string nor null"
    return "" if len(value) == _STOCK_FIELDS else _wrong_of_ours(value)


def _wrong_of_ours(value: dict[str, Any]) -> str:
    sha256, corrupt, disk = value.get("sha256"), value.get("corrupt"), value.get("disk")
    if sha256 is not None and (type(sha256) is not str or len(sha256) != _SHA256 or sha256.strip("0123456789abcdef")):
        return "'sha256' is not 64 lower-case hex digits"
    if corrupt is not None and (type(corrupt) is not str or not _is_text(corrupt)):
        return "'corrupt' is not a string, or no text"
    if disk is not None and (type(disk) is not int or not 0 <= disk < _DISKS):
        return "'disk' is not the number of a data directory"
    return ""


def _is_text(text: str) -> bool:
    """Whether it can be written as UTF-8: JSON can spell halves of characters."""
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)
