"""What can go wrong with every store over HTTP, in the words of ``backupstore.errors``; the rest is in the ``faults`` of each."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

from backupstore.errors import BackupError, Conflict, Corrupt, Misconfigured, NotFound, Refused, Retryable
from backupstore.stores.http.address import Address
from backupstore.stores.http.retry import Again

DAMAGED_TRIES = 4

_TRIES_IN_THE_WAY = 4
_TIMEOUT, _CONFLICTS, _UNMET, _BEYOND, _TOO_MANY, _SERVERS, _UNKNOWN = 408, 409, 412, 416, 429, 500, 501


class Unmet(Conflict):
    """A condition of the request did not hold (412)."""


class NoBucket(NotFound):
    """The bucket itself is not there."""


class BeyondEnd(Corrupt):
    """There is no byte at that place of the object (416)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """What an operator of this kind of store can do when it is not reached. ``untrusted``: its certificate is not."""

    untrusted: str
    unreachable: str
    lost: str


@dataclass(frozen=True, slots=True)
class Failed:
    """An answer that is an error, and the request that it answers. ``key``: of an object or a folder; ``said``: for a person."""

    operation: str
    key: str
    status: int
    said: str
    headers: Mapping[str, str]

    @property
    def what(self) -> str:
        """What was asked for, for a person."""
        return named(self.operation, self.key)

    @property
    def where(self) -> dict[str, str]:
        """The same as errors take it."""
        return {"operation": self.operation, "key": self.key}


def named(operation: str, key: str) -> str:
    """A request as errors name it."""
    return f"{operation} {key}" if key else operation


def unreachable(address: Address, hints: Hints, operation: str, key: str, error: OSError) -> BackupError | Again:
    """No connection could be made."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return Misconfigured(
            (f"{address}: its certificate is not trusted: {error.verify_message}.",), hint=hints.untrusted
        )
    if isinstance(error, ssl.SSLError) and "WRONG_VERSION_NUMBER" in str(error):
        return Misconfigured((f"{address} does not speak TLS.",), hint="Check port, or set secure = False.")
    why = "its name cannot be resolved" if isinstance(error, socket.gaierror) else error.strerror or str(error)
    what = f"{named(operation, key)}: no connection to {address}: {why}"
    return Again(Retryable(what, hint=hints.unreachable, operation=operation, key=key))


def lost(address: Address, hints: Hints, operation: str, key: str, error: OSError) -> Retryable:
    """The connection broke, or nothing came, before the answer was whole."""
    why = "no answer in time" if isinstance(error, (TimeoutError, BlockingIOError)) else error.strerror or str(error)
    what = f"{named(operation, key)}: the connection to {address} was lost: {why}"
    return Retryable(what, hint=hints.lost, operation=operation, key=key)


def damaged_on_the_way(operation: str, key: str, said: str = "the checksums differ") -> Corrupt:
    """The checksum of what came, or of what the store says it has, is another one."""
    return Corrupt(
        f"{named(operation, key)}: the bytes changed on the way: {said}",
        hint="The network or a machine's memory damages data. Try again; use TLS (secure = True) to be sure.",
        operation=operation,
        key=key,
    )


def not_met(failed: Failed) -> BackupError | None:
    """What was asked for under a condition."""
    if failed.status == _UNMET:
        return Unmet(f"{failed.what}: a condition did not hold", **failed.where)
    if failed.status == _BEYOND:
        return BeyondEnd(f"{failed.what}: the object ends before that", **failed.where)
    return None


def busy(failed: Failed, *, says_so: bool) -> Again | None:
    """The store has trouble, or too much to do. ``says_so``: in a word of its own."""
    server = failed.status >= _SERVERS and failed.status != _UNKNOWN
    if not (server or says_so or failed.status in {_TIMEOUT, _TOO_MANY}):
        return None
    after = failed.headers.get("retry-after", "")
    hint = "The store is overloaded or in trouble: try again later, with fewer concurrent_transfers."
    error = Retryable(f"{failed.what}: the store answered {failed.said}", hint=hint, **failed.where)
    return Again(error, after=float(after) if after.isdecimal() else 0.0, unsure=server)


def in_the_way(failed: Failed, hint: str) -> Again | None:
    """Something else is there, or comes and goes meanwhile (409)."""
    if failed.status != _CONFLICTS:
        return None
    error = Refused(f"{failed.what}: the store answered {failed.said}", hint=hint, **failed.where)
    return Again(error, most=_TRIES_IN_THE_WAY)
