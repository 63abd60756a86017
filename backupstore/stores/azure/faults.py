"""What went wrong at Azure, in the words of ``backupstore.errors``: each with the next thing an operator can do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from backupstore.core.shown import one_line
from backupstore.errors import BackupError, Denied, Misconfigured, Refused, Retryable
from backupstore.stores.answers import absent
from backupstore.stores.azure.place import Place
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

_BAD, _UNSIGNED, _FORBIDDEN, _ABSENT = 400, 401, 403, 404
_NO_CONTAINER = frozenset({"ContainerNotFound", "ResourceNotFound", "ContainerBeingDeleted", "ContainerDisabled"})
_IN_USE = frozenset({"BlobAlreadyExists", "UnauthorizedBlobOverwrite"})
_LOCKED = frozenset({"BlobImmutableDueToPolicy", "BlobImmutableDueToLegalHold"})
_LEASED = frozenset({"LeaseIdMissing", "LeaseLost"})
_SLOWER = frozenset({"ServerBusy", "OperationTimedOut", "InternalError"})
_DAMAGED = frozenset({"Md5Mismatch", "Crc64Mismatch"})
_NO_BLOCKS = frozenset({"InvalidBlockList", "InvalidBlobOrBlock"})
_CODE = re.compile(rb"<Code>([^<]{1,100})</Code>")
_MESSAGE = re.compile(rb"<Message>([^<]{1,400})")

_RIGHTS = (
    "Check storage_account and key in key_file, and the account's firewall; a key that was exchanged works no more."
)

HINTS = Hints(
    untrusted="Install the authority that signed it on this machine, or name it in [shipper] ca_file.",
    unreachable="Check storage_account in key_file, the network, the firewall and the proxy; if host is set in [storage],"
    " check it and port.",
    lost="Check the network; then run the same again.",
)


class NoBlocks(Retryable):
    """The blocks of an upload are gone: another upload to the same key has ended, or they were older than a week."""


@dataclass(frozen=True, slots=True)
class Fault:
    """An answer that is an error. ``code`` is Azure's own word for it, empty where there is none."""

    status: int
    code: str
    message: str
    headers: Mapping[str, str]

    @property
    def said(self) -> str:
        """For a person."""
        name = f"{self.status} {self.code}".strip()
        return f"{name} ({self.message})" if self.message else name


def fault_of(status: int, headers: Mapping[str, str], body: bytes) -> Fault:
    """Read an answer. Whatever it says, it becomes a fault."""
    code, message = _CODE.search(body), _MESSAGE.search(body)
    named = headers.get("x-ms-error-code") or (code[1].decode("latin-1") if code else "")
    text = message[1].decode("utf-8", "replace").splitlines() if message else []
    return Fault(status, one_line(named), one_line(text[0]) if text else "", headers)


def error_of(fault: Fault, operation: str, key: str, place: Place, *, reads: bool = True) -> BackupError | Again:
    """What to raise for an answer: the first of the kinds of trouble that it is.

    ``reads``: the key names a blob, which may not be there; else it is to be written, or the folder of a listing.
    """
    about = _About(operation, key, fault.status, fault.said, fault.headers, fault.code, place, reads)
    kinds = (_not_there, _not_met, _damaged_body, _busy, _denied, _archived, _in_the_way)
    return next((error for kind in kinds if (error := kind(about))), None) or _odd(about)


@dataclass(frozen=True, slots=True)
class _About(Failed):
    """What can be known of it here."""

    code: str
    place: Place
    reads: bool


def _not_there(about: _About) -> BackupError | None:
    if about.code in _NO_BLOCKS:
        return NoBlocks(
            f"{about.what}: the blocks of this upload are gone ({about.said})",
            hint="Another upload to the same key ended meanwhile. Run the same again.",
            **about.where,
        )
    if about.status != _ABSENT:
        return None
    if not about.reads or about.code in _NO_CONTAINER:
        return NoBucket(
            f"no such container: {about.place.container} at {about.place.authority}",
            hint="Check bucket_name in [storage] and storage_account in key_file, or make the container.",
            **about.where,
        )
    return absent(about.operation, about.key)


def _not_met(about: _About) -> BackupError | None:
    """A key in use is answered 409 to a create, and is said to be immutable where a policy keeps it so."""
    creates = about.operation in {"create", "upload"}
    if about.code in _IN_USE or (creates and about.code in _LOCKED):
        return Unmet(f"{about.what}: a condition did not hold", **about.where)
    return None if about.code in _LEASED else not_met(about)


def _damaged_body(about: _About) -> Again | None:
    by_emulator = about.status == _BAD and "contentMD5 doesn't match" in about.said
    if about.code not in _DAMAGED and not by_emulator:
        return None
    return Again(damaged_on_the_way(about.operation, about.key, about.said), most=DAMAGED_TRIES)


def _busy(about: _About) -> Again | None:
    return busy(about, says_so=about.code in _SLOWER)


def _denied(about: _About) -> BackupError | None:
    is_locked = about.code in _LOCKED or about.code in _LEASED
    if about.status not in {_UNSIGNED, _FORBIDDEN} and not is_locked:
        return None
    hint = _RIGHTS
    if about.code == "AuthenticationFailed":
        hint = f"{_RIGHTS} A clock that is 15 minutes wrong has the same effect."
    if is_locked:
        hint = "A policy of the container, a legal hold or a lease keeps the blob as it is: wait until that is over."
    return Denied(f"{about.what}: the store at {about.place} forbids it: {about.said}", hint=hint, **about.where)


def _archived(about: _About) -> BackupError | None:
    if about.code not in {"BlobArchived", "BlobBeingRehydrated"}:
        return None
    hint = (
        "Rehydrate the blobs of this backup to Hot or Cool, and find out what moved them: no rule may archive backups."
    )
    return Refused(f"{about.what}: the blob is in the archive tier", hint=hint, **about.where)


def _in_the_way(about: _About) -> Again | None:
    return in_the_way(about, "Nothing was written. Try again.")


def _odd(about: _About) -> BackupError:
    return Misconfigured(
        (f"{about.what}: the store at {about.place} does not accept the request: {about.said}.",),
        hint="Check bucket_name, host and storage_class in [storage].",
    )
