"""What S3, what speaks like it, and Google's storage send when an object changed; every form of it becomes ``ObjectEvent``.

    S3, MinIO, Ceph RGW, versitygw   {"Records": [{"eventName": …, "s3": {"bucket": {"name"}, "object": {"key"}}}]}
    MinIO, beside its Records        {"EventName": …, "Key": "bucket/key"}
    EventBridge                      {"detail-type": "Object Created", "detail": {"bucket": {"name"}, "object": {"key"}}}
    SNS                              {"Type": "Notification", "Message": "<any of these>"}, or Records with "Sns"
    SQS                              {"Records": [{"body": "<any of these>"}]}
    a list                           of any of these
    GCS                              attributes of a Pub/Sub message: eventType, bucketId, objectId

Only the key is needed, and the bucket's name to tell others' keys from ours. S3, MinIO and Ceph write keys URL-encoded,
EventBridge and versitygw as they are: since an event only says where to look, each way to read a key is an event.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, unquote_plus

from backupstore.core.events import Kind, ObjectEvent
from backupstore.core.shown import excerpt

_DEPTH = 6  # SQS around SNS around S3 is 4
_TEST = "s3:TestEvent"
# Whoever looks because of an event reads objects: an event for each read would never end.
_READING = "Accessed"
_REMOVAL = ("Removed", "Deleted", "Expiration")
_GONE_AT_GOOGLE = frozenset({"OBJECT_DELETE", "OBJECT_ARCHIVE"})


@dataclass(frozen=True, slots=True)
class Notified:
    """What a message said.

    ``unreadable``: why parts of it could not be read, a line each. ``elsewhere``: other buckets that it spoke of, whose
    events are left out.
    """

    events: tuple[ObjectEvent, ...] = ()
    unreadable: tuple[str, ...] = ()
    elsewhere: frozenset[str] = frozenset()


def read_notification(message: object, bucket: str = "") -> Notified:
    """Understand a message, as JSON gives it. Never raises: what makes no sense is told, the rest is read all the same.

    ``bucket``: the one whose events count; those that name none count too. Empty: all do.
    """
    return _sorted_out(_read(message, _DEPTH), bucket)


def read_notification_text(text: object, bucket: str = "") -> Notified:
    """``read_notification`` of JSON that has not been read yet: text, or bytes."""
    return _sorted_out(_read_text(text, _DEPTH), bucket)


def read_google_notification(attributes: Mapping[str, str], bucket: str = "") -> Notified:
    """``read_notification`` of the attributes of a message that Google's storage has published."""
    return _sorted_out(_of_google(attributes), bucket)


@dataclass(frozen=True, slots=True)
class _Changed:
    """An object changed. ``keys``: all ways to read its key; ``bucket`` is empty where none was named."""

    bucket: str
    kind: Kind
    keys: tuple[str, ...]


_Found = _Changed | str  # a text is why something could not be read


def _sorted_out(found: Iterable[_Found], bucket: str) -> Notified:
    events: dict[ObjectEvent, None] = {}
    unreadable, elsewhere = [], set()
    for one in found:
        if isinstance(one, str):
            unreadable.append(one)
        elif bucket and one.bucket and _plain(one.bucket) != _plain(bucket):
            elsewhere.add(one.bucket)
        else:
            events |= dict.fromkeys(ObjectEvent(one.kind, key) for key in one.keys)
    return Notified(tuple(events), tuple(unreadable), frozenset(elsewhere))


def _plain(bucket: str) -> str:
    """Without the tenant that Ceph puts in front in some places, and leaves out in others."""
    return bucket.rpartition(":")[2]


def _read_text(text: object, depth: int) -> Iterator[_Found]:
    if not isinstance(text, str | bytes):
        yield f"is no text: {excerpt(text)}"
        return
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        yield f"is no JSON: {excerpt(text)}"
        return
    yield from _read(message, depth)


def _read(message: Any, depth: int) -> Iterator[_Found]:  # noqa: ANN401 -- any document
    if not depth:
        yield "holds messages in messages in messages"
        return
    match message:
        case list():
            for one in message:
                yield from _read(one, depth - 1)
        case {"s3": record}:
            yield from _record(message.get("eventName"), record, encoded=True)
        case {"Records": list() as records}:
            yield from _read(records, depth)
            yield from _minio(message)
        case {"EventName": _, "Key": _}:
            yield from _minio(message)
        case {"body": text, "eventSource": _} | {"Sns": {"Message": text}} | {"Type": "Notification", "Message": text}:
            yield from _read_text(text, depth - 1)
        case {"detail-type": kind, "detail": detail}:
            yield from _record(kind, detail, encoded=False)
        case {"Event": what} if what == _TEST:
            return
        case _:
            yield f"is no event of an object: {excerpt(message)}"


def _record(name: object, record: object, *, encoded: bool) -> Iterator[_Found]:
    """What S3 and EventBridge say about an object: the same, but for how the key is written."""
    match record:
        case {"object": {"key": str() as key}} if key:
            match record:
                case {"bucket": {"name": str() as bucket}}:
                    yield from _changed(name, bucket, key, encoded=encoded)
                case _:
                    yield from _changed(name, "", key, encoded=encoded)
        case _:
            yield f"names no key: {excerpt(record)}"


def _minio(message: Mapping[Any, Any]) -> Iterator[_Found]:
    """What MinIO says beside its records: bucket and key in one, as they are."""
    match message:
        case {"EventName": name, "Key": str() as path}:
            bucket, _, key = path.partition("/")
            if key:
                yield from _changed(name, bucket, key, encoded=False)
            else:
                yield f"names no key: {excerpt(message)}"


def _of_google(attributes: Mapping[str, str]) -> Iterator[_Found]:
    """Of a change of metadata alone nothing follows; a version that is archived is no longer what the key holds."""
    kind, key = attributes.get("eventType", ""), attributes.get("objectId", "")
    if not (kind.startswith("OBJECT_") and key):
        yield f"is no event of an object: {excerpt(dict(attributes))}"
    elif kind != "OBJECT_METADATA_UPDATE":
        yield _Changed(attributes.get("bucketId", ""), "removed" if kind in _GONE_AT_GOOGLE else "created", (key,))


def _changed(name: object, bucket: str, key: str, *, encoded: bool) -> Iterator[_Found]:
    said = name if isinstance(name, str) else ""
    if _READING not in said:
        kind: Kind = "removed" if any(word in said for word in _REMOVAL) else "created"
        ways = (key, unquote(key), unquote_plus(key)) if encoded else (key,)
        yield _Changed(bucket, kind, tuple(dict.fromkeys(ways)))
