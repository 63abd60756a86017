"""A store that asks before each call whether there is to be one, and raises what the answer raises.

So whoever works with it ends at its next call, wherever it is in its work: nothing that it calls has to know how.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from backupstore.ports import Document, Folder, ObjectStore, Sink, Source, StoredObject

Check = Callable[[str, str], None]
"""Gets the name of the call and its key."""


class CheckedStore:
    """``ports.ObjectStore`` around another one."""

    def __init__(self, store: ObjectStore, check: Check) -> None:
        self._store = store
        self._check = check

    def read(self, key: str, *, limit: int = 64 << 20) -> Document:
        """Return the whole object."""
        return self._checked("read", key).read(key, limit=limit)

    def read_if_changed(self, key: str, version: str, *, limit: int = 64 << 20) -> Document | None:
        """Return the whole object, unless it is still at that version."""
        return self._checked("read_if_changed", key).read_if_changed(key, version, limit=limit)

    def fetch(self, key: str, sink: Sink) -> StoredObject:
        """Stream the object into ``sink``; ends between two pieces."""

        def checked(piece: bytes) -> None:
            self._check("fetch", key)
            sink(piece)

        return self._checked("fetch", key).fetch(key, checked)

    def head(self, key: str) -> StoredObject:
        """What a listing would show for the key."""
        return self._checked("head", key).head(key)

    def create(self, key: str, body: bytes) -> StoredObject:
        """Write a small object that is not there yet."""
        return self._checked("create", key).create(key, body)

    def replace(self, key: str, body: bytes, version: str) -> StoredObject:
        """Write over the version that ``read`` gave."""
        return self._checked("replace", key).replace(key, body, version)

    def put(self, key: str, body: bytes) -> StoredObject:
        """Write unconditionally."""
        return self._checked("put", key).put(key, body)

    def upload(self, key: str, source: Source) -> StoredObject:
        """Create an object of any size; ends between two pieces."""
        return self._checked("upload", key).upload(key, _CheckedSource(source, lambda: self._check("upload", key)))

    def list(self, folder: str) -> Iterator[StoredObject]:
        """Every object below the folder; ends between two of them."""
        return self._between(folder, self._checked("list", folder).list(folder))

    def entries(self, folder: str) -> Folder:
        """One level only."""
        return self._checked("entries", folder).entries(folder)

    def delete(self, keys: Iterable[str]) -> None:
        """Delete exactly these keys."""
        self._checked("delete", "").delete(keys)

    def _between(self, folder: str, listed: Iterator[StoredObject]) -> Iterator[StoredObject]:
        for stored in listed:
            self._check("list", folder)
            yield stored

    def _checked(self, operation: str, key: str) -> ObjectStore:
        self._check(operation, key)
        return self._store


class _CheckedSource:
    """``ports.Source`` that asks before each piece."""

    def __init__(self, source: Source, check: Callable[[], None]) -> None:
        self._source = source
        self._check = check

    @property
    def size(self) -> int:
        return self._source.size

    def chunks(self) -> Iterator[bytes]:
        for piece in self._source.chunks():
            self._check()
            yield piece
