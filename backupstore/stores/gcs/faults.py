"""What went wrong at Google, in the words of ``backupstore.errors``: each with the next thing an operator can do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from backupstore.core.shown import one_line
from backupstore.errors import BackupError, Denied, Misconfigured, Retryable
from backupstore.stores.answers import absent
from backupstore.stores.gcs.place import Place
from backupstore.stores.http.faults import (
    DAMAGED_TRIES,
    Failed,
    Hints,
    NoBucket,
    Unmet,
    busy,
    damaged_on_the_way,
    in_the_way,
    not_met,
)
from backupstore.stores.http.retry import Again

_BAD, _UNSIGNED, _FORBIDDEN, _ABSENT, _GONE = 400, 401, 403, 404, 410
_SLOWER = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "backendError", "internalError"})
_LOCKED = frozenset({"retentionPolicyNotMet", "objectUnderActiveHold"})

_HINTS = {
    _UNSIGNED: "The credentials are missing, or ended: check key_file, GOOGLE_APPLICATION_CREDENTIALS, or the machine's"
    " service account.",
    _FORBIDDEN: "Give the service account the roles that docs/guides/gcs.md names: creating and reading objects, listing"
    " the bucket, deleting only for purge. With kms_id, Google's own storage account needs the key as well.",
}


HINTS = Hints(
    untrusted="Install the authority that signed it on this machine, or name it in [shipper] ca_file.",
    unreachable="Check the network, the firewall and the proxy; if host is set in [storage], check it and port.",
    lost="Check the network; then run the same again.",
)


class NoSession(Retryable):
    """A resumable upload is over: finished, given up, or forgotten by the store."""


@dataclass(frozen=True, slots=True)
class Fault:
    """An answer that is an error. ``reason`` is Google's own word for it, empty where there is none."""

    status: int
    reason: str
    message: str
    headers: Mapping[str, str]

    @property
    def said(self) -> str:
        """For a person."""
        name = f"{self.status} {self.reason}".strip()
        return f"{name} ({self.message})" if self.message else name


def fault_of(status: int, headers: Mapping[str, str], body: bytes) -> Fault:
    """Read an answer. Whatever it says, it becomes a fault."""
    reason = message = ""
    try:
        document = json.loads(body) if body else None
    except (ValueError, RecursionError):
        document = None
        message = body[:200].decode("latin-1")
    match document:
        case {"error": {"message": str() as message, "errors": [{"reason": str() as reason}, *_]}}:
            pass
        case {"error": {"message": str() as message}}:
            pass
    return Fault(status, one_line(reason), one_line(message), headers)


def error_of(fault: Fault, operation: str, key: str, place: Place, *, reads: bool = True) -> BackupError | Again:
    """What to raise for an answer: the first of the kinds of trouble that it is.

    ``reads``: the key names an object, which may not be there; else it is to be written, or the folder of a listing.
    """
    about = _About(operation, key, fault.status, fault.said, fault.headers, fault, place, reads)
    kinds = (_not_there, _not_met, _damaged_body, _busy, _denied, _in_the_way)
    return next((error for kind in kinds if (error := kind(about))), None) or _odd(about)


@dataclass(frozen=True, slots=True)
class _About(Failed):
    """What can be known of it here."""

    fault: Fault
    place: Place
    reads: bool


def _not_there(about: _About) -> BackupError | None:
    if about.status == _GONE:
        return NoSession(f"{about.what}: the upload is over", hint="Run the same again.", **about.where)
    if about.status != _ABSENT:
        return None
    if not about.reads or "bucket does not exist" in about.fault.message:
        return NoBucket(
            f"no such bucket: {about.place.bucket} at {about.place.authority}",
            hint="Check bucket_name in [storage] and the project of the credentials, or make the bucket.",
            **about.where,
        )
    return absent(about.operation, about.key)


def _not_met(about: _About) -> BackupError | None:
    if _is_in_use(about):
        return Unmet(f"{about.what}: a condition did not hold", **about.where)
    return not_met(about)


def _is_in_use(about: _About) -> bool:
    """Who may create objects, and not delete them, may be told that of a key that is in use."""
    return (
        about.status == _FORBIDDEN
        and about.operation in {"create", "upload"}
        and "storage.objects.delete" in about.fault.message
    )


def _damaged_body(about: _About) -> Again | None:
    if about.status != _BAD or "match calculated" not in about.fault.message:
        return None
    return Again(damaged_on_the_way(about.operation, about.key, about.fault.message), most=DAMAGED_TRIES)


def _busy(about: _About) -> Again | None:
    return busy(about, says_so=about.fault.reason in _SLOWER)


def _denied(about: _About) -> BackupError | None:
    fault = about.fault
    if fault.status not in {_UNSIGNED, _FORBIDDEN}:
        return None
    hint = _HINTS[fault.status]
    if fault.reason in _LOCKED:
        hint = "The object is under retention or a hold of the bucket: it can be deleted when that is over."
    return Denied(f"{about.what}: the store at {about.place} forbids it: {fault.said}", hint=hint, **about.where)


def _in_the_way(about: _About) -> Again | None:
    return in_the_way(about, "Nothing was written. Try again.")


def _odd(about: _About) -> BackupError:
    return Misconfigured(
        (f"{about.what}: the store at {about.place} does not accept the request: {about.said}.",),
        hint="Check bucket_name, storage_class and kms_id in [storage].",
    )
