"""Reading objects: small ones in one request, checked before anybody gets them; the rest of large ones in ``large``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from backupstore.ports import Document, Sink, StoredObject
from backupstore.stores.answers import changed_meanwhile
from backupstore.stores.http.client import UNCHANGED, Answer
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
        ask, taker = self._whole(key), taker_of(taken, key, limit)
        return self._client.run(lambda: _document(key, self._client.once(ask, taker), taken))

    def read_if_changed(self, key: str, version: str, limit: int) -> Document | None:
        """The same; None while its ETag is that one, also where the store does not know the condition."""
        taken: list[bytes] = []
        ask, taker = self._whole(key, {"if-none-match": f'"{version}"'}), taker_of(taken, key, limit)

        def attempt() -> Document | None:
            answer = self._client.once(ask, taker)
            return None if answer.status == UNCHANGED else _document(key, answer, taken)

        document = self._client.run(attempt)
        return None if document is None or document.version == version else document

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

    def _whole(self, key: str, condition: Mapping[str, str] = MappingProxyType({})) -> Ask:
        headers = {**reading_headers(self._storing), **condition}
        return Ask(operation="read", method="GET", key=key, headers=headers)

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


def _document(key: str, answer: Answer, pieces: Sequence[bytes]) -> Document:
    check("read", key, answer.headers, pieces)
    return Document(b"".join(pieces), answer.etag, http_time(answer.headers.get("last-modified", "")))
