"""What libcloud's drivers raise, in the words of ``backupstore.errors``.

Drivers have exceptions for a few things, and for the rest a sentence with a status in it, or whatever their code stumbled
over. What is not understood is told in libcloud's words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import requests
from libcloud.common.exceptions import BaseHTTPError
from libcloud.common.types import InvalidCredsError, LibcloudError, MalformedResponseError
from libcloud.storage.types import (
    ContainerDoesNotExistError,
    InvalidContainerNameError,
    ObjectDoesNotExistError,
    ObjectError,
    ObjectHashMismatchError,
)

from backupstore.core.shown import one_line
from backupstore.errors import BackupError, Denied, Misconfigured, Retryable
from backupstore.stores.answers import absent
from backupstore.stores.http.faults import DAMAGED_TRIES, NoBucket, damaged_on_the_way, named
from backupstore.stores.http.retry import Again

RAISED = (
    LibcloudError,
    BaseHTTPError,
    requests.RequestException,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
)
"""All that a driver has been seen to raise: its own errors, those of requests, and those of its mistakes."""

_STATUS = re.compile(r"(?:status code|status_code|code)\W{0,3}([45]\d\d)\b", re.IGNORECASE)
_MOST_SAID = 300
_SERVERS, _UNKNOWN = 500, 501
_BUSY = frozenset({408, 429})
_FORBIDDEN = frozenset({401, 403})
_ABSENT = 404


@contextmanager
def told(where: str, operation: str, key: str) -> Iterator[None]:
    """What a driver raises inside becomes Again, or an error of ours. ``where``: provider and container, for a person."""
    try:
        yield
    except RAISED as error:
        raise translated(error, where, operation, key) from error


def translated(error: Exception, where: str, operation: str, key: str) -> BackupError | Again:
    """What to raise instead."""
    about = {"operation": operation, "key": key}
    what = named(operation, key)
    said = one_line(str(error))[:_MOST_SAID] or type(error).__name__
    if isinstance(error, ObjectHashMismatchError):
        return Again(damaged_on_the_way(operation, key, said), most=DAMAGED_TRIES)
    if isinstance(error, ObjectDoesNotExistError) or type(error) is ObjectError:  # the last one is of a folder
        return absent(operation, key)
    if isinstance(error, (ContainerDoesNotExistError, InvalidContainerNameError)):
        return _no_container(where, about)
    if isinstance(error, requests.exceptions.SSLError):
        return Misconfigured(
            (f"{where}: its certificate is not trusted, or it does not speak TLS: {said}.",),
            hint="Name the authority that signed it in [shipper] ca_file, or set secure = False.",
        )
    if isinstance(error, (requests.RequestException, OSError, MalformedResponseError)):
        hint = "Check the network, the proxy, and host and port in [storage]; then run the same again."
        return Again(
            Retryable(f"{what}: {where} gave no answer that can be read: {said}", hint=hint, **about), unsure=True
        )
    return _by_status(error, where, said, about)


def _by_status(error: Exception, where: str, said: str, about: dict[str, str]) -> BackupError | Again:
    what, status = named(about["operation"], about["key"]), _status_of(error, said)
    if isinstance(error, InvalidCredsError) or status in _FORBIDDEN:
        hint = "Check key_file: it holds what libcloud's driver takes, key and secret above all; and what its owner may do."
        return Denied(f"{what}: {where} forbids it: {said}", hint=hint, **about)
    if status in _BUSY or (status >= _SERVERS and status != _UNKNOWN):
        hint = "The store is overloaded or in trouble: try again later, with fewer concurrent_transfers."
        return Again(Retryable(f"{what}: {where} answered {said}", hint=hint, **about), unsure=status >= _SERVERS)
    if status == _ABSENT:
        return _no_container(where, about)
    return Misconfigured(
        (f"{what}: {where} does not accept the request: {said}.",),
        hint="Check bucket_name and host in [storage], and what docs/guides/libcloud.md says of this provider.",
    )


def _status_of(error: Exception, said: str) -> int:
    if isinstance(error, BaseHTTPError) and isinstance(error.code, int):
        return error.code
    match = _STATUS.search(said)
    return int(match[1]) if match else 0


def _no_container(where: str, about: dict[str, str]) -> NoBucket:
    return NoBucket(
        f"no such container: {where}",
        hint="Check bucket_name in [storage] and key_file, or make the container.",
        **about,
    )
