"""Many keys at once: page by page, and deleted batch by batch; what a request and its answer look like, each store says."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from backupstore.errors import BackupError, Corrupt, NotFound
from backupstore.ports import Folder, StoredObject
from backupstore.stores.http.faults import NoBucket
from backupstore.stores.http.retry import Again

Trouble = tuple[str, BackupError | Again]
"""A key that was not deleted, and why."""


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of a listing. ``more``: the token of the next page, empty on the last one."""

    objects: tuple[StoredObject, ...]
    folders: tuple[str, ...]
    more: str


def pages(operation: str, folder: str, page: Callable[[str], Page], *, hint: str) -> Iterator[Page]:
    """The pages of a listing, each fetched, by its token, when it is asked for. Corrupt when they turn in circles."""
    more = ""
    while True:
        found = page(more)
        yield found
        if not found.more:
            return
        if found.more == more:
            raise Corrupt(
                f"{operation} {folder}: the store gives the same page again and again",
                hint=hint,
                operation=operation,
                key=folder,
            )
        more = found.more


def objects_of(pages: Iterable[Page]) -> Iterator[StoredObject]:
    """Their objects, one after the other."""
    return (stored for page in pages for stored in page.objects)


def folder_of(pages: Iterable[Page]) -> Folder:
    """What they say of one level, as a whole."""
    folders: list[str] = []
    objects: list[StoredObject] = []
    for page in pages:
        folders += page.folders
        objects += page.objects
    return Folder(tuple(folders), tuple(objects))


def batches(keys: Iterable[str], size: int) -> Iterator[list[str]]:
    """The same keys, so many at a time."""
    waiting = iter(keys)
    while batch := list(itertools.islice(waiting, size)):
        yield batch


def deleting(keys: list[str], once: Callable[[list[str]], Iterable[Trouble]]) -> Callable[[], None]:
    """An attempt to delete a batch by one request, ``once``; when it is made again, it is for the keys that were left."""
    left = keys

    def attempt() -> None:
        nonlocal left
        failed = _to_try_again(once(left)) if left else {}
        if failed:
            left = list(failed)
            raise next(iter(failed.values()))

    return attempt


def _to_try_again(troubles: Iterable[Trouble]) -> dict[str, Again]:
    """Those that can be tried again, if there are no others. An absent key is fine."""
    again: dict[str, Again] = {}
    for key, error in troubles:
        if isinstance(error, Again):
            again[key] = error
        elif isinstance(error, NoBucket) or not isinstance(error, NotFound):
            raise error
    return again
