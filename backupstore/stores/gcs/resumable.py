"""One large object, sent piece by piece to a session that ends in an object or in nothing.

Google tells after each piece how far it has come, ignores bytes that it has already, and compares the whole with the
CRC32C that goes with the last piece. That the key is free is asked when the session begins and when it ends.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from backupstore.errors import BackupError, Corrupt, NotFound, Retryable
from backupstore.ports import Source, StoredObject
from backupstore.stores.answers import wrong_size
from backupstore.stores.gcs import faults
from backupstore.stores.gcs.client import GOES_ON, Ask, Client
from backupstore.stores.gcs.options import Storing
from backupstore.stores.gcs.resources import FIELDS, REPORT, Resource, crc_of, crc_text, resource_of
from backupstore.stores.http.client import Answer
from backupstore.stores.http.faults import NoBucket, Unmet, damaged_on_the_way
from backupstore.stores.http.retry import Again

_PERSISTED = re.compile(r"bytes=0-([0-9]{1,15})")


@dataclass(slots=True)
class _Piece:
    """Bytes from ``start`` on; ``kept``: how far the store has all of them."""

    start: int
    parts: list[bytes]
    kept: int = 0

    @property
    def stop(self) -> int:
        return self.start + sum(map(len, self.parts))

    def rest(self) -> list[bytes]:
        """What the store has not."""
        skip, left = self.kept - self.start, []
        for part in self.parts:
            if skip < len(part):
                left.append(part[skip:] if skip else part)
            skip = max(0, skip - len(part))
        return left


class ResumableUpload:
    """One session. ``unsure``: the answer to its last piece was lost; ``crc`` is that of all bytes sent so far."""

    def __init__(self, client: Client, storing: Storing, key: str, size: int) -> None:
        self._client = client
        self._storing = storing
        self._key = key
        self._size = size
        self._session = ""
        self.crc = 0
        self.unsure = False

    def send(self, source: Source) -> StoredObject:
        """All of the source. Unmet when the key is taken; NoSession; what the source raises passes through."""
        self._begin()
        written: Resource | None = None
        try:
            for piece in self._pieces(source):
                written = self._client.run(partial(self._attempt, piece))
        finally:
            if written is None:
                with suppress(BackupError, Again):
                    self._cancel()
        if written is None:
            raise wrong_size("upload", self._key, self._size)
        return self._checked(written)

    def _begin(self) -> None:
        body = json.dumps({**self._storing.metadata, "name": self._key}).encode()
        query = {"uploadType": "resumable", "ifGenerationMatch": "0", "fields": FIELDS, **self._storing.query}
        headers = {"content-type": "application/json; charset=utf-8", "x-upload-content-length": str(self._size)}
        path = self._client.place.uploads
        ask = Ask(
            operation="upload",
            method="POST",
            path=path,
            query=query,
            headers=headers,
            body=(body,),
            writes=self._key,
        )
        location = urlsplit(self._client.send(ask).headers.get("location", ""))
        if not location.path.startswith(path):
            raise Corrupt(
                f"upload {self._key}: the store began an upload and did not say where it is",
                hint=REPORT,
                operation="upload",
                key=self._key,
            )
        self._session = f"{location.path}?{location.query}"

    def _pieces(self, source: Source) -> Iterator[_Piece]:
        """Each as large as one request may be, the last one when the source has shown that it ends there."""
        piece, room = _Piece(0, []), self._storing.piece
        for chunk in source.chunks():
            view = chunk
            self.crc = crc_of(self.crc, chunk)
            while view:
                if not room:
                    yield piece
                    piece, room = _Piece(piece.stop, [], piece.stop), self._storing.piece
                part, view = view[:room], view[room:]
                piece.parts.append(part)
                room -= len(part)
            if piece.stop > self._size:
                raise wrong_size("upload", self._key, self._size)
        if piece.stop != self._size:
            raise wrong_size("upload", self._key, self._size)
        yield piece

    def _attempt(self, piece: _Piece) -> Resource | None:
        """Send what the store has not of a piece, until it has all of it. The object, after the last one."""
        while True:
            answer = self._put(piece)
            if answer.status != GOES_ON:
                return resource_of(answer.body)
            match = _PERSISTED.fullmatch(answer.headers.get("range", ""))
            kept = int(match[1]) + 1 if match else 0
            if not piece.start <= kept <= piece.stop:
                raise self._over("the store has lost what it had")
            if kept == piece.stop < self._size:
                return None
            if kept <= piece.kept:
                raise Again(self._over("the store takes nothing more"))
            piece.kept = kept

    def _put(self, piece: _Piece) -> Answer:
        last = piece.stop == self._size
        headers = {"content-range": f"bytes {piece.kept}-{piece.stop - 1}/{self._size}"}
        if last:
            headers["x-goog-hash"] = f"crc32c={crc_text(self.crc)}"
        body = tuple(piece.rest())
        ask = Ask(operation="upload", method="PUT", path=self._session, headers=headers, body=body, writes=self._key)
        try:
            return self._client.once(ask)
        except Again as again:
            self.unsure = self.unsure or (last and again.unsure)
            raise
        except NoBucket as error:  # 404 is what a session is answered that nobody knows any more
            raise self._over("the store does not know the upload any more") from error

    def _over(self, why: str) -> Retryable:
        return faults.NoSession(
            f"upload {self._key}: {why}", hint="Run the same again.", operation="upload", key=self._key
        )

    def _cancel(self) -> None:
        self._client.once(Ask(operation="upload", method="DELETE", path=self._session, headers={"content-length": "0"}))

    def _checked(self, written: Resource) -> StoredObject:
        """Google has compared it. A server that did not has an object now that nobody must rely on."""
        if written.crc == crc_text(self.crc) and written.stored.size == self._size:
            return written.stored
        query = {"ifGenerationMatch": written.generation}
        path = self._client.place.object(self._key)
        with suppress(NotFound, Unmet):
            self._client.send(Ask(operation="upload", method="DELETE", path=path, key=self._key, query=query))
        raise damaged_on_the_way("upload", self._key)
