"""Many keys at once: listing them page by page, deleting them by the thousand, sweeping what dead uploads left."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial

from backupstore.errors import NotFound
from backupstore.stores.http.listing import Page, Trouble, batches, deleting, pages
from backupstore.stores.s3 import faults
from backupstore.stores.s3.client import Ask, Client
from backupstore.stores.s3.documents import REPORT, OpenUpload, deletion, is_writable, page_of, parse, upload_page_of
from backupstore.stores.s3.integrity import Body

_BATCH = 1000


class Listing:
    """The keys of a bucket."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def pages(self, operation: str, folder: str, *, one_level: bool = False) -> Iterator[Page]:
        """The pages of a listing, each fetched when it is asked for. NoBucket when the bucket is not there."""
        page = partial(self._page, operation, folder, one_level=one_level)
        return pages(operation, folder, page, hint=REPORT)

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
        for batch in batches(keys, _BATCH):
            for key in itertools.filterfalse(is_writable, batch):
                with suppress(NotFound):
                    self._client.send(Ask(operation="delete", method="DELETE", key=key))
            self._client.run(deleting(list(filter(is_writable, batch)), self._delete))

    def _delete(self, keys: list[str]) -> Iterator[Trouble]:
        """One request. Which keys were not deleted, and why."""
        body = Body([deletion(keys)])
        headers = {"content-md5": base64.b64encode(body.md5).decode(), "content-type": "application/xml"}
        ask = Ask(operation="delete", method="POST", query={"delete": ""}, headers=headers, body=body, whole=True)
        answer = self._client.once(ask).body
        for element in parse(answer).iter("Error") if answer.strip() else ():
            key, code = element.findtext("Key") or "", element.findtext("Code") or ""
            fault = faults.Fault(_STATUS.get(code, 400), code, element.findtext("Message") or "", "", {})
            yield key, faults.error_of(fault, "delete", key, self._client.endpoint)

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
