"""The files of a snapshot, over all data directories, found without asking Cassandra.

    <data directory>/<keyspace>/<table>-<id>/snapshots/<tag>/<component>
    <data directory>/<keyspace>/<table>-<id>/snapshots/<tag>/.<index>/<component>

One table lies in every data directory, a part of its SSTables in each. Names become parts of object keys, so only those
that Cassandra can make are let through. Folders with other names are somebody else's (``lost+found``, what an operator
left there) and ignored; a strange file inside a snapshot is an error, for to leave out something that Cassandra took
would be a backup with a hole. Data directories may be symbolic links; a table behind another link is an error, once a
snapshot is in it. Listings are read per table, when they are asked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, NoReturn

from backupstore.core import names
from backupstore.errors import Corrupt, Denied, NodeTrouble
from shipper.cassandra.port import Component, TableFolder

# Cassandra puts these two into one of the table's snapshot folders; no restore needs them.
_NOTES = frozenset({"manifest.json", "schema.cql"})
_LEFT_OUT = frozenset({"system_traces"})
_SNAPSHOTS = "snapshots"


def snapshot_tags(directories: Sequence[Path], start: str) -> tuple[str, ...]:
    """Tags on disk that begin with ``start``, sorted, of every keyspace."""
    tags: set[str] = set()
    for place in _places(directories):
        for entry in _entries(place.path / _SNAPSHOTS, absent_is_empty=True):
            if entry.name.startswith(start) and entry.is_dir():
                tags.add(entry.name)
    return tuple(sorted(tags))


def snapshot_tables(directories: Sequence[Path], tag: str) -> tuple[TableFolder, ...]:
    """Table folders with that snapshot, sorted by keyspace, table and disk, ``system_traces`` left out."""
    found = []
    for place in _places(directories):
        folder = place.path / _SNAPSHOTS / tag
        with _translated(folder):
            if place.keyspace in _LEFT_OUT or not folder.is_dir():
                continue
            if place.is_linked or folder.is_symlink() or folder.parent.is_symlink():
                _refuse(folder, "it is reached by a symbolic link")
        found.append(TableFolder(place.disk, place.keyspace, place.table, folder))
    return tuple(sorted(found, key=lambda table: (table.keyspace, table.table, table.disk)))


def components(table: TableFolder) -> Iterator[Component]:
    """The files of one table's snapshot, sorted by name within each folder, index folders at their place."""
    for entry in _entries(table.path):
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            if not names.is_index_folder(entry.name):
                _refuse(path, "no folder of an index is called so")
            yield from (_component(table, each, entry.name) for each in _entries(path))
        elif entry.name not in _NOTES:
            yield _component(table, entry, None)


def _component(table: TableFolder, entry: os.DirEntry[str], index: str | None) -> Component:
    path = Path(entry.path)
    if not entry.is_file(follow_symlinks=False):
        _refuse(path, "it is not a plain file")
    if not names.is_component_file(entry.name):
        _refuse(path, "no file of an SSTable is called so")
    return Component(table.disk, table.keyspace, table.table, index, path)


class _Place(NamedTuple):
    """A directory where a part of a table lies, reached as Cassandra made it or by somebody's symbolic link."""

    disk: int
    keyspace: str
    table: str
    path: Path
    is_linked: bool


def _places(directories: Sequence[Path]) -> Iterator[_Place]:
    for disk, directory in enumerate(directories):
        for keyspace in _folders(directory, names.is_keyspace):
            for table in _folders(Path(keyspace.path), names.is_table_folder):
                linked = keyspace.is_symlink() or table.is_symlink()
                yield _Place(disk, keyspace.name, table.name, Path(table.path), linked)


def _folders(path: Path, is_name: Callable[[str], bool]) -> list[os.DirEntry[str]]:
    """Folders that Cassandra can have made, linked ones too: whether a snapshot lies behind a link must be known."""
    return [entry for entry in _entries(path) if is_name(entry.name) and entry.is_dir()]


def _entries(path: Path, *, absent_is_empty: bool = False) -> list[os.DirEntry[str]]:
    with _translated(path):
        try:
            with os.scandir(path) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            if absent_is_empty:
                return []
            raise


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise Denied(
            f"{path} may not be read.",
            hint="Run the backup as Cassandra's user, which owns the data directories.",
            operation="snapshot",
        ) from error
    except OSError as error:
        raise NodeTrouble(
            f"{path} cannot be listed: {error.strerror}.",
            hint="If the snapshot was removed meanwhile, start again; else compare data_file_directories in"
            " cassandra.yaml with the disks that are mounted.",
            operation="snapshot",
        ) from error


def _refuse(path: Path, why: str) -> NoReturn:
    raise Corrupt(
        f"{path} cannot be backed up: {why}.",
        hint="Cassandra did not make this. Find out who did; when it is not needed, move it away and start again.",
        operation="snapshot",
    )
