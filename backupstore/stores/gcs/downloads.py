"""Reading objects: small ones are checked before anybody gets them; large ones are streamed, and checked at their end.

A connection that breaks is made anew where it broke, on the generation that was read before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from backupstore.errors import NotFound
from backupstore.ports import Document, Sink, StoredObject
from backupstore.stores.answers import changed_meanwhile
from backupstore.stores.gcs.client import Ask, Client
from backupstore.stores.gcs.resources import crc_of, crc_text, digests_of
from backupstore.stores.http.client import UNCHANGED, Answer
from backupstore.stores.http.faults import DAMAGED_TRIES, BeyondEnd, damaged_on_the_way
from backupstore.stores.http.head import Head
from backupstore.stores.http.retry import Again
from backupstore.stores.http.times import http_time
from backupstore.stores.http.whole import taker_of

_HELD = 1 << 20
_PARTIAL = 206
_AS_STORED = {"accept-encoding": "gzip"}  # else what somebody stored compressed is unpacked on its way


class Downloads:
    """Reads objects from a bucket."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def read(self, key: str, limit: int) -> Document:
        """An object whole. Corrupt when it is larger than ``limit``, or not what the store says it is."""
        taken: list[bytes] = []
        ask, taker = self._ask("read", key), taker_of(taken, key, limit)
        return self._client.run(lambda: _document(key, self._client.once(ask, taker), taken))

    def read_if_changed(self, key: str, version: str, limit: int) -> Document | None:
        """The same; None while its generation is that one, also where the server does not know the condition."""
        if not version.isdecimal():
            return self.read(key, limit)
        taken: list[bytes] = []
        ask, taker = self._ask("read", key, unless=version), taker_of(taken, key, limit)

        def attempt() -> Document | None:
            answer = self._client.once(ask, taker)
            return None if answer.status == UNCHANGED else _document(key, answer, taken)

        document = self._client.run(attempt)
        return None if document is None or document.version == version else document

    def fetch(self, key: str, sink: Sink) -> StoredObject:
        """Stream an object into the sink."""
        stream = _Stream(key, sink)

        def attempt() -> None:
            try:
                self._client.once(self._ask("fetch", key, stream), stream.take)
            except (NotFound, BeyondEnd) as error:
                if not stream.generation:
                    raise
                raise changed_meanwhile(key) from error
            stream.finish()

        self._client.run(attempt)
        return stream.stored()

    def _ask(self, operation: str, key: str, stream: _Stream | None = None, *, unless: str = "") -> Ask:
        query, headers = {"alt": "media"}, dict(_AS_STORED)
        if unless:
            query["ifGenerationNotMatch"] = unless
        if stream is not None and stream.generation:
            query["generation"] = stream.generation
            if stream.got:
                headers["range"] = f"bytes={stream.got}-"
        path = self._client.place.object(key)
        return Ask(operation=operation, method="GET", path=path, key=key, query=query, headers=headers)


class _Stream:
    """What came of one object so far."""

    def __init__(self, key: str, sink: Sink) -> None:
        self._key = key
        self._sink = sink
        self._headers: Mapping[str, str] = {}
        self._held: list[bytes] | None = None
        self._crc = 0
        self._size = 0
        self.got = 0
        self.generation = ""

    def take(self, head: Head, pieces: Iterator[bytes]) -> None:
        """The bytes of one answer."""
        if head.status != _PARTIAL:
            if self.got:
                raise changed_meanwhile(self._key)
            length = head.headers.get("content-length", "")
            self._size = int(length) if length.isdecimal() else -1
            self._held = [] if 0 <= self._size <= _HELD else None
            self._crc = 0
        self._headers, self.generation = head.headers, _generation(head.headers)
        for piece in pieces:
            self._crc = crc_of(self._crc, piece)
            if self._held is not None:
                self._held.append(piece)
            else:
                self.got += len(piece)
                self._sink(piece)

    def finish(self) -> None:
        """Compare, and hand on what was held. Again, with Corrupt, when nobody has seen anything yet; else Corrupt."""
        sound = crc_text(self._crc) == digests_of(self._headers).get("crc32c")
        held, self._held = self._held, None
        if not sound and held is not None:
            raise Again(damaged_on_the_way("fetch", self._key), most=DAMAGED_TRIES)
        if not sound:
            raise damaged_on_the_way("fetch", self._key)
        for piece in held or ():
            self._sink(piece)
            self.got += len(piece)

    def stored(self) -> StoredObject:
        """What the headers say of the object."""
        modified = http_time(self._headers.get("last-modified", ""))
        return StoredObject(self._key, self.got, modified, digests_of(self._headers).get("md5"))


def _document(key: str, answer: Answer, pieces: Sequence[bytes]) -> Document:
    body = b"".join(pieces)
    if crc_text(crc_of(0, body)) != digests_of(answer.headers).get("crc32c"):
        raise Again(damaged_on_the_way("read", key), most=DAMAGED_TRIES)
    return Document(body, _generation(answer.headers), http_time(answer.headers.get("last-modified", "")))


def _generation(headers: Mapping[str, str]) -> str:
    return headers.get("x-goog-generation", "")
