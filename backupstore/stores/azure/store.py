"""``ports.ObjectStore`` on Azure Blob Storage. The ETag is the version of a document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from backupstore.ports import Clock, Document, Folder, Sink, Source, StoredObject
from backupstore.stores.answers import changed, taken
from backupstore.stores.azure.client import Client
from backupstore.stores.azure.downloads import Downloads, is_version
from backupstore.stores.azure.examination import AzureExamination
from backupstore.stores.azure.listing import Listing, in_order
from backupstore.stores.azure.options import Storing
from backupstore.stores.azure.place import Place
from backupstore.stores.azure.signing import AccountKey
from backupstore.stores.azure.uploads import NEW, Uploads, head
from backupstore.stores.http.faults import Unmet
from backupstore.stores.http.listing import folder_of, objects_of
from backupstore.stores.http.pool import Wire
from backupstore.stores.keys import check_folder, check_key


class AzureStore:
    """One container. Everything it needs is given: where it is, the account's key, the clock, how to connect, how to store."""

    def __init__(
        self, place: Place, key: AccountKey, clock: Clock, *, wire: Wire | None = None, storing: Storing | None = None
    ) -> None:
        self._clock = clock
        self._client = Client(place, key, clock, wire=wire or Wire())
        self._uploads = Uploads(self._client, storing or Storing())
        self._downloads = Downloads(self._client)
        self._listing = Listing(self._client)

    def close(self) -> None:
        """Close idle connections; the store can still be used."""
        self._client.close()

    def look(self) -> None:
        """Whether the container can be listed. NotFound when it is not there; Denied, Misconfigured, Retryable."""
        self._listing.look()

    def read(self, key: str, *, limit: int = 64 << 20) -> Document:
        """Return the whole object."""
        return self._downloads.read(check_key(key, "read"), limit)

    def read_if_changed(self, key: str, version: str, *, limit: int = 64 << 20) -> Document | None:
        """Return the whole object, unless it is still at that version."""
        return self._downloads.read_if_changed(check_key(key, "read"), version, limit)

    def fetch(self, key: str, sink: Sink) -> StoredObject:
        """Stream the object into ``sink``."""
        return self._downloads.fetch(check_key(key, "fetch"), sink)

    def head(self, key: str) -> StoredObject:
        """What a listing would show for the key."""
        return head(self._client, "head", check_key(key, "head"))

    def create(self, key: str, body: bytes) -> StoredObject:
        """Write a small object that is not there yet."""
        try:
            return self._uploads.put("create", check_key(key, "create"), (body,), NEW)
        except Unmet as error:
            raise taken("create", key) from error

    def replace(self, key: str, body: bytes, version: str) -> StoredObject:
        """Write over the version that ``read`` gave."""
        check_key(key, "replace")
        if not is_version(version):
            raise changed(key)
        try:
            return self._uploads.put("replace", key, (body,), {"if-match": f'"{version}"'})
        except Unmet as error:
            raise changed(key) from error

    def put(self, key: str, body: bytes) -> StoredObject:
        """Write unconditionally."""
        return self._uploads.put("put", check_key(key, "put"), (body,), {})

    def upload(self, key: str, source: Source) -> StoredObject:
        """Create an object of any size."""
        try:
            return self._uploads.upload(check_key(key, "upload"), source)
        except Unmet as error:
            raise taken("upload", key) from error

    def list(self, folder: str) -> Iterator[StoredObject]:
        """Every object below the folder, sorted by key, a page at a time."""
        check_folder(folder, "list")
        return in_order(objects_of(self._listing.pages("list", folder)))

    def entries(self, folder: str) -> Folder:
        """One level only."""
        seen = folder_of(self._listing.pages("entries", check_folder(folder, "entries"), one_level=True))
        return Folder(tuple(sorted(set(seen.folders))), tuple(in_order(seen.objects)))

    def delete(self, keys: Iterable[str]) -> None:
        """Delete exactly these keys."""
        self._listing.delete(check_key(key, "delete") for key in keys)

    def examination(self) -> AzureExamination:
        """What nobody asks but an examination."""
        return AzureExamination(self._client, self._listing, self._clock)

    def sweep_uploads(self, older_than: float, folder: str = "") -> int:  # noqa: ARG002 -- as the other stores are asked
        """Nothing: Azure drops blocks that never became a blob after a week, and shows them in no listing."""
        return 0
