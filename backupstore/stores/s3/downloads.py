"""Reading objects: small ones in one request, checked before anybody gets them; the rest of large ones in ``large``."""

from __future__ import annotations

from collections.abc import Iterator

from backupstore.ports import Document, Sink, StoredObject
from backupstore.stores.answers import changed_meanwhile
from backupstore.stores.http.faults import BeyondEnd, Unmet
from backupstore.stores.http.head import Head
from backupstore.stores.http.memory import SMALL, Memory, Share
from backupstore.stores.http.retry import Again
from backupstore.stores.http.times import http_time
from backupstore.stores.http.whole import taker_of
from backupstore.stores.s3.client import Ask, Client
from backupstore.stores.s3.large import Crowd, Large
from backupstore.stores.s3.options import Storing
from backupstore.stores.s3.ranges import Range, check
from backupstore.stores.s3.reading import fetched_of, head_of, reading_headers, stored_of


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
        taker = taker_of(taken, key, limit)

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
            if not taken and (first.stop > SMALL or first.stop < first.total):
                taken = first.stop
                share.take(taken)
            for piece in pieces:
                first.take(piece)

        def attempt() -> Range | None:
            try:
                self._client.once(first.asks(self._storing), taker)
            except BeyondEnd:
                return None
            except Unmet as error:  # it changed between two attempts, and nobody has seen any of it yet
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
