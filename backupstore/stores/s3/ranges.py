"""A range of an object: what is asked for, what came of it so far, and what the answer must look like."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Mapping

from backupstore.errors import Retryable
from backupstore.stores.http.faults import DAMAGED_TRIES, Unmet, damaged_on_the_way
from backupstore.stores.http.head import Head
from backupstore.stores.http.retry import Again
from backupstore.stores.s3.client import Ask
from backupstore.stores.s3.documents import REPORT
from backupstore.stores.s3.integrity import Expected
from backupstore.stores.s3.options import Storing
from backupstore.stores.s3.reading import reading_headers

_PARTIAL = 206
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")


class Range:
    """One range: what came of it so far. ``total`` and ``etag`` are those of the object."""

    def __init__(self, key: str, start: int, stop: int, etag: str = "") -> None:
        self.key = key
        self.start = start
        self.stop = stop
        self.etag = etag
        self.total = -1
        self.headers: Mapping[str, str] = {}
        self.pieces: deque[bytes] = deque()
        self.got = 0

    def asks(self, storing: Storing) -> Ask:
        """Asks for what is missing; of the version that was seen first."""
        headers = {**reading_headers(storing), "range": f"bytes={self.start + self.got}-{self.stop - 1}"}
        if self.etag:
            headers["if-match"] = f'"{self.etag}"'
        return Ask(operation="fetch", method="GET", key=self.key, headers=headers)

    def forget(self) -> None:
        """Begin anew."""
        self.pieces, self.got, self.etag, self.total = deque(), 0, "", -1

    def begin(self, head: Head) -> None:
        """Look at an answer before its bytes are taken."""
        match = _CONTENT_RANGE.fullmatch(head.headers.get("content-range", ""))
        if head.status == _PARTIAL and match:
            start, last, total = map(int, match.groups())
        else:  # all of it: fine if that is no more than was asked for
            total = int(head.headers.get("content-length", -1))
            start, last = 0, total - 1
        etag = head.headers.get("etag", "").strip('"')
        if start != self.start + self.got or last >= self.stop or total < 0:
            raise Retryable(
                f"fetch {self.key}: the store answered with another range",
                hint=REPORT,
                operation="fetch",
                key=self.key,
            )
        if self.etag and etag != self.etag:
            raise Unmet(f"fetch {self.key}: another ETag", operation="fetch", key=self.key)
        self.stop = min(self.stop, total)
        self.headers, self.etag, self.total = head.headers, etag, total

    def take(self, piece: bytes) -> None:
        """Some more bytes."""
        self.pieces.append(piece)
        self.got += len(piece)


def check(operation: str, key: str, headers: Mapping[str, str], pieces: Iterable[bytes]) -> None:
    """Again, with Corrupt at its end, unless the bytes of a whole object are what the store says they are."""
    expected = Expected(headers)
    expected.take(pieces)
    if not expected.is_met():
        raise Again(damaged_on_the_way(operation, key), most=DAMAGED_TRIES)
