"""Reading objects: small ones in one request, large ones by several ranges at once, given to the sink in order.

A range that breaks off goes on where it was. The ETag goes with every request, so that an object that changes meanwhile
is noticed; the store's checksum of the whole object is compared with what came, for small ones before anybody gets it.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from backupstore.errors import Corrupt, Retryable
from backupstore.ports import Document, Sink, StoredObject
from backupstore.stores.answers import too_large
from backupstore.stores.s3 import faults
from backupstore.stores.s3.client import Ask, Client
from backupstore.stores.s3.connection import Head
from backupstore.stores.s3.documents import http_time
from backupstore.stores.s3.integrity import Expected
from backupstore.stores.s3.memory import Memory, Share
from backupstore.stores.s3.options import Storing
from backupstore.stores.s3.reading import head_of, reading_headers, stored_of
from backupstore.stores.s3.retry import Again

_SMALL = 256 << 10  # not worth counting
_DAMAGED_TRIES = 3
_PARTIAL = 206
_CONTENT_RANGE = re.compile(r"bytes ([0-9]+)-([0-9]+)/([0-9]+)")


class _Range:
    """One range: what came of it so far. ``total`` and ``etag`` are those of the object."""

    def __init__(self, key: str, start: int, stop: int, etag: str = "") -> None:
        self.key = key
        self.start = start
        self.stop = stop
        self.etag = etag
        self.total = -1
        self.headers: Mapping[str, str] = {}
        self.pieces: list[bytes] = []
        self.got = 0

    def forget(self) -> None:
        """Begin anew."""
        self.pieces, self.got, self.etag, self.total = [], 0, "", -1

    def asked(self) -> dict[str, str]:
        """The headers that ask for what is missing."""
        condition = {"if-match": f'"{self.etag}"'} if self.etag else {}
        return {"range": f"bytes={self.start + self.got}-{self.stop - 1}", **condition}

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
                hint="This server does not speak S3 as it should: please report which one it is.",
                operation="fetch",
                key=self.key,
            )
        if self.etag and etag != self.etag:
            raise faults.Unmet(f"fetch {self.key}: another ETag", operation="fetch", key=self.key)
        self.stop = min(self.stop, total)
        self.headers, self.etag, self.total = head.headers, etag, total

    def take(self, piece: bytes) -> None:
        """Some more bytes."""
        self.pieces.append(piece)
        self.got += len(piece)


class Downloads:
    """Reads objects from a bucket."""

    def __init__(self, client: Client, storing: Storing) -> None:
        self._client = client
        self._storing = storing
        self._memory = Memory(storing.memory)

    def read(self, key: str, limit: int) -> Document:
        """An object whole. Corrupt when it is larger than ``limit``, or not what the store says it is."""
        taken: list[bytes] = []

        def taker(head: Head, pieces: Iterator[bytes]) -> None:
            taken.clear()
            left = limit
            if int(head.headers.get("content-length", 0)) > limit:
                raise too_large(key, limit)
            for piece in pieces:
                left -= len(piece)
                if left < 0:
                    raise too_large(key, limit)
                taken.append(piece)

        def attempt() -> Document:
            ask = Ask(operation="read", method="GET", key=key, headers=reading_headers(self._storing))
            answer = self._client.once(ask, taker)
            _check("read", key, answer.headers, taken)
            return Document(b"".join(taken), answer.etag, http_time(answer.headers.get("last-modified", "")))

        return self._client.run(attempt)

    def fetch(self, key: str, sink: Sink) -> StoredObject:
        """Stream an object into the sink."""
        with Share(self._memory) as share:
            first = self._first(key, share)
            if first is None:
                return stored_of(key, self._client.send(head_of("fetch", key, self._storing)))
            if first.stop == first.total:
                for piece in first.pieces:
                    sink(piece)
            else:
                _Rest(self._client, self._storing, share, first).fetch(sink)
        return StoredObject(key, first.total, http_time(first.headers.get("last-modified", "")), first.etag or None)

    def _first(self, key: str, share: Share) -> _Range | None:
        """The first range, which may be all of it; None for an empty object, of which there is none."""
        first = _Range(key, 0, self._storing.range_size)
        taken = 0

        def taker(head: Head, pieces: Iterator[bytes]) -> None:
            nonlocal taken
            first.begin(head)
            if not taken and first.stop > _SMALL:
                taken = first.stop
                share.take(taken)
            for piece in pieces:
                first.take(piece)

        def attempt() -> _Range | None:
            try:
                self._client.once(range_of(first, self._storing), taker)
            except faults.BeyondEnd:
                return None
            except faults.Unmet as error:  # it changed between two attempts, and nobody has seen any of it yet
                first.forget()
                raise Again(_changed(key), at_once=True) from error
            if first.stop == first.total:
                try:
                    _check("fetch", key, first.headers, first.pieces)
                except Again:
                    first.forget()
                    raise
            return first

        return self._client.run(attempt)


class _Rest:
    """What comes after the first range of a large object."""

    def __init__(self, client: Client, storing: Storing, share: Share, first: _Range) -> None:
        self._client = client
        self._storing = storing
        self._share = share
        self._first = first
        self._stop = threading.Event()

    def fetch(self, sink: Sink) -> None:
        """Give all of the object to the sink, the first range too."""
        with ThreadPoolExecutor(self._storing.parts_at_once, thread_name_prefix="s3-range") as pool:
            try:
                self._fetch(sink, pool)
            finally:
                self._stop.set()
                pool.shutdown(wait=False, cancel_futures=True)

    def _fetch(self, sink: Sink, pool: ThreadPoolExecutor) -> None:
        waiting: deque[Future[_Range]] = deque()
        begun = self._go_ahead(pool, waiting, self._first.stop)
        key = self._first.key
        expected = Expected(self._client.send(head_of("fetch", key, self._storing)).headers)
        self._give(self._first, sink, expected)
        while waiting or begun < self._first.total:
            begun = self._go_ahead(pool, waiting, begun)
            self._give(waiting.popleft().result(), sink, expected)
        if not expected.is_met():
            raise faults.damaged_on_the_way("fetch", key)

    def _go_ahead(self, pool: ThreadPoolExecutor, waiting: deque[Future[_Range]], begun: int) -> int:
        """Ask for more ranges, as far as memory allows; for one in any case. Returns how far that goes."""
        while begun < self._first.total and len(waiting) < self._storing.parts_at_once:
            stop = min(begun + self._storing.range_size, self._first.total)
            if waiting:
                if not self._share.take_if_free(stop - begun):
                    break
            else:
                self._share.take(stop - begun)
            waiting.append(pool.submit(self._one, _Range(self._first.key, begun, stop, self._first.etag)))
            begun = stop
        return begun

    def _one(self, wanted: _Range) -> _Range:
        def taker(head: Head, pieces: Iterator[bytes]) -> None:
            wanted.begin(head)
            for piece in pieces:
                wanted.take(piece)
                if self._stop.is_set():
                    raise Retryable(f"fetch {wanted.key}: stopped", operation="fetch", key=wanted.key)

        def attempt() -> _Range:
            try:
                self._client.once(range_of(wanted, self._storing), taker)
            except (faults.Unmet, faults.BeyondEnd) as error:
                raise _changed(wanted.key) from error
            return wanted

        return self._client.run(attempt)

    def _give(self, done: _Range, sink: Sink, expected: Expected) -> None:
        size = done.got
        while done.pieces:
            piece = done.pieces.pop(0)
            expected.take((piece,))
            sink(piece)
        self._share.give_back(size)


def range_of(wanted: _Range, storing: Storing) -> Ask:
    """Asks for what is missing of a range."""
    headers = {**reading_headers(storing), **wanted.asked()}
    return Ask(operation="fetch", method="GET", key=wanted.key, headers=headers)


def _check(operation: str, key: str, headers: Mapping[str, str], pieces: list[bytes]) -> None:
    expected = Expected(headers)
    expected.take(pieces)
    if not expected.is_met():
        raise Again(faults.damaged_on_the_way(operation, key), most=_DAMAGED_TRIES)


def _changed(key: str) -> Corrupt:
    return Corrupt(
        f"fetch {key}: the object changed while it was read",
        hint="Something overwrites objects, which no program of ours does. Verify the backup.",
        operation="fetch",
        key=key,
    )
