"""Writing objects: in one request when they are small, in parts when they are large, and never over what is there.

An answer may be lost after the store has done what it was asked for. The next attempt then meets the object of the
first, and a look at its checksum tells whether it is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from backupstore.errors import Denied, NotFound
from backupstore.ports import Source, StoredObject
from backupstore.stores.answers import taken, wrong_size
from backupstore.stores.http.faults import Unmet, damaged_on_the_way
from backupstore.stores.http.memory import SMALL, Memory, Share
from backupstore.stores.http.retry import Again
from backupstore.stores.s3 import faults
from backupstore.stores.s3.client import Ask, Client
from backupstore.stores.s3.integrity import CRC_HEADER, Body, crc64, matches
from backupstore.stores.s3.options import Storing
from backupstore.stores.s3.parts import PartsUpload
from backupstore.stores.s3.reading import head_of, stored_of, written_of

NEW = {"if-none-match": "*"}

_STARTS = 3


class Uploads:
    """Writes objects to a bucket."""

    def __init__(self, client: Client, storing: Storing) -> None:
        self._client = client
        self._storing = storing
        self._memory = Memory(storing.memory)

    def put(self, operation: str, key: str, body: Body, condition: Mapping[str, str]) -> StoredObject:
        """Write an object in one request. Unmet when the condition does not hold and the object is not ours."""
        unsure = False

        def attempt() -> StoredObject:
            nonlocal unsure
            integrity = self._client.integrity
            headers = {**condition, **self._storing.creating, **integrity.headers(body)}
            whole = operation != "upload"
            ask = Ask(
                operation=operation, method="PUT", key=key, headers=headers, body=body, careful=unsure, whole=whole
            )
            try:
                answer = self._client.once(ask)
            except Again as again:
                unsure = unsure or again.unsure
                raise
            except Unmet:
                if unsure and (ours := self._found(operation, key, body)):
                    return ours
                raise
            integrity.learn(CRC_HEADER in answer.headers)
            if integrity.differs(answer.headers, body):
                if ours := self._found(operation, key, body):
                    return ours
                raise damaged_on_the_way(operation, key)
            return written_of(key, body.size, answer.headers)

        return self._client.run(attempt)

    def upload(self, key: str, source: Source) -> StoredObject:
        """Create an object of any size. Conflict when there is one."""
        if source.size < min(self._storing.threshold, self._storing.memory):
            with Share(self._memory) as share:
                if source.size > SMALL:
                    share.take(source.size)
                return self.put("upload", key, _collected(key, source), NEW)
        for start in range(_STARTS):
            if start:  # the first time, whoever asks has just seen a listing
                self._must_be_free(key)
            with suppress(faults.NoUpload):
                return PartsUpload(self._client, self._storing, self._memory, key).send(source)
        raise faults.NoUpload(
            f"upload {key}: its parts were given up by somebody again and again",
            hint="Does a lifecycle rule of the bucket, or another program, abort multipart uploads at once?",
            operation="upload",
            key=key,
        )

    def _must_be_free(self, key: str) -> None:
        """Not to send much for nothing; what counts is the condition at the end.

        Who may not list the bucket is told that an absent object is forbidden.
        """
        with suppress(NotFound, Denied):
            self._client.send(head_of("upload", key, self._storing))
            raise taken("upload", key)

    def _found(self, operation: str, key: str, body: Body) -> StoredObject | None:
        """The object that is there, if it is this one."""
        try:
            answer = self._client.once(head_of(operation, key, self._storing))
        except NotFound:
            return None
        stored = stored_of(key, answer)
        return stored if stored.size == body.size and matches(answer.headers, body) else None


def _collected(key: str, source: Source) -> Body:
    """All of a small source. Corrupt when it gives other than its size."""
    pieces, size, crc = [], 0, 0
    for chunk in source.chunks():
        size += len(chunk)
        if size > source.size:
            break
        pieces.append(chunk)
        crc = crc64(chunk, crc)
    if size != source.size:
        raise wrong_size("upload", key, source.size)
    return Body(pieces, crc)
