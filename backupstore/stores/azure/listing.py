"""Many keys at once: listing them page by page, deleting them one by one, some at a time.

Azure bills each deletion of a batch as one of its own, and each would have to be signed: a batch saves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

from backupstore.errors import NotFound
from backupstore.ports import StoredObject
from backupstore.stores.azure.client import Ask, Client
from backupstore.stores.azure.documents import page_of
from backupstore.stores.http.faults import NoBucket
from backupstore.stores.http.listing import Page, batches, pages

_PAGE = 5000
_AT_ONCE = 8
_BATCH = 1000
_FIRST_ODD = "\ud800"
_HINT = "Is this Azure's Blob service, and nothing else on the way? Try again."


class Listing:
    """The keys of a container."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def pages(self, operation: str, folder: str, *, one_level: bool = False) -> Iterator[Page]:
        """The pages of a listing, each fetched when it is asked for. NoBucket when the container is not there."""
        page = partial(self._page, operation, folder, one_level=one_level)
        return pages(operation, folder, page, hint=_HINT)

    def look(self) -> None:
        """Ask for one key. NoBucket, Denied and so on, as for any listing."""
        self._page("look", "", "", one_level=False, most=1)

    def ask(self, operation: str, folder: str, most: int = _PAGE) -> Ask:
        """For the first page."""
        query = {"restype": "container", "comp": "list", "maxresults": str(most)}
        if folder:
            query["prefix"] = folder
        return Ask(operation=operation, method="GET", path=self._client.place.root, folder=folder, query=query)

    def delete(self, keys: Iterable[str]) -> None:
        """Delete keys; those that are absent are fine. What fails first is raised when the others of its batch are done."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for batch in batches(keys, _BATCH):
                for done in [pool.submit(self._delete, key) for key in batch]:
                    done.result()

    def _page(self, operation: str, folder: str, more: str, *, one_level: bool, most: int = _PAGE) -> Page:
        first = self.ask(operation, folder, most)
        further = {**({"delimiter": "/"} if one_level else {}), **({"marker": more} if more else {})}
        ask = Ask(operation=operation, method="GET", path=first.path, folder=folder, query={**first.query, **further})
        return self._client.document(ask, page_of)

    def _delete(self, key: str) -> None:
        path, headers = self._client.place.object(key), {"x-ms-delete-snapshots": "include"}
        with suppress(NotFound):
            try:
                self._client.send(Ask(operation="delete", method="DELETE", path=path, key=key, headers=headers))
            except NoBucket as error:
                raise error from None


def in_order(objects: Iterable[StoredObject]) -> Iterator[StoredObject]:
    """The same by code points, from a store that sorts by UTF-16.

    The two orders differ only among neighbours that all have a character from U+D800 on; such a run is held, and sorted.
    """
    run: list[StoredObject] = []
    for stored in objects:
        if max(stored.key) >= _FIRST_ODD:
            run.append(stored)
            continue
        yield from sorted(run, key=lambda each: each.key)
        run.clear()
        yield stored
    yield from sorted(run, key=lambda each: each.key)
