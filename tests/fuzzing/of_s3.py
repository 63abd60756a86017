"""The targets of ``backupstore.stores.s3``: what a server, or whatever stands in its place, may answer."""

from __future__ import annotations

import math
import socket
from collections.abc import Callable

from backupstore.errors import BackupError, Corrupt, Retryable
from backupstore.ports import StoredObject
from backupstore.stores.http.client import Answer
from backupstore.stores.http.connection import Broken, Connection, Request
from backupstore.stores.http.faults import Unmet
from backupstore.stores.http.head import read_head
from backupstore.stores.http.retry import Again
from backupstore.stores.http.times import http_time
from backupstore.stores.s3 import documents, examination
from backupstore.stores.s3.endpoint import amazon
from backupstore.stores.s3.faults import error_of, fault_of
from backupstore.stores.s3.integrity import Expected
from backupstore.stores.s3.ranges import Range
from backupstore.stores.s3.reading import stored_of
from tests.fuzzing.target import Target, named, text_of

_KEY = "n1/b/meta/manifest.json"
_ENDPOINT = amazon("backups", "eu-west-1")
_MOST = 60_000  # bytes that fit into a socket without anybody reading at the other end
_LARGEST = 1 << 63


def is_sound(stored: StoredObject) -> bool:
    return 0 <= stored.size < _LARGEST and math.isfinite(stored.modified)


def listing(data: bytes) -> None:
    """Sizes and times are numbers that can be reckoned with."""
    page = documents.page_of(data)
    assert all(map(is_sound, page.objects))


def uploads(data: bytes) -> None:
    """Times are numbers that can be compared."""
    assert all(math.isfinite(upload.begun) for upload in documents.upload_page_of(data).uploads)


def settings(data: bytes) -> None:
    """Whatever XML it is, it says something about a bucket or nothing."""
    root = documents.parse(data)
    for rule in root.iter("Rule"):
        examination._rule(rule)
    examination._retention(root)


def times(data: bytes) -> None:
    """A time is a number that can be compared."""
    text = text_of(data)
    assert math.isfinite(http_time(text))
    assert math.isfinite(documents.iso_time(text))


def refusal(status: int) -> Callable[[bytes], None]:
    """An answer that is an error becomes one of ours, that can be told."""

    def run(data: bytes) -> None:
        fault = fault_of(status, {"retry-after": text_of(data)[:9]}, data)
        error = error_of(fault, "read", _KEY, _ENDPOINT)
        raise error.error if isinstance(error, Again) else error

    return run


def answer(data: bytes) -> None:
    """Status line, headers and body of the answer to a read, as they come through a real socket."""
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(data[:_MOST])
        theirs.shutdown(socket.SHUT_WR)
        connection = Connection(ours, None)
        try:
            head = connection.ask(Request(head=b"GET / HTTP/1.1\r\n\r\n"))
            body = b"".join(connection.body(head))
        finally:
            connection.close()
    assert len(body) <= len(data)
    assert is_sound(stored_of(_KEY, Answer(head.status, head.headers, body)))
    expected = Expected(head.headers)
    expected.take([body])
    expected.is_met()
    Range(_KEY, 0, 10).begin(head)


def _document(root: str, inner: str) -> bytes:
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{inner}</{root}>'
    return text.encode()


_LISTING = _document(
    "ListBucketResult",
    "<Name>backups</Name><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
    "<NextContinuationToken>1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=</NextContinuationToken>"
    "<Contents><Key>n1/b%2B1/meta/manifest.json</Key><LastModified>2026-03-01T12:00:00.123Z</LastModified>"
    "<ETag>&quot;fba9dede5f27731c9771645a39863328&quot;</ETag><Size>434234</Size></Contents>"
    "<CommonPrefixes><Prefix>n1/b/</Prefix></CommonPrefixes>",
)
_UPLOADS = _document(
    "ListMultipartUploadsResult",
    "<IsTruncated>true</IsTruncated><NextKeyMarker>n1/x</NextKeyMarker><NextUploadIdMarker>u</NextUploadIdMarker>"
    "<Upload><Key>n1/x</Key><UploadId>u</UploadId><Initiated>2026-03-01T12:00:00.000Z</Initiated></Upload>",
)
_LIFECYCLE = _document(
    "LifecycleConfiguration",
    "<Rule><ID>old</ID><Filter><And><Prefix>n1/</Prefix></And></Filter><Status>Enabled</Status>"
    "<Expiration><Days>30</Days></Expiration><Transition><StorageClass>GLACIER</StorageClass></Transition></Rule>",
)
_LOCK = _document(
    "ObjectLockConfiguration", "<Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>7</Days></DefaultRetention></Rule>"
)
_REFUSAL = b"<Error><Code>AccessDenied</Code><Message>Not you.</Message><Region>us-east-1</Region></Error>"
_FOUND = (
    b'HTTP/1.1 206 Partial Content\r\nETag: "0f"\r\nContent-Length: 5\r\nContent-Range: bytes 0-4/9\r\n'
    b"Last-Modified: Sun, 01 Mar 2026 12:00:00 GMT\r\nx-amz-checksum-crc64nvme: AAAAAAAAAAA=\r\n\r\nhello"
)
_CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Range: bytes 0-4/9\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n"
)

TARGETS = (
    Target(named(documents.page_of), listing, (documents.page_of, documents.parse), (_LISTING,), (Corrupt,)),
    Target(named(documents.upload_page_of), uploads, (documents.upload_page_of,), (_UPLOADS,), (Corrupt,)),
    Target(
        named(documents.upload_id_of),
        documents.upload_id_of,
        (documents.upload_id_of,),
        (_document("InitiateMultipartUploadResult", "<UploadId>u</UploadId>"),),
        (Corrupt,),
    ),
    Target("examination", settings, (examination._rule, examination._retention), (_LIFECYCLE, _LOCK), (Corrupt,)),
    Target("times", times, (http_time, documents.iso_time), (b"2026-03-01T12:00:00.123Z",), (Corrupt,)),
    *(
        Target(f"faults[{status}]", refusal(status), (fault_of, error_of), (_REFUSAL,), (BackupError,))
        for status in (400, 403, 404, 409, 503)
    ),
    Target(
        "answer", answer, (read_head, stored_of, Range.begin), (_FOUND, _CHUNKED), (Broken, Corrupt, Retryable, Unmet)
    ),
)
