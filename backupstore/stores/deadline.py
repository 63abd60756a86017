"""A store with an end: no call begins after it. For hosts that are stopped from outside when their time is over.

What was not done is then told as a failure in time, instead of being cut off in the middle and not told at all. How long
one call may last beyond the end is the inner store's business: its patience and its timeouts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from backupstore.errors import Retryable
from backupstore.ports import Clock, Document, Folder, ObjectStore, Sink, Source, StoredObject


class DeadlineStore:
    """``ports.ObjectStore`` around another one. ``end`` is a time of ``clock.running``; after it, all is Retryable."""

    def __init__(self, store: ObjectStore, clock: Clock, end: float) -> None:
        self._store = store
        self._clock = clock
        self._end = end

    def read(self, key: str, *, limit: int = 64 << 20) -> Document:
        """Return the whole object."""
        return self._in_time("read", key).read(key, limit=limit)

    def fetch(self, key: str, sink: Sink) -> StoredObject:
        """Stream the object into ``sink``; ends between two pieces."""

        def timed(piece: bytes) -> None:
            self._in_time("fetch", key)
            sink(piece)

        return self._in_time("fetch", key).fetch(key, timed)

    def head(self, key: str) -> StoredObject:
        """What a listing would show for the key."""
        return self._in_time("head", key).head(key)

    def create(self, key: str, body: bytes) -> StoredObject:
        """Write a small object that is not there yet."""
        return self._in_time("create", key).create(key, body)

    def replace(self, key: str, body: bytes, version: str) -> StoredObject:
        """Write over the version that ``read`` gave."""
        return self._in_time("replace", key).replace(key, body, version)

    def put(self, key: str, body: bytes) -> StoredObject:
        """Write unconditionally."""
        return self._in_time("put", key).put(key, body)

    def upload(self, key: str, source: Source) -> StoredObject:
        """Create an object of any size."""
        return self._in_time("upload", key).upload(key, source)

    def list(self, folder: str) -> Iterator[StoredObject]:
        """Every object below the folder; ends between two of them."""
        return self._timed(folder, self._in_time("list", folder).list(folder))

    def entries(self, folder: str) -> Folder:
        """One level only."""
        return self._in_time("entries", folder).entries(folder)

    def delete(self, keys: Iterable[str]) -> None:
        """Delete exactly these keys."""
        self._in_time("delete", "").delete(keys)

    def _timed(self, folder: str, listed: Iterator[StoredObject]) -> Iterator[StoredObject]:
        for stored in listed:
            self._in_time("list", folder)
            yield stored

    def _in_time(self, operation: str, key: str) -> ObjectStore:
        if self._clock.running() >= self._end:
            raise Retryable(
                f"{operation} {key}: the time that this run was given is over",
                hint="What is left comes again with the next event. If it never fits, give the function more time,"
                " or let it take fewer messages at once.",
                operation=operation,
                key=key,
            )
        return self._store
