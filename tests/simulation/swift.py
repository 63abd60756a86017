"""What makes histories fast and changes nothing that they show: pure functions remember their answers, SQLite its tables."""

from __future__ import annotations

import gc
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any

import pytest

from backupstore.core import events, key_parsing, names
from backupstore.core.manifest import Item, ManifestReader
from backupstore.operations import deletion, documents, inventory, lookout, reconcile, rows, shared_keys
from backupstore.operations.scratch import Scratch
from backupstore.stores import memory
from shipper import meta

_MANY = 1 << 15
_PURE = (
    (names, "is_segment"),
    (events, "parse"),
    (lookout, "data_key"),
    (memory, "check_key"),
    (memory, "check_folder"),
    (memory, "may_write"),
    (key_parsing, "parse_in"),
    (deletion, "parse_in"),
    (rows, "parse_in"),
    (reconcile, "parse_in"),
    (meta, "parse_in"),
)


@lru_cache(_MANY)
def _items(key: str, body: bytes) -> tuple[Item, ...]:
    reader = ManifestReader(key)
    return (*reader.feed(body), *reader.finish())


class _Reader(ManifestReader):
    """Of manifests that come in one piece, as all of them do here."""

    def __init__(self, key: str) -> None:
        self._key = key

    def feed(self, piece: bytes, *, final: bool = False) -> list[Item]:
        return [] if final else list(_items(self._key, piece))


class _Kept(Scratch):
    """Emptied and used again: making the tables is most of what a small one costs."""

    free: dict[str, list[sqlite3.Connection]] = {}  # noqa: RUF012 # shared on purpose

    def __init__(self, schema: str, operation: str) -> None:
        self._operation = operation
        self._schema = schema
        free = self.free.setdefault(schema, [])
        self._db = free.pop() if free else self._fresh()

    def _fresh(self) -> sqlite3.Connection:
        found = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        found.executescript(self._schema)
        return found

    def close(self) -> None:
        tables = self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            self._db.execute(f"DELETE FROM {table}")  # noqa: S608 # our own names
        self.free[self._schema].append(self._db)


@contextmanager
def swiftly() -> Iterator[None]:
    """For the time of a history; what it leaves behind is collected after it."""
    collects = gc.isenabled()
    gc.disable()
    try:
        with pytest.MonkeyPatch.context() as patch:
            for module, name in _PURE:
                patch.setattr(module, name, _remembering(getattr(module, name)))
            patch.setattr(documents, "ManifestReader", _Reader)
            patch.setattr(shared_keys, "Scratch", _Kept)
            patch.setattr(inventory, "Scratch", _Kept)
            yield
    finally:
        if collects:
            gc.enable()


@cache
def _remembering(pure: Any) -> Any:  # noqa: ANN401 # any function
    return lru_cache(_MANY)(pure)
