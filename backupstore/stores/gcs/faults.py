"""What went wrong at Google, in the words of ``backupstore.errors``: each with the next thing an operator can do."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

from backupstore.core.shown import one_line
from backupstore.errors import BackupError, Conflict, Corrupt, Denied, Misconfigured, NotFound, Refused, Retryable
from backupstore.stores.answers import absent
from backupstore.stores.gcs.place import Place
from backupstore.stores.http.retry import Again
from backupstore.stores.s3.faults import DAMAGED_TRIES, damaged_on_the_way

_UNSIGNED, _FORBIDDEN, _ABSENT, _CONFLICTS, _GONE, _UNMET, _BEYOND = 401, 403, 404, 409, 410, 412, 416
_SERVERS, _UNKNOWN = 500, 501
_TRIES_IN_THE_WAY = 4
_SLOWER = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "backendError", "internalError"})
_LOCKED = frozenset({"retentionPolicyNotMet", "objectUnderActiveHold"})

_HINTS = {
    _UNSIGNED: "The credentials are missing, or ended: check key_file, GOOGLE_APPLICATION_CREDENTIALS, or the machine's"
    " service account.",
    _FORBIDDEN: "Give the service account the roles that docs/guides/gcs.md names: creating and reading objects, listing"
    " the bucket, deleting only for purge. With kms_id, Google's own storage account needs the key as well.",
}


class Unmet(Conflict):
    """A condition of the request did not hold (412)."""


class NoBucket(NotFound):
    """The bucket itself is not there."""


class NoSession(Retryable):
    """A resumable upload is over: finished, given up, or forgotten by the store."""


class BeyondEnd(Corrupt):
    """There is no byte at that place of the object (416)."""


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
    about = _About(fault, operation, key, place, reads)
    kinds = (_not_there, _not_met, _damaged_body, _busy, _denied, _in_the_way)
    return next((error for kind in kinds if (error := kind(about))), None) or _odd(about)


def unreachable(place: Place, operation: str, key: str, error: OSError) -> BackupError | Again:
    """No connection could be made."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return Misconfigured(
            (f"{place}: its certificate is not trusted: {error.verify_message}.",),
            hint="Install the authority that signed it on this machine, or name it in [shipper] ca_file.",
        )
    why = "its name cannot be resolved" if isinstance(error, socket.gaierror) else error.strerror or str(error)
    hint = "Check the network, the firewall and the proxy; if host is set in [storage], check it and port."
    what = f"{_named(operation, key)}: no connection to {place}: {why}"
    return Again(Retryable(what, hint=hint, operation=operation, key=key))


def lost(place: Place, operation: str, key: str, error: OSError) -> Retryable:
    """The connection broke, or nothing came, before the answer was whole."""
    why = "no answer in time" if isinstance(error, (TimeoutError, BlockingIOError)) else error.strerror or str(error)
    what = f"{_named(operation, key)}: the connection to {place} was lost: {why}"
    return Retryable(what, hint="Check the network; then run the same again.", operation=operation, key=key)


def _named(operation: str, key: str) -> str:
    return f"{operation} {key}" if key else operation


@dataclass(frozen=True, slots=True)
class _About:
    """A fault and the request that it answers."""

    fault: Fault
    operation: str
    key: str
    place: Place
    reads: bool

    @property
    def what(self) -> str:
        return _named(self.operation, self.key)

    @property
    def where(self) -> dict[str, str]:
        return {"operation": self.operation, "key": self.key}


def _not_there(about: _About) -> BackupError | None:
    if about.fault.status == _GONE:
        return NoSession(f"{about.what}: the upload is over", hint="Run the same again.", **about.where)
    if about.fault.status != _ABSENT:
        return None
    if not about.reads or "bucket does not exist" in about.fault.message:
        return NoBucket(
            f"no such bucket: {about.place.bucket} at {about.place.authority}",
            hint="Check bucket_name in [storage] and the project of the credentials, or make the bucket.",
            **about.where,
        )
    return absent(about.operation, about.key)


def _not_met(about: _About) -> BackupError | None:
    if about.fault.status == _UNMET or _is_in_use(about):
        return Unmet(f"{about.what}: a condition did not hold", **about.where)
    if about.fault.status == _BEYOND:
        return BeyondEnd(f"{about.what}: the object ends before that", **about.where)
    return None


def _is_in_use(about: _About) -> bool:
    """Who may create objects, and not delete them, may be told that of a key that is in use."""
    return (
        about.fault.status == _FORBIDDEN
        and about.operation in {"create", "upload"}
        and "storage.objects.delete" in about.fault.message
    )


def _damaged_body(about: _About) -> Again | None:
    if about.fault.status != 400 or "match calculated" not in about.fault.message:  # noqa: PLR2004 -- bad request
        return None
    return Again(damaged_on_the_way(about.operation, about.key, about.fault.message), most=DAMAGED_TRIES)


def _busy(about: _About) -> Again | None:
    fault = about.fault
    server = fault.status >= _SERVERS and fault.status != _UNKNOWN
    if not (server or fault.status in {408, 429} or fault.reason in _SLOWER):
        return None
    after = fault.headers.get("retry-after", "")
    hint = "The store is overloaded or in trouble: try again later, with fewer concurrent_transfers."
    error = Retryable(f"{about.what}: the store answered {fault.said}", hint=hint, **about.where)
    return Again(error, after=float(after) if after.isdecimal() else 0.0, unsure=server)


def _denied(about: _About) -> BackupError | None:
    fault = about.fault
    if fault.status not in {_UNSIGNED, _FORBIDDEN}:
        return None
    hint = _HINTS[fault.status]
    if fault.reason in _LOCKED:
        hint = "The object is under retention or a hold of the bucket: it can be deleted when that is over."
    return Denied(f"{about.what}: the store at {about.place} forbids it: {fault.said}", hint=hint, **about.where)


def _in_the_way(about: _About) -> Again | None:
    if about.fault.status != _CONFLICTS:
        return None
    error = Refused(
        f"{about.what}: the store answered {about.fault.said}", hint="Nothing was written. Try again.", **about.where
    )
    return Again(error, most=_TRIES_IN_THE_WAY)


def _odd(about: _About) -> BackupError:
    return Misconfigured(
        (f"{about.what}: the store at {about.place} does not accept the request: {about.fault.said}.",),
        hint="Check bucket_name, storage_class and kms_id in [storage].",
    )
