"""Conditions for a store that has none, kept by looking first: right as long as no other process writes the same keys.

So one single indexer can keep the catalog on such a store (``probe`` tells which ones need it). Backups are never shipped
through this: where two may come at once, looking first is no promise.
"""

from __future__ import annotations

import threading

from backupstore.errors import NotFound
from backupstore.ports import ObjectStore, StoredObject
from backupstore.stores.answers import changed, taken
from backupstore.stores.checked import CheckedStore


class SingleWriterStore(CheckedStore):
    """``ports.ObjectStore`` around another one, whose conditions are not asked for; only ``upload`` is its own.

    Threads of this process may share it: between a look and its write none of them comes in.
    """

    def __init__(self, store: ObjectStore) -> None:
        super().__init__(store, lambda _operation, _key: None)
        self._writing = threading.Lock()

    def create(self, key: str, body: bytes) -> StoredObject:
        """Write a small object that is not there yet."""
        with self._writing:
            try:
                self._store.head(key)
            except NotFound:
                return self._store.put(key, body)
            raise taken("create", key)

    def replace(self, key: str, body: bytes, version: str) -> StoredObject:
        """Write over the version that ``read`` gave."""
        with self._writing:
            try:
                found = self._store.read(key).version
            except NotFound as gone:
                raise changed(key) from gone
            if found != version:
                raise changed(key)
            return self._store.put(key, body)
