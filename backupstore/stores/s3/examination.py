"""``stores.examination`` of an S3 bucket."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import TypeVar

from backupstore.errors import Conflict, NotFound
from backupstore.ports import Clock
from backupstore.stores.examination import Retention, Rule, Unfinished
from backupstore.stores.http.memory import Memory
from backupstore.stores.http.times import skew
from backupstore.stores.s3.client import Ask, Client
from backupstore.stores.s3.documents import iso_time, parse
from backupstore.stores.s3.faults import NotAccepted
from backupstore.stores.s3.listing import Listing
from backupstore.stores.s3.options import Storing
from backupstore.stores.s3.parts import PartsUpload
from backupstore.stores.sources import BytesSource

T = TypeVar("T")

_UNLOCKED = frozenset({"InvalidRequest", "MethodNotAllowed"})  # no lock in this bucket; what is there marks a deletion
_CONDITIONS = ("Tag", "ObjectSizeGreaterThan", "ObjectSizeLessThan")
_NARROWER = (
    *(f"Filter/{where}{condition}" for where in ("", "And/") for condition in _CONDITIONS),
    "NoncurrentVersionExpiration/NewerNoncurrentVersions",
)
_EVER = float("inf")
_UNSET = frozenset(
    {"NoSuchLifecycleConfiguration", "ObjectLockConfigurationNotFoundError", "NoSuchObjectLockConfiguration"}
)


class S3Examination:
    """Questions to one bucket."""

    def __init__(self, client: Client, storing: Storing, clock: Clock) -> None:
        self._client = client
        self._storing = storing
        self._clock = clock

    def skew(self, folder: str) -> float:
        """By the Date of an answer."""
        query = {"list-type": "2", "max-keys": "1", "prefix": folder}
        return skew(self._clock, lambda: self._client.send(Ask(operation="examine", method="GET", query=query)))

    def creates_in_parts(self, key: str) -> bool:
        """One byte is a part, as the last one may be small."""
        upload = PartsUpload(self._client, self._storing, Memory(self._storing.memory), key)
        try:
            upload.send(BytesSource(b"x"))
        except Conflict:
            return True
        return False

    def unfinished(self, folder: str) -> Unfinished:
        """Unfinished uploads below a folder. MinIO shows them to whoever asks for a whole key, or for all of the bucket."""
        listing = Listing(self._client)
        found = list(listing.stale_uploads(folder, _EVER)) or list(listing.stale_uploads("", _EVER))
        begun = [upload.begun for upload in found if upload.key.startswith(folder)]
        return Unfinished(len(begun), min(begun, default=0.0))

    def lifecycle(self) -> tuple[Rule, ...]:
        """The enabled rules."""
        return self._setting(
            "lifecycle", lambda root: tuple(_rule(one) for one in root.iter("Rule") if _is_on(one)), ()
        )

    def versioning(self) -> str:
        """Whether old versions are kept."""
        return self._setting("versioning", lambda root: root.findtext("Status") or "", "")

    def lock_days(self) -> str:
        """The default retention."""
        return self._setting("object-lock", _retention, "")

    def retained(self, key: str) -> Retention | None:
        """The lock of one object."""
        try:
            return self._setting("retention", _locked, None, key=key)
        except NotFound:
            return None
        except NotAccepted as error:
            if error.code in _UNLOCKED:
                return None
            raise

    def _setting(self, name: str, read: Callable[[ET.Element], T], unset: T, *, key: str = "") -> T:
        """A setting of the bucket or of an object, or ``unset``. Some servers answer that with an empty document, or with none."""
        try:
            body = self._client.send(Ask(operation="examine", method="GET", key=key, query={name: ""})).body
        except NotAccepted as error:
            if error.code in _UNSET:
                return unset
            raise
        return read(parse(body)) if body.strip() else unset


def _is_on(rule: ET.Element) -> bool:
    return rule.findtext("Status") == "Enabled"


def _rule(rule: ET.Element) -> Rule:
    prefixes = (rule.findtext(path) for path in ("Filter/Prefix", "Filter/And/Prefix", "Prefix"))
    expiration, transition = rule.find("Expiration"), rule.find("Transition")
    old = rule.find("NoncurrentVersionExpiration")
    days = (old.findtext("NoncurrentDays") or "") if old is not None else ""
    return Rule(
        id=rule.findtext("ID") or "",
        prefix=next((prefix for prefix in prefixes if prefix), ""),
        expires=expiration is not None and any(expiration.findtext(field) for field in ("Days", "Date")),
        moves_to=(transition.findtext("StorageClass") or "") if transition is not None else "",
        aborts=rule.find("AbortIncompleteMultipartUpload") is not None,
        old_versions=old is not None,
        old_days=int(days) if days.isdecimal() else None,
        some=any(rule.find(path) is not None for path in _NARROWER),
    )


def _locked(root: ET.Element) -> Retention | None:
    until = root.findtext("RetainUntilDate")
    return Retention(root.findtext("Mode") or "", iso_time(until)) if until else None


def _retention(root: ET.Element) -> str:
    default = root.find("Rule/DefaultRetention")
    if default is None:
        return ""
    unit = next((field for field in ("Days", "Years") if default.findtext(field)), "Days")
    return f"{default.findtext('Mode') or ''} {default.findtext(unit) or '?'} {unit.lower()}".strip()
