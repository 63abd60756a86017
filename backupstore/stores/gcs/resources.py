"""What Google says of objects, as JSON and in headers, and checksums in its form: base64 of CRC32C and of MD5."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import google_crc32c

from backupstore.errors import Corrupt
from backupstore.ports import StoredObject
from backupstore.stores.http.head import is_length
from backupstore.stores.http.listing import Page

FIELDS = "name,size,timeCreated,md5Hash,crc32c,generation"

REPORT = "Is this Google Cloud Storage, and nothing else on the way? Try again."
_SHOWN = 40
_PIECE = re.compile(r"\s*(crc32c|md5)=([0-9A-Za-z+/=]+)\s*")


@dataclass(frozen=True, slots=True)
class Resource:
    """An object as Google describes it. ``crc`` is the base64 of its CRC32C."""

    stored: StoredObject
    generation: str
    crc: str


def document_of(body: bytes) -> Mapping[str, Any]:
    """An answer that is one JSON object. Corrupt."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Corrupt("The store's answer is no JSON.", hint=REPORT) from error
    if not isinstance(document, dict):
        raise Corrupt("The store's answer is no JSON object.", hint=REPORT)
    return document


def resource_of(body: bytes) -> Resource:
    """The description of one object. Corrupt."""
    return _resource(document_of(body))


def page_of(body: bytes) -> Page:
    """An answer of a listing. Corrupt."""
    document = document_of(body)
    items, prefixes, more = document.get("items", []), document.get("prefixes", []), document.get("nextPageToken", "")
    if not (isinstance(items, list) and isinstance(prefixes, list) and isinstance(more, str)):
        raise Corrupt("The store's listing makes no sense.", hint=REPORT)
    if not all(isinstance(prefix, str) for prefix in prefixes):
        raise Corrupt("The store's listing has a folder without a name.", hint=REPORT)
    return Page(tuple(_resource(item).stored for item in items), tuple(prefixes), more)


def crc_text(crc: int) -> str:
    """As Google writes a CRC32C."""
    return base64.b64encode(crc.to_bytes(4, "big")).decode()


def crc_of(crc: int, piece: bytes) -> int:
    """The CRC32C of what came before and this piece."""
    return int(google_crc32c.extend(crc, piece))


def digests_of(headers: Mapping[str, str]) -> Mapping[str, str]:
    """``crc32c`` and ``md5`` as the headers of a download say them, in base64; what is not said is not there."""
    parts = (_PIECE.fullmatch(part) for part in headers.get("x-goog-hash", "").split(","))
    return {match[1]: match[2] for match in parts if match}


def iso_time(text: str) -> float:
    """``2026-03-01T12:00:00.123Z`` as epoch seconds. Corrupt when it is no time."""
    try:
        # Python 3.10 reads three or six digits of a second only.
        plain, _, fraction = text.removesuffix("Z").partition(".")
        moment = datetime.fromisoformat(f"{plain}.{fraction[:6]:0<6}+00:00")
    except ValueError as error:
        raise Corrupt(f"The store's answer has a time that is none: {text[:_SHOWN]!r}.", hint=REPORT) from error
    return moment.timestamp()


def _resource(fields: Any) -> Resource:  # noqa: ANN401 -- any JSON
    match fields:
        case {
            "name": str() as key,
            "size": str() as size,
            "timeCreated": str() as created,
            "generation": str() | int() as generation,
        }:
            md5, crc = fields.get("md5Hash"), fields.get("crc32c")
        case _:
            raise Corrupt("The store describes an object without name, size, time or generation.", hint=REPORT)
    if not is_length(size):
        raise Corrupt(f"The store says that {key[:_SHOWN]!r} has {size[:_SHOWN]!r} bytes.", hint=REPORT)
    digest = md5 if isinstance(md5, str) and md5 else None  # an object that was composed of others has none
    stored = StoredObject(key, int(size), iso_time(created), digest)
    return Resource(stored, str(generation), crc if isinstance(crc, str) else "")
