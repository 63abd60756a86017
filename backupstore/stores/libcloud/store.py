"""``ports.ObjectStore`` by apache-libcloud's common calls, none of which has a condition.

So ``create``, ``upload`` and ``replace`` look first and write then: right as long as one process writes a key, and no
promise beyond it. The version of a document is the sha256 of its content.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from backupstore.errors import BackupError, Corrupt, NotFound, Retryable
from backupstore.ports import Clock, Document, Folder, Sink, Source, StoredObject
from backupstore.stores.answers import changed, taken
from backupstore.stores.bandwidth import Bandwidth
from backupstore.stores.http.faults import DAMAGED_TRIES, NoBucket, damaged_on_the_way
from backupstore.stores.http.listing import batches
from backupstore.stores.http.retry import PATIENT, Again, Patience, Retrying
from backupstore.stores.keys import check_folder, check_key
from backupstore.stores.libcloud.downloads import Downloads
from backupstore.stores.libcloud.drivers import Access, Drivers
from backupstore.stores.libcloud.objects import is_whole, stored_of
from backupstore.stores.libcloud.transfers import Keys, Sent
from backupstore.stores.sources import BytesSource

_AT_ONCE = 8
_CREATES = frozenset({"create", "upload"})
_BATCH = 1000


class LibcloudStore:
    """One container of any provider."""

    keeps_conditions = False
    """Declared, for it cannot be found out: a client that asks one question after the other is answered rightly."""

    def __init__(
        self, access: Access, clock: Clock, *, bandwidth: Bandwidth | None = None, patience: Patience = PATIENT
    ) -> None:
        self._drivers = Drivers(access)
        self._bandwidth = bandwidth
        self._retrying = Retrying(clock, patience)
        self._downloads = Downloads(self._drivers, self._retrying, bandwidth)
        self._keys = Keys()

    def look(self) -> None:
        """Whether the container is there. NotFound; Denied, Misconfigured, Retryable."""

        def attempt() -> None:
            with self._drivers.call("look", "") as (driver, container):
                driver.get_container(container.name)

        self._retrying.run(attempt)

    def read(self, key: str, *, limit: int = 64 << 20) -> Document:
        """Return the whole object."""
        return self._downloads.read("read", check_key(key, "read"), limit)

    def read_if_changed(self, key: str, version: str, *, limit: int = 64 << 20) -> Document | None:
        """Return the whole object, unless it is still at that version: it is read and compared."""
        document = self.read(key, limit=limit)
        return None if document.version == version else document

    def fetch(self, key: str, sink: Sink) -> StoredObject:
        """Stream the object into ``sink``."""
        return self._downloads.fetch(check_key(key, "fetch"), sink)

    def head(self, key: str) -> StoredObject:
        """What a listing would show for the key."""
        return self._downloads.head("head", check_key(key, "head"))

    def create(self, key: str, body: bytes) -> StoredObject:
        """Write a small object that is not there yet."""
        return self._create("create", key, BytesSource(body))

    def replace(self, key: str, body: bytes, version: str) -> StoredObject:
        """Write over the version that ``read`` gave."""
        check_key(key, "replace")
        with self._keys.held(key):
            try:
                found = self._downloads.read("replace", key, 64 << 20)
            except NoBucket:
                raise
            except NotFound as gone:
                raise changed(key) from gone
            if found.version != version:
                raise changed(key)
            return self._write("replace", key, BytesSource(body))

    def put(self, key: str, body: bytes) -> StoredObject:
        """Write unconditionally."""
        check_key(key, "put")
        with self._keys.held(key):
            return self._write("put", key, BytesSource(body))

    def upload(self, key: str, source: Source) -> StoredObject:
        """Create an object of any size that the provider takes."""
        return self._create("upload", key, source)

    def list(self, folder: str) -> Iterator[StoredObject]:
        """Every object below the folder, in the provider's order, which is that of keys, a page at a time."""
        check_folder(folder, "list")
        return self._listed("list", folder)

    def entries(self, folder: str) -> Folder:
        """One level only, made of all that lies below: no driver lists a level."""
        check_folder(folder, "entries")
        folders: dict[str, None] = {}
        objects: list[StoredObject] = []
        for stored in self._listed("entries", folder):
            name, slash, _ = stored.key[len(folder) :].partition("/")
            if slash:
                folders[f"{folder}{name}/"] = None
            else:
                objects.append(stored)
        return Folder(tuple(sorted(folders)), tuple(objects))

    def delete(self, keys: Iterable[str]) -> None:
        """Delete exactly these keys, one by one, some at a time."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for batch in batches((check_key(key, "delete") for key in keys), _BATCH):
                for done in [pool.submit(self._delete, key) for key in batch]:
                    done.result()

    def sweep_uploads(self, older_than: float, folder: str = "") -> int:  # noqa: ARG002 -- as the others are asked
        """Nothing that drivers could tell: what a killed upload leaves is the provider's to drop."""
        return 0

    def _create(self, operation: str, key: str, source: Source) -> StoredObject:
        check_key(key, operation)
        with self._keys.held(key):
            try:
                self._downloads.head(operation, key)
            except NoBucket:
                raise
            except NotFound:
                return self._write(operation, key, source)
            raise taken(operation, key)

    def _write(self, operation: str, key: str, source: Source) -> StoredObject:
        """Write whatever is there, and look what arrived. What was created and is not right is taken away again."""

        def attempt() -> StoredObject:
            sent = Sent(operation, key, source, self._bandwidth)
            try:
                with self._drivers.call(operation, key) as (driver, container):
                    driver.upload_object_via_stream(
                        sent, container, key, extra={"content_type": "application/octet-stream"}
                    )
            except (Again, BackupError):
                if sent.failure is None:
                    raise
            if sent.failure is not None:
                self._take_away(operation, key)
                raise sent.failure
            stored = self._downloads.head_once(operation, key)
            if not is_whole(stored, source.size, sent.md5):
                self._take_away(operation, key)
                raise Again(damaged_on_the_way(operation, key), most=DAMAGED_TRIES)
            return stored

        return self._retrying.run(attempt)

    def _take_away(self, operation: str, key: str) -> None:
        """Never a document, which another writer may have replaced meanwhile."""
        if operation in _CREATES:
            with suppress(BackupError, Again):
                self._delete_once(key)

    def _delete(self, key: str) -> None:
        with self._keys.held(key):
            self._retrying.run(lambda: self._delete_once(key))

    def _delete_once(self, key: str) -> None:
        try:
            with self._drivers.call("delete", key) as (driver, container):
                done = driver.delete_object(driver.get_object(container.name, key))
        except NoBucket:
            raise
        except NotFound:
            return
        if not done:
            hint = "May the owner of the key delete? libcloud says no more than that it was not done."
            told = f"delete {key}: the provider did not delete it"
            raise Again(Retryable(told, hint=hint, operation="delete", key=key))

    def _listed(self, operation: str, folder: str) -> Iterator[StoredObject]:
        """A listing that breaks off is begun again, and goes on behind the last key that was seen."""
        last, listing = "", self._listed_once(operation, folder)

        def following() -> StoredObject | None:
            nonlocal listing
            try:
                return next(listing, None)
            except Again:
                listing = itertools.dropwhile(lambda stored: stored.key <= last, self._listed_once(operation, folder))
                raise

        while stored := self._retrying.run(following):
            if stored.key <= last:
                raise _out_of_order(operation, folder, stored.key)
            last = stored.key
            yield stored

    def _listed_once(self, operation: str, folder: str) -> Iterator[StoredObject]:
        with self._drivers.call(operation, folder) as (driver, container):
            for found in driver.iterate_container_objects(container, prefix=folder or None):
                yield stored_of(found)


def _out_of_order(operation: str, folder: str, key: str) -> Corrupt:
    return Corrupt(
        f"{operation} {folder}: the provider lists {key} behind keys that come after it",
        hint="Programs here rely on the order of a listing: this provider cannot be used.",
        operation=operation,
        key=folder,
    )
