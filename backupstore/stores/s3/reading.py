"""Requests that only look, and what their headers say of an object."""

from __future__ import annotations

from backupstore.ports import StoredObject
from backupstore.stores.s3.client import Answer, Ask
from backupstore.stores.s3.documents import http_time
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
    return StoredObject(
        key,
        int(size) if size.isdecimal() else 0,
        http_time(answer.headers.get("last-modified", "")),
        answer.etag or None,
    )
