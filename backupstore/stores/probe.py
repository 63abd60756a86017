"""Does this store keep its conditions? Probed, never assumed.

rclone and old Ceph take a conditional write and ignore the condition; others refuse the request. Then two indexers lose
each other's updates, and one node overwrites what another committed.

One client asking one question after the other cannot tell a store that compares from an adapter that looks first and
writes then. Such an adapter (libcloud) declares itself, and is not probed.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Protocol, runtime_checkable

from backupstore.errors import Conflict, Misconfigured, NotFound
from backupstore.ports import Document, ObjectStore

_TRIES = 5


@runtime_checkable
class Declared(Protocol):
    """A store that says of itself whether it keeps conditions, since no probe can find it out."""

    @property
    def keeps_conditions(self) -> bool:
        """Whether ``create``, ``upload`` and ``replace`` are safe from other processes."""
        ...


def is_without_conditions(store: ObjectStore) -> bool:
    """Whether the store says that it has none."""
    return isinstance(store, Declared) and not store.keeps_conditions


def probe_create_only(store: ObjectStore, key: str, body: bytes) -> bool:
    """Whether a second create of a key is refused. The object stays: give a key that is written anyway.

    When the key was there before, the first create is already the second one. False where the store says that it only
    looks first: then the object is written all the same.
    """
    if is_without_conditions(store):
        with suppress(Conflict):
            store.create(key, body)
        return False
    try:
        store.create(key, body)
        store.create(key, body)
    except Conflict:
        return True
    return False


def probe_compare_and_swap(store: ObjectStore, key: str, revision: str) -> bool:
    """Whether replacing a version that is no longer there is refused, and replacing the right one is not.

    ``revision`` is random: where the version is a digest, only new content gives a new one. False as well when other
    writers come in between each time: what could not be seen is not there; and when the store does not know conditions,
    or says that it has none: then nothing is written.
    """
    if is_without_conditions(store):
        return False
    for _ in range(_TRIES):
        try:
            seen = _probe_document(store, key, revision)
            store.replace(key, _body(revision, seen.body), seen.version)
        except Conflict:
            continue  # another prober was faster
        except Misconfigured:
            store.put(key, _body(revision, b""))  # what is refused without a condition too has another reason
            return False
        try:
            store.replace(key, _body(f"{revision}-stale", seen.body), seen.version)
        except Conflict:
            return True
        return False
    return False


def _probe_document(store: ObjectStore, key: str, revision: str) -> Document:
    try:
        return store.read(key)
    except NotFound:
        with suppress(Conflict):  # another prober made it
            store.create(key, _body(f"{revision}-first", b""))
        return store.read(key)


def _body(revision: str, unlike: bytes) -> bytes:
    """A document of ours with that revision, and never the content that is there already."""
    body = json.dumps({"format": 1, "revision": revision}).encode()
    return body if body != unlike else json.dumps({"format": 1, "revision": f"{revision}-again"}).encode()
