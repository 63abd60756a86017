"""Reading objects: small ones in one request, checked before anybody gets them; the rest of large ones in ``large``."""

from __future__ import annotations

from collections.abc import Iterator

from backupstore.ports import Document, Sink, StoredObject
from backupstore.stores.answers import changed_meanwhile, too_large
from backupstore.stores.http.head import Head
from backupstore.stores.http.memory import Memory, Share
from backupstore.stores.http.retry import Again
from backupstore.stores.s3 import faults
from backupstore.stores.s3.client import Ask, Client
from backupstore.stores.s3.documents import http_time
from backupstore.stores.s3.large import Crowd, Large
from backupstore.stores.s3.options import Storing
from backupstore.stores.s3.ranges import Range, check
from backupstore.stores.s3.reading import fetched_of, head_of, reading_headers, stored_of

_SMALL = 256 << 10  # not worth counting


class Downloads:
    """Reads objects from a bucket."""

    def __init__(self, client: Client, storing: Storing) -> None:
        self._client = client
        self._storing = storing
        self._memory = Memory(storing.memory)
        self._crowd = Crowd()

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
            check("read", key, answer.headers, taken)
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
                Large(self._client, self._storing, share, self._crowd).fetch(first, sink)
        return fetched_of(key, first.total, first.headers)

    def _first(self, key: str, share: Share) -> Range | None:
        """The first range, which may be all of it; None for an empty object, of which there is none."""
        first = Range(key, 0, self._storing.range_size)
        taken = 0

        def taker(head: Head, pieces: Iterator[bytes]) -> None:
            nonlocal taken
            first.begin(head)
            if not taken and (first.stop > _SMALL or first.stop < first.total):
                taken = first.stop
                share.take(taken)
            for piece in pieces:
                first.take(piece)

        def attempt() -> Range | None:
            try:
                self._client.once(first.asks(self._storing), taker)
            except faults.BeyondEnd:
                return None
            except faults.Unmet as error:  # it changed between two attempts, and nobody has seen any of it yet
                first.forget()
                raise Again(changed_meanwhile(key), at_once=True) from error
            if first.stop == first.total:
                try:
                    check("fetch", key, first.headers, first.pieces)
                except Again:
                    first.forget()
                    raise
            return first

        return self._client.run(attempt)
