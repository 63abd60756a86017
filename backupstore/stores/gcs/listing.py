"""Many keys at once: listing them page by page, deleting them by the hundred."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator
from email.parser import BytesParser
from functools import partial

from backupstore.errors import BackupError, Retryable
from backupstore.stores.gcs import faults
from backupstore.stores.gcs.client import Ask, Client
from backupstore.stores.gcs.place import BATCH
from backupstore.stores.gcs.resources import FIELDS, REPORT, page_of
from backupstore.stores.http.client import OK, Answer
from backupstore.stores.http.listing import Page, Trouble, batches, deleting, pages
from backupstore.stores.http.retry import Again

_PAGE = 1000
_BATCH = 100  # Google takes no more
_STATUS = re.compile(rb"HTTP/1\.\d (\d{3})[^\n]*\n")
_NUMBER = re.compile(r"<?response-(\d+)>?")


class Listing:
    """The keys of a bucket."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def pages(self, operation: str, folder: str, *, one_level: bool = False) -> Iterator[Page]:
        """The pages of a listing, each fetched when it is asked for. NoBucket when the bucket is not there."""
        page = partial(self._page, operation, folder, one_level=one_level)
        return pages(operation, folder, page, hint=REPORT)

    def look(self) -> None:
        """Ask for one key. NoBucket, Denied and so on, as for any listing."""
        self._page("look", "", "", one_level=False, most=1)

    def _page(self, operation: str, folder: str, more: str, *, one_level: bool, most: int = _PAGE) -> Page:
        query = {"maxResults": str(most), "fields": f"items({FIELDS}),prefixes,nextPageToken"}
        if folder:
            query["prefix"] = folder
        if one_level:
            query["delimiter"] = "/"
        if more:
            query["pageToken"] = more
        path = self._client.place.objects
        return self._client.document(
            Ask(operation=operation, method="GET", path=path, folder=folder, query=query), page_of
        )

    def delete(self, keys: Iterable[str]) -> None:
        """Delete keys in batches."""
        for batch in batches(keys, _BATCH):
            self._client.run(deleting(batch, self._delete))

    def _delete(self, keys: list[str]) -> Iterator[Trouble]:
        """One request. Which keys were not deleted, and why."""
        answers = _answers(self._client.once(self._batch(keys)))
        for number, key in enumerate(keys):
            status, body = answers.get(number, (0, b""))
            if not 0 < status < OK:
                yield key, self._error(key, status, body)

    def _batch(self, keys: list[str]) -> Ask:
        boundary = secrets.token_hex(16)
        parts = [
            f"--{boundary}\r\ncontent-type: application/http\r\ncontent-id: <{number}>\r\n\r\n"
            f"DELETE {self._client.place.object(key)} HTTP/1.1\r\ncontent-length: 0\r\n\r\n\r\n"
            for number, key in enumerate(keys)
        ]
        body = "".join([*parts, f"--{boundary}--\r\n"]).encode()
        headers = {"content-type": f"multipart/mixed; boundary={boundary}"}
        return Ask(operation="delete", method="POST", path=BATCH, headers=headers, body=(body,))

    def _error(self, key: str, status: int, body: bytes) -> BackupError | Again:
        if not status:
            hint = "Try again; if it stays so, is something else than Google's service on the way?"
            unsaid = f"delete {key}: the store did not say what became of it"
            return Again(Retryable(unsaid, hint=hint, operation="delete", key=key), unsure=True)
        return faults.error_of(faults.fault_of(status, {}, body), "delete", key, self._client.place)


def _answers(answer: Answer) -> dict[int, tuple[int, bytes]]:
    """Status and body of each answer in a batch, by its number; what makes no sense is left out."""
    kind = answer.headers.get("content-type", "").encode("latin-1")
    message = BytesParser().parsebytes(b"content-type: " + kind + b"\r\n\r\n" + answer.body)
    found: dict[int, tuple[int, bytes]] = {}
    for part in message.walk():
        payload = part.get_payload(decode=True)
        said = payload if isinstance(payload, bytes) else b""
        number, status = _NUMBER.fullmatch(str(part.get("content-id", ""))), _STATUS.match(said)
        if number and status:
            body = said.replace(b"\r\n", b"\n").partition(b"\n\n")[2]
            found[int(number[1])] = (int(status[1]), body)
    return found
