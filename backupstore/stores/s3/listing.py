"""Many keys at once: listing them page by page, deleting them by the thousand, sweeping what dead uploads left."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterable, Iterator
from contextlib import suppress

from backupstore.errors import Corrupt, NotFound
from backupstore.stores.http.retry import Again
from backupstore.stores.s3 import faults
from backupstore.stores.s3.client import Ask, Client
from backupstore.stores.s3.documents import OpenUpload, Page, deletion, is_writable, page_of, parse, upload_page_of
from backupstore.stores.s3.integrity import Body

_BATCH = 1000


class Listing:
    """The keys of a bucket."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def pages(self, operation: str, folder: str, *, one_level: bool = False) -> Iterator[Page]:
        """The pages of a listing, each fetched when it is asked for. NoBucket when the bucket is not there."""
        more = ""
        while True:
            page = self._page(operation, folder, more, one_level=one_level)
            yield page
            if not page.more:
                return
            if page.more == more:
                raise Corrupt(
                    f"{operation} {folder}: the store gives the same page again and again",
                    hint="This server does not speak S3 as it should: please report which one it is.",
                    operation=operation,
                    key=folder,
                )
            more = page.more

    def _page(self, operation: str, folder: str, more: str, *, one_level: bool, most: int = _BATCH) -> Page:
        query = {"list-type": "2", "encoding-type": "url", "max-keys": str(most)}
        if folder:
            query["prefix"] = folder
        if one_level:
            query["delimiter"] = "/"
        if more:
            query["continuation-token"] = more
        return self._client.document(Ask(operation=operation, method="GET", folder=folder, query=query), page_of)

    def look(self) -> None:
        """Ask for one key. NoBucket, Denied and so on, as for any listing."""
        self._page("look", "", "", one_level=False, most=1)

    def delete(self, keys: Iterable[str]) -> None:
        """Delete keys in batches."""
        waiting = iter(keys)
        while batch := list(itertools.islice(waiting, _BATCH)):
            for key in itertools.filterfalse(is_writable, batch):
                with suppress(NotFound):
                    self._client.send(Ask(operation="delete", method="DELETE", key=key))
            self._delete([key for key in batch if is_writable(key)])

    def _delete(self, keys: list[str]) -> None:
        left = keys

        def attempt() -> None:
            nonlocal left
            if not left:
                return
            body = Body([deletion(left)])
            headers = {"content-md5": base64.b64encode(body.md5).decode(), "content-type": "application/xml"}
            ask = Ask(operation="delete", method="POST", query={"delete": ""}, headers=headers, body=body, whole=True)
            failed = self._failures(self._client.once(ask).body)
            if failed:
                left = list(failed)
                raise next(iter(failed.values()))

        self._client.run(attempt)

    def _failures(self, body: bytes) -> dict[str, Exception]:
        """Which keys were not deleted, and why; those that can be tried again only when there are no others."""
        again: dict[str, Exception] = {}
        for element in parse(body).iter("Error") if body.strip() else ():
            key, code = element.findtext("Key") or "", element.findtext("Code") or ""
            fault = faults.Fault(_STATUS.get(code, 400), code, element.findtext("Message") or "", "", {})
            error = faults.error_of(fault, "delete", key, self._client.endpoint)
            if isinstance(error, faults.NoBucket) or not isinstance(error, Again | NotFound):
                raise error
            if isinstance(error, Again):
                again[key] = error
        return again

    def stale_uploads(self, folder: str, older_than: float) -> Iterator[OpenUpload]:
        """Multipart uploads below the folder that were begun before that time (epoch seconds, the store's clock)."""
        after: dict[str, str] = {}
        while True:
            query = {"uploads": "", "encoding-type": "url", "max-uploads": str(_BATCH), **after}
            if folder:
                query["prefix"] = folder
            page = self._client.document(
                Ask(operation="sweep", method="GET", folder=folder, query=query), upload_page_of
            )
            yield from (one for one in page.uploads if one.key.startswith(folder) and one.begun < older_than)
            if not page.after or page.after == after:
                return
            after = page.after

    def give_up(self, upload: OpenUpload) -> None:
        """Abort one; it may be over already."""
        with suppress(faults.NoUpload, NotFound):
            query = {"uploadId": upload.id}
            self._client.send(Ask(operation="sweep", method="DELETE", key=upload.key, query=query))


_STATUS = {"AccessDenied": 403, "InternalError": 500, "SlowDown": 503, "ServiceUnavailable": 503, "NoSuchKey": 404}
