"""``ports.ObjectStore`` on Google Cloud Storage. The generation is the version of a document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from backupstore.ports import Clock, Document, Folder, Sink, Source, StoredObject
from backupstore.stores.answers import changed, taken
from backupstore.stores.gcs.client import Client
from backupstore.stores.gcs.downloads import Downloads
from backupstore.stores.gcs.examination import GcsExamination
from backupstore.stores.gcs.listing import Listing
from backupstore.stores.gcs.options import Storing
from backupstore.stores.gcs.place import Place
from backupstore.stores.gcs.tokens import Tokens
from backupstore.stores.gcs.uploads import NEW, Uploads, described
from backupstore.stores.http.faults import Unmet
from backupstore.stores.http.listing import folder_of, objects_of
from backupstore.stores.http.pool import Wire
from backupstore.stores.keys import check_folder, check_key


class GcsStore:
    """One bucket. Everything it needs is given: where it is, whose tokens, the clock, how to connect, how to store."""

    def __init__(
        self, place: Place, tokens: Tokens, clock: Clock, *, wire: Wire | None = None, storing: Storing | None = None
    ) -> None:
        self._clock = clock
        self._storing = storing or Storing()
        self._client = Client(place, tokens, clock, wire=wire or Wire())
        self._uploads = Uploads(self._client, self._storing)
        self._downloads = Downloads(self._client)
        self._listing = Listing(self._client)

    def close(self) -> None:
        """Close idle connections; the store can still be used."""
        self._client.close()

    def look(self) -> None:
        """Whether the bucket can be listed. NotFound when it is not there; Denied, Misconfigured, Retryable."""
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
        return described(self._client, "head", check_key(key, "head")).stored

    def create(self, key: str, body: bytes) -> StoredObject:
        """Write a small object that is not there yet."""
        try:
            return self._uploads.put("create", check_key(key, "create"), (body,), NEW)
        except Unmet as error:
            raise taken("create", key) from error

    def replace(self, key: str, body: bytes, version: str) -> StoredObject:
        """Write over the version that ``read`` gave."""
        check_key(key, "replace")
        if not version.isdecimal() or version == NEW:
            raise changed(key)
        try:
            return self._uploads.put("replace", key, (body,), version)
        except Unmet as error:
            raise changed(key) from error

    def put(self, key: str, body: bytes) -> StoredObject:
        """Write unconditionally."""
        return self._uploads.put("put", check_key(key, "put"), (body,), None)

    def upload(self, key: str, source: Source) -> StoredObject:
        """Create an object of any size."""
        try:
            return self._uploads.upload(check_key(key, "upload"), source)
        except Unmet as error:
            raise taken("upload", key) from error

    def list(self, folder: str) -> Iterator[StoredObject]:
        """Every object below the folder, sorted by key, a page at a time."""
        check_folder(folder, "list")
        return objects_of(self._listing.pages("list", folder))

    def entries(self, folder: str) -> Folder:
        """One level only."""
        return folder_of(self._listing.pages("entries", check_folder(folder, "entries"), one_level=True))

    def delete(self, keys: Iterable[str]) -> None:
        """Delete exactly these keys, a hundred by a request."""
        self._listing.delete(check_key(key, "delete") for key in keys)

    def examination(self) -> GcsExamination:
        """What nobody asks but an examination."""
        return GcsExamination(self._client, self._storing, self._clock)

    def sweep_uploads(self, older_than: float, folder: str = "") -> int:  # noqa: ARG002 -- as the other stores are asked
        """Nothing: Google drops unfinished uploads after a week, shows them to nobody, and bills them to nobody."""
        return 0
