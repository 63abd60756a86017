"""Reading blobs: small ones are checked before anybody gets them; large ones are streamed, and checked at their end.

A connection that breaks is made anew where it broke, on the ETag that was read before. A blob that another program wrote
in blocks may have no MD5: then its size is what can be compared.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence

from backupstore.errors import NotFound
from backupstore.ports import Document, Sink, StoredObject
from backupstore.stores.answers import changed_meanwhile
from backupstore.stores.azure.client import Ask, Client
from backupstore.stores.azure.documents import md5_of
from backupstore.stores.http.client import UNCHANGED, Answer
from backupstore.stores.http.faults import DAMAGED_TRIES, BeyondEnd, Unmet, damaged_on_the_way
from backupstore.stores.http.head import Head
from backupstore.stores.http.retry import Again
from backupstore.stores.http.times import http_time
from backupstore.stores.http.whole import taker_of

_HELD = 1 << 20
_PARTIAL = 206
_ETAG = re.compile(r"0x[0-9A-Fa-f]{1,32}")


def is_version(text: str) -> bool:
    """Whether it looks like an ETag of Azure's, without its quotes."""
    return _ETAG.fullmatch(text) is not None


class Downloads:
    """Reads blobs from a container."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def read(self, key: str, limit: int) -> Document:
        """A blob whole. Corrupt when it is larger than ``limit``, or not what the store says it is."""
        taken: list[bytes] = []
        ask, taker = self._ask("read", key, {}), taker_of(taken, key, limit)
        return self._client.run(lambda: _document(key, self._client.once(ask, taker), taken))

    def read_if_changed(self, key: str, version: str, limit: int) -> Document | None:
        """The same; None while its ETag is that one."""
        if not is_version(version):
            return self.read(key, limit)
        taken: list[bytes] = []
        ask, taker = self._ask("read", key, {"if-none-match": f'"{version}"'}), taker_of(taken, key, limit)

        def attempt() -> Document | None:
            answer = self._client.once(ask, taker)
            return None if answer.status == UNCHANGED else _document(key, answer, taken)

        document = self._client.run(attempt)
        return None if document is None or document.version == version else document

    def fetch(self, key: str, sink: Sink) -> StoredObject:
        """Stream a blob into the sink."""
        stream = _Stream(key, sink)

        def attempt() -> None:
            try:
                self._client.once(self._ask("fetch", key, stream.onwards()), stream.take)
            except (NotFound, BeyondEnd, Unmet) as error:
                if not stream.etag:
                    raise
                raise changed_meanwhile(key) from error
            stream.finish()

        self._client.run(attempt)
        return stream.stored()

    def _ask(self, operation: str, key: str, headers: Mapping[str, str]) -> Ask:
        return Ask(operation=operation, method="GET", path=self._client.place.object(key), key=key, headers=headers)


class _Stream:
    """What came of one blob so far."""

    def __init__(self, key: str, sink: Sink) -> None:
        self._key = key
        self._sink = sink
        self._headers: Mapping[str, str] = {}
        self._held: list[bytes] | None = None
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._got = 0
        self.etag = ""

    def onwards(self) -> dict[str, str]:
        """How to ask for what has not come yet."""
        condition = {"if-match": self.etag} if self.etag else {}
        return {**condition, "range": f"bytes={self._got}-"} if self._got else condition

    def take(self, head: Head, pieces: Iterator[bytes]) -> None:
        """The bytes of one answer."""
        if head.status != _PARTIAL:
            if self._got:
                raise changed_meanwhile(self._key)
            length = head.headers.get("content-length", "")
            size = int(length) if length.isdecimal() else -1
            self._held = [] if 0 <= size <= _HELD else None
            self._md5 = hashlib.md5(usedforsecurity=False)
        self._headers, self.etag = head.headers, head.headers.get("etag", "")
        for piece in pieces:
            self._md5.update(piece)
            if self._held is not None:
                self._held.append(piece)
            else:
                self._got += len(piece)
                self._sink(piece)

    def finish(self) -> None:
        """Compare, and hand on what was held. Again, with Corrupt, when nobody has seen anything yet; else Corrupt."""
        sound = md5_of(self._headers) in {None, base64.b64encode(self._md5.digest()).decode()}
        held, self._held = self._held, None
        if not sound and held is not None:
            raise Again(damaged_on_the_way("fetch", self._key), most=DAMAGED_TRIES)
        if not sound:
            raise damaged_on_the_way("fetch", self._key)
        for piece in held or ():
            self._sink(piece)
            self._got += len(piece)

    def stored(self) -> StoredObject:
        """What the headers say of the blob."""
        modified = http_time(self._headers.get("last-modified", ""))
        return StoredObject(self._key, self._got, modified, md5_of(self._headers))


def _document(key: str, answer: Answer, pieces: Sequence[bytes]) -> Document:
    body = b"".join(pieces)
    digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    if md5_of(answer.headers) not in {None, digest}:
        raise Again(damaged_on_the_way("read", key), most=DAMAGED_TRIES)
    return Document(body, answer.etag, http_time(answer.headers.get("last-modified", "")))
