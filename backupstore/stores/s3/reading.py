"""Requests that only look, and what their headers say of an object."""

from __future__ import annotations

from collections.abc import Mapping

from backupstore.ports import StoredObject
from backupstore.stores.http.client import Answer
from backupstore.stores.http.times import http_time
from backupstore.stores.s3.client import Ask
from backupstore.stores.s3.integrity import has_keyed_etag
from backupstore.stores.s3.options import Storing


def head_of(operation: str, key: str, storing: Storing) -> Ask:
    """Asks for the facts of an object, its checksum among them."""
    return Ask(operation=operation, method="HEAD", key=key, headers=reading_headers(storing))


def reading_headers(storing: Storing) -> dict[str, str]:
    """Headers of every request that reads."""
    return {"x-amz-checksum-mode": "ENABLED", **storing.encryption.using}


def stored_of(key: str, answer: Answer) -> StoredObject:
    """What the headers of an object say."""
    size = answer.headers.get("content-length", "0")
    return _stored(key, int(size) if size.isdecimal() else 0, "last-modified", answer.headers)


def fetched_of(key: str, size: int, headers: Mapping[str, str]) -> StoredObject:
    """What the headers of an object say of which one range came."""
    return _stored(key, size, "last-modified", headers)


def written_of(key: str, size: int, headers: Mapping[str, str], etag: str | None = None) -> StoredObject:
    """What the answer to a write says; ``etag`` where it stands in a document."""
    return _stored(key, size, "date", headers, etag)


def _stored(key: str, size: int, time: str, headers: Mapping[str, str], etag: str | None = None) -> StoredObject:
    etag = headers.get("etag", "").strip('"') if etag is None else etag
    return StoredObject(key, size, http_time(headers.get(time, "")), etag or None, has_keyed_etag(headers))
