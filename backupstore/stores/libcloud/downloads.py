"""Reading objects: small ones whole, and checked before anybody gets them; large ones by ranges, and checked at their end.

Some drivers take the whole of an answer into memory before they hand on its first byte, so none is asked for more than a
range. A range that breaks off is asked for again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial

from libcloud.storage.base import Container, Object, StorageDriver

from backupstore.errors import NotFound, Retryable
from backupstore.ports import Document, Sink, StoredObject
from backupstore.stores.answers import changed_meanwhile, too_large
from backupstore.stores.bandwidth import Bandwidth
from backupstore.stores.http.faults import DAMAGED_TRIES, NoBucket, damaged_on_the_way
from backupstore.stores.http.retry import Again, Retrying
from backupstore.stores.libcloud.drivers import Drivers
from backupstore.stores.libcloud.objects import is_whole, md5_of, stored_of
from backupstore.stores.libcloud.transfers import PIECE, cut, most_of

RANGE = 4 << 20


@dataclass(frozen=True, slots=True)
class _Whole:
    """A small object."""

    stored: StoredObject
    body: bytes


class Downloads:
    """Reads objects from a container."""

    def __init__(self, drivers: Drivers, retrying: Retrying, bandwidth: Bandwidth | None) -> None:
        self._drivers = drivers
        self._retrying = retrying
        self._lane = bandwidth.down if bandwidth else None
        self._most = most_of(bandwidth)

    def head(self, operation: str, key: str) -> StoredObject:
        """What the provider says of an object. NotFound."""
        return self._retrying.run(lambda: self.head_once(operation, key))

    def head_once(self, operation: str, key: str) -> StoredObject:
        """One attempt. Again, or an error of ours."""
        with self._drivers.call(operation, key) as (driver, container):
            return stored_of(driver.get_object(container.name, key))

    def read(self, operation: str, key: str, limit: int) -> Document:
        """An object whole. Corrupt when it is larger than ``limit``, or not what the provider says it is."""
        whole = self._retrying.run(lambda: self._whole(operation, key, limit))
        return Document(whole.body, hashlib.sha256(whole.body).hexdigest(), whole.stored.modified)

    def fetch(self, key: str, sink: Sink) -> StoredObject:
        """Stream an object into the sink."""
        stored = self.head("fetch", key)
        if stored.size <= RANGE:
            whole = self._retrying.run(lambda: self._whole("fetch", key, RANGE))
            self._hand_on(whole.body, sink)
            return whole.stored
        md5 = hashlib.md5(usedforsecurity=False)
        for start in range(0, stored.size, RANGE):
            body = self._range(stored, start)
            md5.update(body)
            self._hand_on(body, sink)
        if (
            md5_of(stored) != md5.hexdigest()
        ):  # or there is none, and only the provider knows whether it stayed the same
            self._check_still(stored)
        if not is_whole(stored, stored.size, md5.hexdigest()):
            raise damaged_on_the_way("fetch", key)
        return stored

    def _hand_on(self, body: bytes, sink: Sink) -> None:
        for piece in cut(body, self._lane, self._most):
            sink(piece)

    def _whole(self, operation: str, key: str, limit: int) -> _Whole:
        pieces: list[bytes] = []
        with self._drivers.call(operation, key) as (driver, container):
            found = driver.get_object(container.name, key)
            stored = stored_of(found)
            if stored.size <= limit:
                pieces.extend(driver.download_object_as_stream(found, chunk_size=PIECE))
        if stored.size > limit:
            raise too_large(key, limit)
        body = b"".join(pieces)
        if not is_whole(stored, len(body), hashlib.md5(body, usedforsecurity=False).hexdigest()):
            raise self._unlike(operation, stored)
        return _Whole(stored, body)

    def _unlike(self, operation: str, stored: StoredObject) -> Again:
        """Why the bytes are not those that were announced: written over meanwhile, or damaged on their way."""
        key = stored.key
        if self.head_once(operation, key) == stored:
            return Again(damaged_on_the_way(operation, key), most=DAMAGED_TRIES)
        return self._again(operation, key, "it changed while it was read")

    def _range(self, stored: StoredObject, start: int) -> bytes:
        try:
            return self._retrying.run(partial(self._range_once, stored, start))
        except NoBucket:
            raise
        except NotFound as error:
            raise changed_meanwhile(stored.key) from error

    def _range_once(self, stored: StoredObject, start: int) -> bytes:
        key, stop = stored.key, min(start + RANGE, stored.size)
        with self._drivers.call("fetch", key) as (driver, container):
            found = _named(driver, container, stored)
            body = b"".join(driver.download_object_range_as_stream(found, start, stop, chunk_size=PIECE))
        if len(body) != stop - start:
            raise self._again("fetch", key, f"{len(body)} bytes came of {stop - start}")
        return body

    def _check_still(self, stored: StoredObject) -> None:
        """Corrupt when it is not there as it was."""
        try:
            found = self.head("fetch", stored.key)
        except NoBucket:
            raise
        except NotFound as error:
            raise changed_meanwhile(stored.key) from error
        if found != stored:
            raise changed_meanwhile(stored.key)

    def _again(self, operation: str, key: str, why: str) -> Again:
        hint = "Another writer was at work, or the network. Run the same again."
        return Again(Retryable(f"{operation} {key}: {why}", hint=hint, operation=operation, key=key))


def _named(driver: StorageDriver, container: Container, stored: StoredObject) -> Object:
    """All that a driver needs to know to download it, without asking for it again for each range."""
    return Object(
        name=stored.key,
        size=stored.size,
        hash=stored.digest or "",
        extra={},
        meta_data={},
        container=container,
        driver=driver,
    )
