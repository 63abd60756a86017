"""``stores.examination`` of a bucket at Google."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from backupstore.errors import NotFound
from backupstore.ports import Clock
from backupstore.stores.examination import Retention, Rule, Unfinished
from backupstore.stores.gcs.client import Ask, Client
from backupstore.stores.gcs.options import Storing
from backupstore.stores.gcs.resources import document_of, iso_time
from backupstore.stores.gcs.resumable import ResumableUpload
from backupstore.stores.http.faults import Unmet
from backupstore.stores.http.times import skew
from backupstore.stores.sources import BytesSource

_DAY = 86_400
_OF_OLD_VERSIONS = ("numNewerVersions", "daysSinceNoncurrentTime", "noncurrentTimeBefore")
_OF_ALL = {"age", "isLive", "daysSinceNoncurrentTime", "matchesPrefix"}


class GcsExamination:
    """Questions to one bucket."""

    def __init__(self, client: Client, storing: Storing, clock: Clock) -> None:
        self._client = client
        self._storing = storing
        self._clock = clock

    def skew(self, folder: str) -> float:
        """By the Date of an answer."""
        query = {"maxResults": "1", "prefix": folder}
        ask = Ask(operation="examine", method="GET", path=self._client.place.objects, query=query)
        return skew(self._clock, lambda: self._client.send(ask))

    def creates_in_parts(self, key: str) -> bool:
        """One byte is a piece, as the last one may be small."""
        upload = ResumableUpload(self._client, self._storing, key, 1)
        try:
            upload.send(BytesSource(b"x"))
        except Unmet:
            return True
        return False

    def unfinished(self, folder: str) -> Unfinished:  # noqa: ARG002 -- as the other stores are asked
        """None that anybody could see, or pays for."""
        return Unfinished(0, 0.0)

    def lifecycle(self) -> tuple[Rule, ...]:
        """The rules; where no versions are kept, soft delete is one that drops what was deleted after its days."""
        bucket = self._bucket("lifecycle,versioning,softDeletePolicy")
        found = [rule for one in _list(_dig(bucket, "lifecycle", "rule")) for rule in _rules(one)]
        if not _keeps_versions(bucket) and (days := _soft_days(bucket)):
            found.append(Rule(id="soft delete", prefix="", old_versions=True, old_days=days))
        return tuple(found)

    def versioning(self) -> str:
        """Whether what is deleted or overwritten is kept, as a version or by soft delete."""
        bucket = self._bucket("versioning,softDeletePolicy")
        return "Enabled" if _keeps_versions(bucket) or _soft_days(bucket) else ""

    def lock_days(self) -> str:
        """The retention that the bucket gives every object."""
        seconds = _dig(self._bucket("retentionPolicy"), "retentionPolicy", "retentionPeriod")
        return f"retention policy of {int(seconds) / _DAY:g} days" if str(seconds).isdecimal() else ""

    def retained(self, key: str) -> Retention | None:
        """The lock of one object: its own, or that of the bucket's policy, whichever is longer."""
        query = {"fields": "retention,retentionExpirationTime"}
        path = self._client.place.object(key)
        try:
            object_ = self._client.document(
                Ask(operation="examine", method="GET", path=path, key=key, query=query), document_of
            )
        except NotFound:
            return None
        own, by_policy = _dig(object_, "retention"), _dig(object_, "retentionExpirationTime")
        locks = [Retention("COMPLIANCE", iso_time(by_policy))] if isinstance(by_policy, str) else []
        if isinstance(until := _dig(own, "retainUntilTime"), str):
            locks.append(Retention("COMPLIANCE" if _dig(own, "mode") == "Locked" else "GOVERNANCE", iso_time(until)))
        return max(locks, key=lambda lock: lock.until, default=None)

    def _bucket(self, fields: str) -> Mapping[str, Any]:
        query = {"fields": fields}
        return self._client.document(
            Ask(operation="examine", method="GET", path=self._client.place.root, query=query), document_of
        )


def _keeps_versions(bucket: Mapping[str, Any]) -> bool:
    return _dig(bucket, "versioning", "enabled") is True


def _soft_days(bucket: Mapping[str, Any]) -> int:
    """Days rounded up; 0 where deleted objects are gone at once."""
    seconds = str(_dig(bucket, "softDeletePolicy", "retentionDurationSeconds"))
    return -(-int(seconds) // _DAY) if seconds.isdecimal() else 0


def _dig(document: Any, *names: str) -> Any:  # noqa: ANN401 -- any document
    for name in names:
        document = document.get(name) if isinstance(document, dict) else None
    return document


def _list(value: Any) -> list[Any]:  # noqa: ANN401 -- any part of one
    return value if isinstance(value, list) else []


def _rules(rule: Any) -> Iterator[Rule]:  # noqa: ANN401 -- the same
    """One rule for each prefix that a rule of Google's names."""
    kind, condition = _dig(rule, "action", "type"), _dig(rule, "condition")
    condition = condition if isinstance(condition, dict) else {}
    old = condition.get("isLive") is False or any(name in condition for name in _OF_OLD_VERSIONS)
    days = condition.get("daysSinceNoncurrentTime", condition.get("age"))
    for prefix in _list(condition.get("matchesPrefix")) or [""]:
        yield Rule(
            id=str(kind or ""),
            prefix=str(prefix),
            expires=kind == "Delete" and not old,
            moves_to=str(_dig(rule, "action", "storageClass") or "") if kind == "SetStorageClass" and not old else "",
            aborts=kind == "AbortIncompleteMultipartUpload",
            old_versions=kind == "Delete" and old,
            old_days=days if kind == "Delete" and old and isinstance(days, int) else None,
            some=not condition.keys() <= _OF_ALL,
        )
