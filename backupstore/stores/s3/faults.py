"""What went wrong, in the words of ``backupstore.errors``: each with the next thing an operator can do."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

from backupstore.core.shown import one_line
from backupstore.errors import (
    BackupError,
    Conflict,
    Corrupt,
    Denied,
    Misconfigured,
    NoSpace,
    NotFound,
    Refused,
    Retryable,
)
from backupstore.stores.answers import absent
from backupstore.stores.http.retry import Again
from backupstore.stores.s3.documents import parse
from backupstore.stores.s3.endpoint import Endpoint

EXPIRED = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken", "InvalidAccessKeyId"}
)

_AGAIN = frozenset(
    {
        "SlowDown",
        "SlowDownRead",
        "SlowDownWrite",
        "RequestTimeout",
        "RequestTimeoutException",
        "InternalError",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingException",
        "RequestLimitExceeded",
        "TooManyRequests",
        "BandwidthLimitExceeded",
        "OperationAborted",
        "ConditionalRequestConflict",
        "IncompleteBody",
        "XMinioServerNotInitialized",
    }
)
DAMAGED = frozenset(
    {"BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "ContentSHA256Mismatch", "BadChecksum"}
)
_ELSEWHERE = frozenset(
    {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "TemporaryRedirect"}
)
_NO_KEY = frozenset({"NoSuchKey", "NoSuchVersion", "NotFound"})
_NO_UPLOAD = frozenset({"NoSuchUpload", "InvalidPart"})  # gone, or some parts of it
_FULL = frozenset({"XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "QuotaExceeded", "InsufficientCapacity"})
DAMAGED_TRIES = 4
_TRIES_IN_THE_WAY = 4
_ABSENT, _CONFLICTS, _UNMET, _BEYOND, _SERVERS, _UNKNOWN, _NO_ROOM = 404, 409, 412, 416, 500, 501, 507

_DENIED = {
    **dict.fromkeys(
        EXPIRED, "The session has ended and there are no newer credentials: renew them, or use an instance role."
    ),
    "InvalidAccessKeyId": "The access key is unknown there: check key_file and api_profile, and that host is the right one.",
    "SignatureDoesNotMatch": "The secret key is not the one of this access key: check key_file; check this machine's clock.",
    "RequestTimeTooSkewed": "This machine's clock is wrong: set it (chronyc tracking, timedatectl).",
    "InvalidObjectState": "The object is archived: restore it from its storage class first, then try again.",
}
_DENIED_HINT = (
    "Give the credentials the rights that the documentation names for this program: reading and writing objects,"
    " listing the bucket (without it, an absent object is forbidden too), deleting only for purge."
)


class Unmet(Conflict):
    """A condition of the request did not hold (412)."""


class NoBucket(NotFound):
    """The bucket itself is not there."""


class NoUpload(Retryable):
    """The multipart upload is gone, or parts of it: finished, or given up by somebody."""


class NotAccepted(Misconfigured):
    """The store does not accept the request; ``code`` says why, in its own word."""

    def __init__(self, problem: str, code: str, *, hint: str) -> None:
        super().__init__((problem,), hint=hint)
        self.code = code


class BeyondEnd(Corrupt):
    """There is no byte at that place of the object (416)."""


@dataclass(frozen=True, slots=True)
class Fault:
    """An answer that is an error. ``code`` is empty where it had no body, as for HEAD."""

    status: int
    code: str
    message: str
    region: str
    headers: Mapping[str, str]


def fault_of(status: int, headers: Mapping[str, str], body: bytes) -> Fault:
    """Read an answer. Whatever it says, it becomes a fault."""
    code = message = region = ""
    if body:
        try:
            root = parse(body)
        except Corrupt:
            message = one_line(body[:200].decode("latin-1"))
        else:
            code, message, region = (one_line(root.findtext(name) or "") for name in ("Code", "Message", "Region"))
    return Fault(status, code, message, region or headers.get("x-amz-bucket-region", ""), headers)


def error_of(fault: Fault, operation: str, key: str, endpoint: Endpoint, *, folder: str = "") -> BackupError | Again:
    """What to raise for an answer: the first of the kinds of trouble that it is."""
    about = _About(fault, operation, key, endpoint, folder)
    kinds = (_elsewhere, _not_there, _not_met, _full, _damaged_body, _busy, _denied, _in_the_way)
    return next((error for kind in kinds if (error := kind(about))), None) or _odd(about)


def unreachable(endpoint: Endpoint, operation: str, key: str, error: OSError) -> BackupError | Again:
    """No connection could be made."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return Misconfigured(
            (f"{endpoint}: its certificate is not trusted: {error.verify_message}.",),
            hint="Install the authority that signed it on this machine; ssl_verify = False trusts anybody.",
        )
    if isinstance(error, ssl.SSLError) and "WRONG_VERSION_NUMBER" in str(error):
        return Misconfigured((f"{endpoint} does not speak TLS.",), hint="Check port, or set secure = False.")
    why = "its name cannot be resolved" if isinstance(error, socket.gaierror) else error.strerror or str(error)
    return Again(
        Retryable(
            f"{_named(operation, key)}: no connection to {endpoint}: {why}",
            hint="Check host and port, the network and the firewall; is the server running?",
            operation=operation,
            key=key,
        )
    )


def lost(endpoint: Endpoint, operation: str, key: str, error: OSError) -> Retryable:
    """The connection broke, or nothing came, before the answer was whole."""
    why = "no answer in time" if isinstance(error, (TimeoutError, BlockingIOError)) else error.strerror or str(error)
    return Retryable(
        f"{_named(operation, key)}: the connection to {endpoint} was lost: {why}",
        hint="Check the network and the server; then run the same again.",
        operation=operation,
        key=key,
    )


def damaged_on_the_way(operation: str, key: str, said: str = "the checksums differ") -> Corrupt:
    """The checksum of what came, or of what the store says it has, is another one."""
    return Corrupt(
        f"{_named(operation, key)}: the bytes changed on the way: {said}",
        hint="The network or a machine's memory damages data. Try again; use TLS (secure = True) to be sure.",
        operation=operation,
        key=key,
    )


def _named(operation: str, key: str) -> str:
    return f"{operation} {key}" if key else operation


@dataclass(frozen=True, slots=True)
class _About:
    """A fault and the request that it answers."""

    fault: Fault
    operation: str
    key: str
    endpoint: Endpoint
    folder: str

    @property
    def what(self) -> str:
        return _named(self.operation, self.key or self.folder)

    @property
    def said(self) -> str:
        name = self.fault.code or str(self.fault.status)
        return f"{name} ({self.fault.message})" if self.fault.message else name

    @property
    def where(self) -> dict[str, str]:
        return {"operation": self.operation, "key": self.key or self.folder}


def _elsewhere(about: _About) -> BackupError | None:
    fault, endpoint = about.fault, about.endpoint
    other = fault.status in {400, 403} and bool(fault.region) and fault.region != endpoint.region
    if not (other or fault.code in _ELSEWHERE or fault.status in {301, 307}):
        return None
    right = f"it is in {fault.region}" if fault.region else "the store does not say where it is"
    return Misconfigured(
        (f"[storage] region = {endpoint.region}: bucket {endpoint.bucket} is in another one; {right}.",),
        hint=f"Set region = {fault.region}." if fault.region else "Set region to that of the bucket.",
    )


def _not_there(about: _About) -> BackupError | None:
    fault, endpoint = about.fault, about.endpoint
    if fault.code in _NO_UPLOAD or _is_upload_brought_back(fault):
        return NoUpload(
            f"{about.what}: the upload was given up by somebody else",
            hint="A lifecycle rule or another program aborts multipart uploads too soon. Run the same again.",
            **about.where,
        )
    unsaid = not fault.code and not fault.message  # as for HEAD; a web server that is no S3 has a page to show
    absent_key = fault.code in _NO_KEY or (fault.status == _ABSENT and unsaid)
    if fault.code == "NoSuchBucket" or (absent_key and not about.key):
        return NoBucket(
            f"no such bucket: {endpoint.bucket} at {endpoint.authority}",
            hint="Check bucket_name, host and region in [storage], or make the bucket.",
            **about.where,
        )
    return absent(about.operation, about.key) if absent_key else None


def _is_upload_brought_back(fault: Fault) -> bool:
    """An upload that is given up while a part of it arrives is made anew by versitygw, but without its checksums."""
    return fault.code == "InvalidRequest" and "created using the null checksum" in fault.message


def _not_met(about: _About) -> BackupError | None:
    if about.fault.status == _UNMET:
        return Unmet(f"{about.what}: a condition did not hold", **about.where)
    if about.fault.status == _BEYOND:
        return BeyondEnd(f"{about.what}: the object ends before that", **about.where)
    return None


def _full(about: _About) -> BackupError | None:
    if about.fault.code not in _FULL and about.fault.status != _NO_ROOM:
        return None
    hint = "Make room there, or raise its quota; purge old backups."
    return NoSpace(f"{about.what}: the store is full: {about.said}", hint=hint, **about.where)


def _damaged_body(about: _About) -> Again | None:
    if about.fault.code not in DAMAGED:
        return None
    return Again(damaged_on_the_way(about.operation, about.key, about.said), most=DAMAGED_TRIES)


def _busy(about: _About) -> Again | None:
    status = about.fault.status
    server = status >= _SERVERS and status != _UNKNOWN
    if not (server or about.fault.code in _AGAIN or status in {408, 429}):
        return None
    after = about.fault.headers.get("retry-after", "")
    hint = "The store is overloaded or in trouble: try again later, with fewer concurrent_transfers."
    error = Retryable(f"{about.what}: the store answered {about.said}", hint=hint, **about.where)
    return Again(error, after=float(after) if after.isdecimal() else 0.0, unsure=server)


def _denied(about: _About) -> BackupError | Again | None:
    fault = about.fault
    if fault.status not in {401, 403} and fault.code not in EXPIRED:
        return None
    message = f"{about.what}: the store at {about.endpoint} forbids it: {about.said}"
    denied = Denied(message, hint=_DENIED.get(fault.code, _DENIED_HINT), **about.where)
    # A byte that flipped in a header looks like a wrong signature: one more try tells.
    return Again(denied, most=2, at_once=True) if fault.code == "SignatureDoesNotMatch" else denied


def _in_the_way(about: _About) -> Again | None:
    if about.fault.status != _CONFLICTS:
        return None
    hint = "Nothing was written. An object and a folder of one name cannot both be on this server."
    error = Refused(f"{about.what}: the store answered {about.said}", hint=hint, **about.where)
    return Again(error, most=_TRIES_IN_THE_WAY)  # versitygw says so as well when a folder comes and goes meanwhile


def _odd(about: _About) -> BackupError:
    return NotAccepted(
        f"{about.what}: the store at {about.endpoint} does not accept the request: {about.said}.",
        about.fault.code,
        hint="Check storage_class, kms_id, sse_c_key, region, server_side_encryption: not every server knows them.",
    )
