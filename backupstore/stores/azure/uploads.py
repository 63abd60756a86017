"""Writing blobs: in one request when they are small, in blocks when they are large, and never over what is there.

An answer may be lost after the store has done what it was asked for. The next attempt then meets the blob of the
first, and a look at its MD5 tells whether it is ours.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress

from backupstore.errors import Corrupt, NotFound
from backupstore.ports import Source, StoredObject
from backupstore.stores.answers import wrong_size
from backupstore.stores.azure.blocks import BlockUpload
from backupstore.stores.azure.client import Ask, Client
from backupstore.stores.azure.documents import described
from backupstore.stores.azure.faults import NoBlocks
from backupstore.stores.azure.options import Storing
from backupstore.stores.http.client import Answer
from backupstore.stores.http.faults import Unmet, damaged_on_the_way
from backupstore.stores.http.memory import SMALL, Memory, Share
from backupstore.stores.http.retry import Again
from backupstore.stores.http.times import http_time
from backupstore.stores.sources import BytesSource

NEW: Mapping[str, str] = {"if-none-match": "*"}
"""The condition that there is nothing."""


class Uploads:
    """Writes blobs to a container."""

    def __init__(self, client: Client, storing: Storing) -> None:
        self._client = client
        self._storing = storing
        self._memory = Memory(storing.memory)

    def put(self, operation: str, key: str, pieces: Sequence[bytes], condition: Mapping[str, str]) -> StoredObject:
        """Write a small blob. Unmet when the condition does not hold and the blob is not ours."""
        try:
            return self._put(operation, key, pieces, condition)
        except Unmet:
            if condition != NEW or self._found(operation, key, 0, ""):
                raise
        return self._put_as_block(operation, key, pieces)

    def _put(self, operation: str, key: str, pieces: Sequence[bytes], condition: Mapping[str, str]) -> StoredObject:
        """In one request."""
        md5, size = hashlib.md5(usedforsecurity=False), 0
        for piece in pieces:
            md5.update(piece)
            size += len(piece)
        digest = base64.b64encode(md5.digest()).decode()
        headers = {"x-ms-blob-type": "BlockBlob", "content-type": "application/octet-stream", "content-md5": digest}
        ask = Ask(
            operation=operation,
            method="PUT",
            path=self._client.place.object(key),
            headers={**headers, **self._storing.headers, **condition},
            body=tuple(pieces),
            writes=key,
        )
        return self._written(ask, size, digest)

    def _put_as_block(self, operation: str, key: str, pieces: Sequence[bytes]) -> StoredObject:
        """Create a small blob where nothing is but blocks of an upload that died: for a time they take the key."""
        body = b"".join(pieces)
        upload = BlockUpload(self._client, operation, key, len(body), max(1, len(body)))
        digest = upload.send(BytesSource(body))
        return self._written(upload.commit({**self._storing.headers, **NEW}), len(body), digest)

    def upload(self, key: str, source: Source) -> StoredObject:
        """Create a blob of any size. Unmet when there is one."""
        block = self._storing.block_for(source.size)
        with Share(self._memory) as share:
            if source.size > SMALL:
                share.take(min(source.size, block))
            if source.size <= block:
                return self.put("upload", key, _collected(key, source), NEW)
            upload = BlockUpload(self._client, "upload", key, source.size, block)
            digest = upload.send(source)
            try:
                return self._written(upload.commit({**self._storing.headers, **NEW}), source.size, digest)
            except NoBlocks as error:
                if self._found("upload", key, source.size, ""):  # another upload has ended first
                    raise Unmet(error.message, operation="upload", key=key) from error
                raise

    def _written(self, ask: Ask, size: int, digest: str) -> StoredObject:
        """Send what makes a blob; the blob of an attempt whose answer was lost is ours by its MD5."""
        unsure = False

        def attempt() -> StoredObject:
            nonlocal unsure
            try:
                answer = self._client.once(ask)
            except Again as again:
                unsure = unsure or again.unsure
                raise
            except (Unmet, NoBlocks):
                if unsure and (ours := self._found(ask.operation, ask.writes, size, digest)):
                    return ours
                raise
            return _stored(ask, answer, size, digest)

        return self._client.run(attempt)

    def _found(self, operation: str, key: str, size: int, digest: str) -> StoredObject | None:
        """The blob that is there, if it is this one; any, without a digest."""
        with suppress(NotFound):
            there = head(self._client, operation, key)
            if not digest or (there.digest == digest and there.size == size):
                return there
        return None


def head(client: Client, operation: str, key: str) -> StoredObject:
    """The description of a blob. NotFound."""

    def attempt() -> StoredObject:
        answer = client.once(Ask(operation=operation, method="HEAD", path=client.place.object(key), key=key))
        try:
            return described(key, answer.headers)
        except Corrupt as error:
            raise Again(error) from error

    return client.run(attempt)


def _stored(ask: Ask, answer: Answer, size: int, digest: str) -> StoredObject:
    """The store has compared a blob that came in one request, and says what it got; that of blocks is as we said."""
    if "comp" not in ask.query and answer.headers.get("content-md5", digest) != digest:
        raise damaged_on_the_way(ask.operation, ask.writes)
    return StoredObject(ask.writes, size, http_time(answer.headers.get("last-modified", "")), digest)


def _collected(key: str, source: Source) -> list[bytes]:
    """All of a small source. Corrupt when it gives other than its size."""
    pieces, size = [], 0
    for chunk in source.chunks():
        size += len(chunk)
        if size > source.size:
            break
        pieces.append(chunk)
    if size != source.size:
        raise wrong_size("upload", key, source.size)
    return pieces
