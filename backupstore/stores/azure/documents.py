"""The XML of the Blob service, and what headers say of a blob. MD5s are base64, as stock Medusa writes them."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from urllib.parse import unquote

from backupstore.errors import Corrupt
from backupstore.ports import StoredObject
from backupstore.stores.http.head import is_length
from backupstore.stores.http.listing import Page
from backupstore.stores.http.times import http_time

_REPORT = "Is this Azure's Blob service, and nothing else on the way? Try again."
_SHOWN = 40


def page_of(body: bytes) -> Page:
    """An answer of a listing. Corrupt."""
    root = _parsed(body)
    blobs = root.find("Blobs")
    if blobs is None:
        raise Corrupt("The store's answer is no listing.", hint=_REPORT)
    objects = tuple(_stored(blob) for blob in blobs.iterfind("Blob"))
    folders = tuple(_name(prefix) for prefix in blobs.iterfind("BlobPrefix"))
    return Page(objects, folders, root.findtext("NextMarker") or "")


def block_list(ids: Sequence[str]) -> bytes:
    """Of which blocks a blob is made, in this order."""
    named = "".join(f"<Uncommitted>{id_}</Uncommitted>" for id_ in ids)
    return f'<?xml version="1.0" encoding="utf-8"?><BlockList>{named}</BlockList>'.encode()


def described(key: str, headers: Mapping[str, str]) -> StoredObject:
    """A blob as the answer to HEAD shows it. Corrupt when it says no size."""
    length = headers.get("content-length", "")
    if not is_length(length):
        raise Corrupt(f"The store does not say how large {key[:_SHOWN]!r} is.", hint=_REPORT)
    return StoredObject(key, int(length), http_time(headers.get("last-modified", "")), md5_of(headers))


def md5_of(headers: Mapping[str, str]) -> str | None:
    """The MD5 of a whole blob, as its writer or the store left it; an answer with a part of it has it elsewhere."""
    return headers.get("x-ms-blob-content-md5") or headers.get("content-md5") or None


def _parsed(body: bytes) -> ET.Element:
    text = body.removeprefix(b"\xef\xbb\xbf").lstrip()
    # The parser takes UTF-16 without being told; in every other encoding that it knows, ASCII is as it is.
    if text[:1] != b"<" or text[1:2] == b"\0" or b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise Corrupt("The store's answer is no plain XML document.", hint=_REPORT)
    try:
        return ET.fromstring(text)  # noqa: S314 -- there is no entity in it
    except (ET.ParseError, ValueError, LookupError) as error:  # the last one is an encoding that nobody knows
        raise Corrupt(f"The store's answer is no XML document: {error}.", hint=_REPORT) from error


def _name(element: ET.Element) -> str:
    """What XML cannot hold is encoded, and said to be."""
    name = element.find("Name")
    if name is None or not name.text:
        raise Corrupt("The store's listing has an entry without a name.", hint=_REPORT)
    return unquote(name.text) if name.get("Encoded") == "true" else name.text


def _stored(blob: ET.Element) -> StoredObject:
    key = _name(blob)
    size = blob.findtext("Properties/Content-Length") or ""
    if not is_length(size):
        raise Corrupt(f"The store says that {key[:_SHOWN]!r} has {size[:_SHOWN]!r} bytes.", hint=_REPORT)
    modified = http_time(blob.findtext("Properties/Last-Modified") or "")
    return StoredObject(key, int(size), modified, blob.findtext("Properties/Content-MD5") or None)
