"""Conditions for a store that has none, kept by looking first: right as long as nobody else writes the same keys.

So one single indexer can keep the catalog on such a store (``probe`` tells which ones need it). Backups are never shipped
through this: where two may come at once, looking first is no promise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from backupstore.errors import NotFound
from backupstore.ports import Document, Folder, ObjectStore, Sink, Source, StoredObject
from backupstore.stores.answers import changed, taken


class SingleWriterStore:
    """``ports.ObjectStore`` around another one, whose conditions are not asked for; only ``upload`` is its own."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def create(self, key: str, body: bytes) -> StoredObject:
        """Write a small object that is not there yet."""
        try:
            self._store.head(key)
        except NotFound:
            return self._store.put(key, body)
        raise taken("create", key)

    def replace(self, key: str, body: bytes, version: str) -> StoredObject:
        """Write over the version that ``read`` gave."""
        try:
            found = self._store.read(key).version
        except NotFound as gone:
            raise changed(key) from gone
        if found != version:
            raise changed(key)
        return self._store.put(key, body)

    def read(self, key: str, *, limit: int = 64 << 20) -> Document:
        """Return the whole object."""
        return self._store.read(key, limit=limit)

    def fetch(self, key: str, sink: Sink) -> StoredObject:
        """Stream the object into ``sink``."""
        return self._store.fetch(key, sink)

    def head(self, key: str) -> StoredObject:
        """What a listing would show for the key."""
        return self._store.head(key)

    def put(self, key: str, body: bytes) -> StoredObject:
        """Write unconditionally."""
        return self._store.put(key, body)

    def upload(self, key: str, source: Source) -> StoredObject:
        """Create an object of any size, by the store's own condition."""
        return self._store.upload(key, source)

    def list(self, folder: str) -> Iterator[StoredObject]:
        """Every object below the folder."""
        return self._store.list(folder)

    def entries(self, folder: str) -> Folder:
        """One level only."""
        return self._store.entries(folder)

    def delete(self, keys: Iterable[str]) -> None:
        """Delete exactly these keys."""
        self._store.delete(keys)
