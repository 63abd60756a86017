"""A bucket in memory: the store that tests and simulations run on, held to the same contract as the real ones.

``MemoryBucket.open`` gives one principal's view. It enforces ``writers.WRITERS`` on every write and ``readers.READERS`` on
every look, so that a program that would need more rights than its credentials have fails in any test that runs it.
"""

from __future__ import annotations

import hashlib
import threading
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count, takewhile

from backupstore.core.layout import Layout
from backupstore.core.readers import Look, may_look
from backupstore.core.writers import Principal, Verb, may_write
from backupstore.errors import Denied
from backupstore.ports import Document, Folder, Sink, Source, StoredObject
from backupstore.stores.answers import absent, changed, taken, too_large, wrong_size
from backupstore.stores.keys import check_folder, check_key

_PIECE = 1 << 20
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class _Held:
    """One object; never changed, only exchanged. ``version`` is never used twice in a bucket."""

    body: bytes
    version: str
    stored: StoredObject


class MemoryBucket:
    """The objects, their clock and their lock. ``clock`` gives each write its time; by default 1.0, 2.0 and so on."""

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self.lock = threading.Lock()
        self._held: dict[str, _Held] = {}
        self._keys: list[str] = []  # sorted
        self._clock = clock or count(1.0).__next__
        self._versions = count(1)

    def open(self, principal: Principal | None, layout: Layout | None = None, node: str = "") -> MemoryStore:
        """The bucket as one principal may use it; ``None`` may do everything, as stock and the bucket's owner do."""
        return MemoryStore(self, principal, layout or Layout(), node)

    def find(self, key: str) -> _Held | None:
        """What is there."""
        return self._held.get(key)

    def hold(self, key: str, body: bytes) -> StoredObject:
        """Write. The caller has the lock and has checked what it must."""
        digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
        stored = StoredObject(key, len(body), self._clock(), digest)
        if key not in self._held:
            insort(self._keys, key)
        self._held[key] = _Held(body, str(next(self._versions)), stored)
        return stored

    def drop(self, key: str) -> None:
        """Delete. The caller has the lock and has checked what it must."""
        if self._held.pop(key, None):
            del self._keys[bisect_left(self._keys, key)]

    def page(self, folder: str, after: str) -> list[StoredObject]:
        """The next objects below a folder, as one answer of a list request has them."""
        with self.lock:
            start = bisect_right(self._keys, after) if after else bisect_left(self._keys, folder)
            keys = takewhile(lambda key: key.startswith(folder), self._keys[start : start + _PAGE])
            return [self._held[key].stored for key in keys]


class MemoryStore:
    """``ports.ObjectStore`` over a ``MemoryBucket``, for one principal."""

    def __init__(self, bucket: MemoryBucket, principal: Principal | None, layout: Layout, node: str) -> None:
        self._bucket = bucket
        self._principal = principal
        self._layout = layout
        self._node = node

    def read(self, key: str, *, limit: int = 64 << 20) -> Document:
        """Return the whole object."""
        held = self._get("read", key)
        if len(held.body) > limit:
            raise too_large(key, limit)
        return Document(held.body, held.version, held.stored.modified)

    def read_if_changed(self, key: str, version: str, *, limit: int = 64 << 20) -> Document | None:
        """Return the whole object, unless it is still at that version."""
        document = self.read(key, limit=limit)
        return None if document.version == version else document

    def fetch(self, key: str, sink: Sink) -> StoredObject:
        """Stream the object into ``sink``."""
        held = self._get("fetch", key)
        for start in range(0, len(held.body), _PIECE):
            sink(held.body[start : start + _PIECE])
        return held.stored

    def head(self, key: str) -> StoredObject:
        """What a listing would show for the key."""
        return self._get("head", key).stored

    def create(self, key: str, body: bytes) -> StoredObject:
        """Write a small object that is not there yet."""
        return self._create("create", key, body)

    def replace(self, key: str, body: bytes, version: str) -> StoredObject:
        """Write over the version that ``read`` gave."""
        check_key(key, "replace")
        self._check(Verb.OVERWRITE, key)
        with self._bucket.lock:
            held = self._bucket.find(key)
            if held is None or held.version != version:
                raise changed(key)
            return self._bucket.hold(key, body)

    def put(self, key: str, body: bytes) -> StoredObject:
        """Write unconditionally."""
        check_key(key, "put")
        with self._bucket.lock:
            self._check(Verb.OVERWRITE if self._bucket.find(key) else Verb.CREATE, key)
            return self._bucket.hold(key, body)

    def upload(self, key: str, source: Source) -> StoredObject:
        """Create an object of any size that fits."""
        body = bytearray()
        for chunk in source.chunks():
            body += chunk
            if len(body) > source.size:
                break
        if len(body) != source.size:
            raise wrong_size("upload", key, source.size)
        return self._create("upload", key, bytes(body))

    def list(self, folder: str) -> Iterator[StoredObject]:
        """Every object below the folder, sorted by key, a page at a time."""
        self._may_look(Look.LIST, check_folder(folder, "list"))
        return self._pages(folder)

    def entries(self, folder: str) -> Folder:
        """One level only."""
        folders: dict[str, None] = {}
        objects = []
        for stored in self.list(folder):
            name, slash, _ = stored.key[len(folder) :].partition("/")
            if slash:
                folders[f"{folder}{name}/"] = None
            else:
                objects.append(stored)
        return Folder(tuple(folders), tuple(objects))

    def delete(self, keys: Iterable[str]) -> None:
        """Delete exactly these keys."""
        for key in keys:
            check_key(key, "delete")
            self._check(Verb.DELETE, key)
            with self._bucket.lock:
                self._bucket.drop(key)

    def _get(self, operation: str, key: str) -> _Held:
        check_key(key, operation)
        self._may_look(Look.READ, key)
        with self._bucket.lock:
            held = self._bucket.find(key)
        if held is None:
            raise absent(operation, key)
        return held

    def _create(self, operation: str, key: str, body: bytes) -> StoredObject:
        check_key(key, operation)
        self._check(Verb.CREATE, key)
        with self._bucket.lock:
            if self._bucket.find(key):
                raise taken(operation, key)
            return self._bucket.hold(key, body)

    def _pages(self, folder: str) -> Iterator[StoredObject]:
        page = self._bucket.page(folder, "")
        while page:
            yield from page
            page = self._bucket.page(folder, page[-1].key)

    def _may_look(self, look: Look, key: str) -> None:
        if self._principal and not may_look(self._principal, look, key, layout=self._layout, node=self._node):
            raise self._denied(look.value, key, "readers.READERS")

    def _check(self, verb: Verb, key: str) -> None:
        if self._principal and not may_write(self._principal, verb, key, layout=self._layout, node=self._node):
            raise self._denied(verb.value, key, "writers.WRITERS")

    def _denied(self, what: str, key: str, table: str) -> Denied:
        who = f"{self._principal.value if self._principal else ''} {self._node}".strip()
        return Denied(
            f"{who} may not {what} {key or 'the whole bucket'}",
            hint=f"{table} says who may; the bucket's policy must grant the same.",
            operation=what,
            key=key,
        )
