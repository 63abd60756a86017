"""The XML that S3 speaks, both ways. Nothing is expanded and nothing is fetched: a document type is refused."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache
from urllib.parse import unquote_plus
from xml.sax.saxutils import escape

from backupstore.errors import Corrupt
from backupstore.ports import StoredObject
from backupstore.stores.http.head import is_length
from backupstore.stores.http.listing import Page

_ISO_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}.[0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{1,12})?(?:Z|\+00:00)?")
_SHOWN = 200
_NOT_XML = re.compile(r"[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class OpenUpload:
    """A multipart upload that was begun and neither finished nor given up."""

    key: str
    id: str
    begun: float


@dataclass(frozen=True, slots=True)
class UploadPage:
    """One answer of ListMultipartUploads; ``after`` holds the markers of the next page, if there is one."""

    uploads: tuple[OpenUpload, ...]
    after: dict[str, str]


@dataclass(frozen=True, slots=True)
class SentPart:
    """A part that the store has. ``crc`` is None where the store does not know it."""

    number: int
    etag: str
    size: int
    crc: str | None


def parse(body: bytes) -> ET.Element:
    """The root of a document, names without their namespace. Corrupt when it is none."""
    hint = "Is the endpoint an S3 server, and nothing else on the way? Try again."
    text = body.lstrip()
    # The parser takes UTF-16 without being told; in every other encoding that it knows, ASCII is as it is.
    if text[:1] != b"<" or text[1:2] == b"\0" or b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise Corrupt("The store's answer is no plain XML document.", hint=hint)
    try:
        root = ET.fromstring(text)  # noqa: S314 -- there is no entity in it
    except (ET.ParseError, ValueError, LookupError) as error:  # the last one is an encoding that nobody knows
        raise Corrupt(f"The store's answer is no XML document: {error}.", hint=hint) from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def page_of(body: bytes) -> Page:
    """An answer of ListObjectsV2."""
    root = parse(body)
    encoded = root.findtext("EncodingType") == "url"
    objects, folders = [], []
    for element in root:
        if element.tag == "Contents":
            objects.append(_object_of({field.tag: field.text or "" for field in element}, encoded=encoded))
        elif element.tag == "CommonPrefixes":
            folders.append(_name(element.findtext("Prefix") or "", encoded=encoded))
    more = root.findtext("NextContinuationToken") or ""
    if root.findtext("IsTruncated") == "true" and not more:
        raise Corrupt("The store cut a listing short and did not say how to go on.", hint=REPORT, operation="list")
    return Page(tuple(objects), tuple(folders), more if root.findtext("IsTruncated") == "true" else "")


def upload_id_of(body: bytes) -> str:
    """The id in an answer of CreateMultipartUpload. Corrupt when there is none: a part without it would be an object."""
    found = parse(body).findtext("UploadId")
    if not found:
        raise Corrupt("The store began an upload and did not say its id.", hint=REPORT, operation="upload")
    return found


def upload_page_of(body: bytes) -> UploadPage:
    """An answer of ListMultipartUploads."""
    root = parse(body)
    encoded = root.findtext("EncodingType") == "url"
    uploads = tuple(
        OpenUpload(
            _name(element.findtext("Key") or "", encoded=encoded),
            element.findtext("UploadId") or "",
            iso_time(element.findtext("Initiated") or ""),
        )
        for element in root.iter("Upload")
    )
    after: dict[str, str] = {}
    if root.findtext("IsTruncated") == "true":
        after["key-marker"] = _name(root.findtext("NextKeyMarker") or "", encoded=encoded)
        after["upload-id-marker"] = root.findtext("NextUploadIdMarker") or ""
    return UploadPage(uploads, after)


def deletion(keys: Iterable[str]) -> bytes:
    """What DeleteObjects is sent; it answers with the failures only."""
    objects = "".join([f"<Object><Key>{escape(key, _ESCAPES)}</Key></Object>" for key in keys])
    return f'<Delete xmlns="{_NAMESPACE}"><Quiet>true</Quiet>{objects}</Delete>'.encode()


def is_writable(key: str) -> bool:
    """Whether XML can say the key: control characters have no place in it."""
    return _NOT_XML.search(key) is None


def completion(parts: Sequence[SentPart]) -> bytes:
    """What CompleteMultipartUpload is sent."""
    text = []
    for part in parts:
        crc = f"<ChecksumCRC64NVME>{part.crc}</ChecksumCRC64NVME>" if part.crc is not None else ""
        text.append(
            f"<Part><PartNumber>{part.number}</PartNumber><ETag>&quot;{escape(part.etag)}&quot;</ETag>{crc}</Part>"
        )
    return f'<CompleteMultipartUpload xmlns="{_NAMESPACE}">{"".join(text)}</CompleteMultipartUpload>'.encode()


def iso_time(text: str) -> float:
    """``2026-03-01T12:00:00.123Z`` as epoch seconds. Corrupt when it is no time."""
    match = _ISO_DATE.fullmatch(text)
    date, fraction = match.groups() if match else ("", None)
    try:
        return _iso_seconds(date) + float(fraction or 0)
    except ValueError as error:
        raise Corrupt(f"The store's answer has a time that is none: {text[:40]!r}.", hint=REPORT) from error


@lru_cache(maxsize=1024)
def _iso_seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()


def _object_of(fields: dict[str, str], *, encoded: bool) -> StoredObject:
    size = fields.get("Size", "")
    if not is_length(size):
        key = fields.get("Key", "")[:_SHOWN]
        raise Corrupt(f"The store lists an object without a size: {key!r}.", hint=REPORT)
    return StoredObject(
        _name(fields.get("Key", ""), encoded=encoded),
        int(size),
        iso_time(fields.get("LastModified", "")),
        fields.get("ETag", "").strip('"') or None,
    )


def _name(text: str, *, encoded: bool) -> str:
    return unquote_plus(text) if encoded else text


REPORT = "This server does not speak S3 as it should: please report which one it is."
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_ESCAPES = {"\r": "&#13;", "\n": "&#10;", "\t": "&#9;"}
