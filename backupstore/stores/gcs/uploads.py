"""Writing objects: in one request when they are small, piece by piece when they are large, and never over what is there.

An answer may be lost after the store has done what it was asked for. The next attempt then meets the object of the
first, and a look at its checksum tells whether it is ours.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from contextlib import suppress

from backupstore.errors import NotFound
from backupstore.ports import Source, StoredObject
from backupstore.stores.answers import wrong_size
from backupstore.stores.gcs import faults
from backupstore.stores.gcs.client import Ask, Client
from backupstore.stores.gcs.options import Storing
from backupstore.stores.gcs.resources import FIELDS, Resource, crc_of, crc_text, resource_of
from backupstore.stores.gcs.resumable import ResumableUpload
from backupstore.stores.http.faults import Unmet, damaged_on_the_way
from backupstore.stores.http.memory import SMALL, Memory, Share
from backupstore.stores.http.retry import Again

NEW = "0"  # the generation of what is not there

_STARTS = 3


class Uploads:
    """Writes objects to a bucket."""

    def __init__(self, client: Client, storing: Storing) -> None:
        self._client = client
        self._storing = storing
        self._memory = Memory(storing.memory)

    def put(self, operation: str, key: str, pieces: Sequence[bytes], generation: str | None) -> StoredObject:
        """Write an object in one request, over this generation. Unmet when it is another and the object is not ours."""
        crc, size = 0, 0
        for piece in pieces:
            crc, size = crc_of(crc, piece), size + len(piece)
        unsure = False

        def attempt() -> StoredObject:
            nonlocal unsure
            try:
                written = resource_of(self._client.once(self._ask(operation, key, (pieces, crc), generation)).body)
            except Again as again:
                unsure = unsure or again.unsure
                raise
            except Unmet:
                if unsure and (ours := self.found(operation, key, size, crc)):
                    return ours
                raise
            if written.crc != crc_text(crc) or written.stored.size != size:
                if ours := self.found(operation, key, size, crc):  # only the answer was damaged
                    return ours
                raise damaged_on_the_way(operation, key)
            return written.stored

        return self._client.run(attempt)

    def upload(self, key: str, source: Source) -> StoredObject:
        """Create an object of any size. Unmet when there is one."""
        with Share(self._memory) as share:
            if source.size > SMALL:
                share.take(min(source.size, self._storing.piece))
            if source.size <= self._storing.piece:
                return self.put("upload", key, _collected(key, source), NEW)
            for _ in range(_STARTS):
                upload = ResumableUpload(self._client, self._storing, key, source.size)
                try:
                    return upload.send(source)
                except (faults.NoSession, Unmet) as error:
                    if upload.unsure and (ours := self.found("upload", key, source.size, upload.crc)):
                        return ours
                    if isinstance(error, Unmet):
                        raise
        raise faults.NoSession(
            f"upload {key}: the store forgot the upload again and again",
            hint="Does another program cancel resumable uploads, or is a proxy in the way?",
            operation="upload",
            key=key,
        )

    def found(self, operation: str, key: str, size: int, crc: int) -> StoredObject | None:
        """The object that is there, if it is this one."""
        with suppress(NotFound):
            there = described(self._client, operation, key)
            if there.crc == crc_text(crc) and there.stored.size == size:
                return there.stored
        return None

    def _ask(self, operation: str, key: str, body: tuple[Sequence[bytes], int], generation: str | None) -> Ask:
        pieces, crc = body
        boundary = secrets.token_hex(16)
        metadata = json.dumps({**self._storing.metadata, "name": key, "crc32c": crc_text(crc)})
        first = (
            f"--{boundary}\r\ncontent-type: application/json; charset=utf-8\r\n\r\n{metadata}\r\n"
            f"--{boundary}\r\ncontent-type: application/octet-stream\r\n\r\n"
        )
        condition = {} if generation is None else {"ifGenerationMatch": generation}
        return Ask(
            operation=operation,
            method="POST",
            path=self._client.place.uploads,
            query={"uploadType": "multipart", "fields": FIELDS, **condition, **self._storing.query},
            headers={"content-type": f"multipart/related; boundary={boundary}"},
            body=(first.encode(), *pieces, f"\r\n--{boundary}--\r\n".encode()),
            writes=key,
        )


def described(client: Client, operation: str, key: str) -> Resource:
    """The description of an object. NotFound."""
    path, query = client.place.object(key), {"fields": FIELDS}
    return client.document(Ask(operation=operation, method="GET", path=path, key=key, query=query), resource_of)


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
