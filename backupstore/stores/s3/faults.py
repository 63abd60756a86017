"""What went wrong, in the words of ``backupstore.errors``: each with the next thing an operator can do."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

from backupstore.errors import BackupError, Conflict, Corrupt, Denied, Misconfigured, NoSpace, NotFound, Refused, Retryable
from backupstore.stores.answers import absent
from backupstore.stores.s3.documents import parse
from backupstore.stores.s3.endpoint import Endpoint
from backupstore.stores.s3.retry import Again

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
_FULL = frozenset({"XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "QuotaExceeded", "InsufficientCapacity"})
_DAMAGED_TRIES = 4

_DENIED = {
    "InvalidAccessKeyId": "The access key is unknown there: check key_file and api_profile, and that host is the right one.",
    "SignatureDoesNotMatch": "The secret key is not the one of this access key: check key_file; check this machine's clock.",
    "RequestTimeTooSkewed": "This machine's clock is wrong: set it (chronyc tracking, timedatectl).",
    "ExpiredToken": "The session has ended and there are no newer credentials: renew them, or use an instance role.",
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
    """The multipart upload is gone: finished, or given up by somebody."""


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
            message = " ".join(body[:200].decode("latin-1").split())
        else:
            code = root.findtext("Code") or ""
            message = root.findtext("Message") or ""
            region = root.findtext("Region") or ""
    return Fault(status, code, message, region or headers.get("x-amz-bucket-region", ""), headers)


def error_of(fault: Fault, operation: str, key: str, endpoint: Endpoint) -> BackupError | Again:
    """What to raise for an answer."""
    what = f"{operation} {key}".rstrip()
    said = f"{fault.code or fault.status}{f' ({fault.message})' if fault.message else ''}"
    where = {"operation": operation, "key": key}
    if fault.code in _ELSEWHERE or fault.status in {301, 307} or _is_other_region(fault, endpoint):
        return _elsewhere(fault, endpoint)
    if fault.status == 404 or fault.code in {"NoSuchKey", "NoSuchBucket", "NoSuchUpload"}:  # noqa: PLR2004
        return _not_there(fault, operation, key, endpoint)
    match fault.status:
        case 412:
            return Unmet(f"{what}: a condition did not hold", **where)
        case 416:
            return BeyondEnd(f"{what}: the object ends before that", **where)
        case 507:
            return _full(what, said, where)
    if fault.code in _FULL:
        return _full(what, said, where)
    if fault.code in DAMAGED:
        return Again(_damaged(what, said, where), most=_DAMAGED_TRIES)
    if fault.code in _AGAIN or fault.status in {408, 429} or (fault.status >= 500 and fault.status != 501):  # noqa: PLR2004
        return _busy(fault, f"{what}: the store answered {said}", where)
    if fault.status in {401, 403}:
        hint = _DENIED.get(fault.code, _DENIED_HINT)
        denied = Denied(f"{what}: the store at {endpoint} forbids it: {said}", hint=hint, **where)
        # A byte that flipped in a header looks like this too: one more try tells.
        return Again(denied, most=2, at_once=True) if fault.code == "SignatureDoesNotMatch" else denied
    if fault.status == 409:  # noqa: PLR2004
        return Refused(f"{what}: the store answered {said}", hint=_CONFLICT_HINT, **where)
    return Misconfigured((f"{what}: the store at {endpoint} does not accept the request: {said}.",), hint=_ODD_HINT)


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
            f"{operation} {key}: no connection to {endpoint}: {why}",
            hint="Check host and port, the network and the firewall; is the server running?",
            operation=operation,
            key=key,
        )
    )


def lost(endpoint: Endpoint, operation: str, key: str, error: OSError) -> Retryable:
    """The connection broke, or nothing came, before the answer was whole."""
    why = "no answer in time" if isinstance(error, (TimeoutError, BlockingIOError)) else error.strerror or str(error)
    return Retryable(
        f"{operation} {key}: the connection to {endpoint} was lost: {why}",
        hint="Check the network and the server; then run the same again.",
        operation=operation,
        key=key,
    )


def damaged_on_the_way(operation: str, key: str) -> Corrupt:
    """The checksum of what came, or of what the store says it has, is another one."""
    return _damaged(f"{operation} {key}", "the checksums differ", {"operation": operation, "key": key})


def _busy(fault: Fault, message: str, where: Mapping[str, str]) -> Again:
    after = fault.headers.get("retry-after", "")
    hint = "The store is overloaded or in trouble: try again later, with fewer concurrent_transfers."
    return Again(
        Retryable(message, hint=hint, **where),
        after=float(after) if after.isdecimal() else 0.0,
        unsure=fault.status >= 500,  # noqa: PLR2004
    )


def _not_there(fault: Fault, operation: str, key: str, endpoint: Endpoint) -> BackupError:
    if fault.code == "NoSuchBucket" or (not key and fault.code != "NoSuchUpload"):
        return NoBucket(
            f"no such bucket: {endpoint.bucket} at {endpoint.authority}",
            hint="Check bucket_name, host and region in [storage], or make the bucket.",
            operation=operation,
            key=key,
        )
    if fault.code == "NoSuchUpload":
        return NoUpload(
            f"{operation} {key}: the upload was given up by somebody else",
            hint="A lifecycle rule or another program aborts multipart uploads too soon. Run the same again.",
            operation=operation,
            key=key,
        )
    return absent(operation, key)


def _is_other_region(fault: Fault, endpoint: Endpoint) -> bool:
    return fault.status in {400, 403} and bool(fault.region) and fault.region != endpoint.region


def _elsewhere(fault: Fault, endpoint: Endpoint) -> Misconfigured:
    right = f"it is in {fault.region}" if fault.region else "the store does not say where it is"
    return Misconfigured(
        (f"[storage] region = {endpoint.region}: bucket {endpoint.bucket} is in another one; {right}.",),
        hint=f"Set region = {fault.region}." if fault.region else "Set region to that of the bucket.",
    )


def _full(what: str, said: str, where: Mapping[str, str]) -> NoSpace:
    return NoSpace(f"{what}: the store is full: {said}", hint="Make room there, or raise its quota; purge.", **where)


def _damaged(what: str, said: str, where: Mapping[str, str]) -> Corrupt:
    return Corrupt(
        f"{what}: the bytes changed on the way: {said}",
        hint="The network or a machine's memory damages data. Try again; use TLS (secure = True) to be sure.",
        **where,
    )


_ODD_HINT = "Check storage_class, kms_id, sse_c_key and region in [storage]: not every server knows them."
_CONFLICT_HINT = "Nothing was written. An object and a folder of one name cannot both be on this server."
