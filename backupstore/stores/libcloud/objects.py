"""An object as a driver shows it, in the words of ``backupstore.ports``. When it was written, each driver says in its own way."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from libcloud.storage.base import Object

from backupstore.ports import StoredObject

_TIMES = ("last_modified", "last-modified", "modify_time", "uploadTimestamp")
_MILLISECONDS = 1e11  # as seconds, that would be in the year 5138
_MD5 = re.compile(r"[0-9a-fA-F]{32}")


def stored_of(found: Object) -> StoredObject:
    """What a listing or a head shows. A digest that is not that of the content is one all the same: it tells changes."""
    digest = str(found.hash).strip('"') if found.hash else None
    return StoredObject(found.name, int(found.size), modified_of(found.extra), digest)


def md5_of(stored: StoredObject) -> str | None:
    """The MD5 of the content in hex, where the digest looks like one."""
    return stored.digest.lower() if stored.digest and _MD5.fullmatch(stored.digest) else None


def modified_of(extra: dict[str, object]) -> float:
    """Epoch seconds; 0 where the driver says nothing that is a time."""
    said = next((extra[name] for name in _TIMES if extra.get(name)), None)
    if isinstance(said, datetime):
        return _epoch(said)
    text = str(said).strip()
    if re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,9})?", text):
        number = float(text)
        return number / 1000 if number >= _MILLISECONDS else number
    return _iso(text) or _rfc(text)


def _iso(text: str) -> float:
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)?", text, re.ASCII)
    if match is None:
        return 0.0
    zone = "+00:00" if match[4] in {None, "Z"} else match[4]
    try:
        return datetime.fromisoformat(f"{match[1]}T{match[2]}{zone}").timestamp() + float(match[3] or 0.0)
    except ValueError:
        return 0.0


def _rfc(text: str) -> float:
    try:
        return _epoch(parsedate_to_datetime(text))
    except (TypeError, ValueError):
        return 0.0


def _epoch(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


def is_whole(stored: StoredObject, size: int, md5: str) -> bool:
    """Whether it is an object of that size, and of that MD5 (hex) as far as the provider says one."""
    return stored.size == size and md5_of(stored) in {None, md5}
