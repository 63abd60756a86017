"""The targets of ``backupstore.stores.gcs``: what Google's storage, or whatever stands in its place, may answer."""

from __future__ import annotations

import math
from collections.abc import Callable

from backupstore.errors import BackupError, Corrupt
from backupstore.stores.gcs import resources
from backupstore.stores.gcs.faults import error_of, fault_of
from backupstore.stores.gcs.place import Place
from backupstore.stores.http.retry import Again
from backupstore.stores.http.times import http_time
from tests.fuzzing.of_s3 import is_sound
from tests.fuzzing.target import Target, text_of

_PLACE = Place("backups", "storage.googleapis.com", 443, secure=True)


def listing(data: bytes) -> None:
    """Sizes and times are numbers that can be reckoned with."""
    assert all(map(is_sound, resources.page_of(data).objects))


def description(data: bytes) -> None:
    """The same, of one object."""
    assert is_sound(resources.resource_of(data).stored)


def words(data: bytes) -> None:
    """Headers and times."""
    text = text_of(data)
    assert resources.digests_of({"x-goog-hash": text}).keys() <= {"crc32c", "md5"}
    assert math.isfinite(http_time(text))
    assert math.isfinite(resources.iso_time(text))


def refusal(status: int) -> Callable[[bytes], None]:
    """An answer that is an error becomes one of ours, that can be told."""

    def run(data: bytes) -> None:
        fault = fault_of(status, {"retry-after": text_of(data)[:9]}, data)
        error = error_of(fault, "read", "n1/b/meta/manifest.json", _PLACE)
        raise error.error if isinstance(error, Again) else error

    return run


_OBJECT = (
    b'{"name":"n1/b/meta/manifest.json","size":"7","timeCreated":"2026-03-01T12:00:00.123Z","md5Hash":"q1YqN",'
    b'"crc32c":"AAAAAA==","generation":"1772366400000000"}'
)
_PAGE = b'{"kind":"storage#objects","nextPageToken":"x","prefixes":["n1/b/"],"items":[' + _OBJECT + b"]}"
_REFUSAL = b'{"error":{"code":403,"message":"Not you.","errors":[{"reason":"forbidden"}]}}'

TARGETS = (
    Target("gcs.page_of", listing, (resources.page_of, resources.document_of), (_PAGE,), (Corrupt,)),
    Target("gcs.resource_of", description, (resources.resource_of,), (_OBJECT,), (Corrupt,)),
    Target(
        "gcs.times",
        words,
        (resources.iso_time, http_time, resources.digests_of),
        (b"2026-03-01T12:00:00.123Z", b"crc32c=AAAAAA==, md5=q1YqN", b"Sun, 01 Mar 2026 12:00:00 GMT"),
        (Corrupt,),
    ),
    *(
        Target(f"gcs.faults[{status}]", refusal(status), (fault_of, error_of), (_REFUSAL,), (BackupError,))
        for status in (400, 403, 404, 409, 503)
    ),
)
