"""What went wrong, in the words of ``backupstore.errors``: each with the next thing an operator can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from backupstore.core.shown import one_line
from backupstore.errors import BackupError, Corrupt, Denied, Misconfigured, NoSpace, Retryable
from backupstore.stores.answers import absent
from backupstore.stores.http.faults import (
    DAMAGED_TRIES,
    Failed,
    Hints,
    NoBucket,
    busy,
    damaged_on_the_way,
    in_the_way,
    not_met,
)
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
_ABSENT, _NO_ROOM = 404, 507

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


HINTS = Hints(
    untrusted="Install the authority that signed it on this machine; ssl_verify = False trusts anybody.",
    unreachable="Check host and port, the network and the firewall; is the server running?",
    lost="Check the network and the server; then run the same again.",
)


class NoUpload(Retryable):
    """The multipart upload is gone, or parts of it: finished, or given up by somebody."""


class NotAccepted(Misconfigured):
    """The store does not accept the request; ``code`` says why, in its own word."""

    def __init__(self, problem: str, code: str, *, hint: str) -> None:
        super().__init__((problem,), hint=hint)
        self.code = code


@dataclass(frozen=True, slots=True)
class Fault:
    """An answer that is an error. ``code`` is empty where it had no body, as for HEAD."""

    status: int
    code: str
    message: str
    region: str
    headers: Mapping[str, str]

    @property
    def said(self) -> str:
        """For a person."""
        name = self.code or str(self.status)
        return f"{name} ({self.message})" if self.message else name


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
    about = _About(operation, key or folder, fault.status, fault.said, fault.headers, fault, endpoint, bool(key))
    kinds = (_elsewhere, _not_there, not_met, _full, _damaged_body, _busy, _denied, _in_the_way)
    return next((error for kind in kinds if (error := kind(about))), None) or _odd(about)


@dataclass(frozen=True, slots=True)
class _About(Failed):
    """What can be known of it here. ``names_object``: the key is not that of a folder."""

    fault: Fault
    endpoint: Endpoint
    names_object: bool


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
    if fault.code == "NoSuchBucket" or (absent_key and not about.names_object):
        return NoBucket(
            f"no such bucket: {endpoint.bucket} at {endpoint.authority}",
            hint="Check bucket_name, host and region in [storage], or make the bucket.",
            **about.where,
        )
    return absent(about.operation, about.key) if absent_key else None


def _is_upload_brought_back(fault: Fault) -> bool:
    """An upload that is given up while a part of it arrives is made anew by versitygw, but without its checksums."""
    return fault.code == "InvalidRequest" and "created using the null checksum" in fault.message


def _full(about: _About) -> BackupError | None:
    if about.fault.code not in _FULL and about.status != _NO_ROOM:
        return None
    hint = "Make room there, or raise its quota; purge old backups."
    return NoSpace(f"{about.what}: the store is full: {about.said}", hint=hint, **about.where)


def _damaged_body(about: _About) -> Again | None:
    if about.fault.code not in DAMAGED:
        return None
    return Again(damaged_on_the_way(about.operation, about.key, about.said), most=DAMAGED_TRIES)


def _busy(about: _About) -> Again | None:
    return busy(about, says_so=about.fault.code in _AGAIN)


def _denied(about: _About) -> BackupError | Again | None:
    fault = about.fault
    if fault.status not in {401, 403} and fault.code not in EXPIRED:
        return None
    message = f"{about.what}: the store at {about.endpoint} forbids it: {about.said}"
    denied = Denied(message, hint=_DENIED.get(fault.code, _DENIED_HINT), **about.where)
    # A byte that flipped in a header looks like a wrong signature: one more try tells.
    return Again(denied, most=2, at_once=True) if fault.code == "SignatureDoesNotMatch" else denied


def _in_the_way(about: _About) -> Again | None:  # versitygw says so as well when a folder comes and goes meanwhile
    return in_the_way(about, "Nothing was written. An object and a folder of one name cannot both be on this server.")


def _odd(about: _About) -> BackupError:
    return NotAccepted(
        f"{about.what}: the store at {about.endpoint} does not accept the request: {about.said}.",
        about.fault.code,
        hint="Check storage_class, kms_id, sse_c_key, region, server_side_encryption: not every server knows them.",
    )
