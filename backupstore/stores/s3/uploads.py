"""Writing objects: in one request when they are small, in parts when they are large, and never over what is there.

An answer may be lost after the store has done what it was asked for. The next attempt then meets the object of the
first, and a look at its checksum tells whether it is ours.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from backupstore.errors import BackupError, NotFound, Retryable
from backupstore.ports import Source, StoredObject
from backupstore.stores.answers import taken, wrong_size
from backupstore.stores.s3 import faults
from backupstore.stores.s3.client import Answer, Ask, Client
from backupstore.stores.s3.documents import SentPart, completion, http_time, parse
from backupstore.stores.s3.integrity import CRC_HEADER, Body, crc64, crc_text, matches
from backupstore.stores.s3.memory import Memory, Share
from backupstore.stores.s3.options import Storing
from backupstore.stores.s3.retry import Again

NEW = {"if-none-match": "*"}

_STARTS = 3
_SMALL = 256 << 10  # not worth counting
_DAMAGED_TRIES = 4
_MD5 = re.compile(r"[0-9a-f]{32}")


@dataclass(slots=True)
class _Upload:
    """A multipart upload that has begun: its id, whether parts carry a CRC, and that of all bytes so far."""

    key: str
    id: str
    with_crc: bool
    crc: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def guard(self) -> None:
        """Raise when the upload has failed elsewhere."""
        if self.stop.is_set():
            raise Retryable(f"upload {self.key}: stopped", operation="upload", key=self.key)


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
            ask = Ask(operation=operation, method="PUT", key=key, headers=headers, body=body, whole=whole)
            try:
                answer = self._client.once(ask)
            except Again as again:
                unsure = unsure or again.unsure
                raise
            except faults.Unmet:
                if unsure and (ours := self._found(operation, key, body)):
                    return ours
                raise
            integrity.learn(CRC_HEADER in answer.headers)
            if integrity.differs(answer.headers, body):
                if ours := self._found(operation, key, body):
                    return ours
                raise faults.damaged_on_the_way(operation, key)
            return StoredObject(key, body.size, http_time(answer.headers.get("date", "")), answer.etag or None)

        return self._client.run(attempt)

    def upload(self, key: str, source: Source) -> StoredObject:
        """Create an object of any size. Conflict when there is one."""
        if source.size < self._storing.threshold:
            with Share(self._memory) as share:
                if source.size > _SMALL:
                    share.take(source.size)
                return self.put("upload", key, _collected(key, source), NEW)
        for _ in range(_STARTS):
            self._must_be_free(key)
            with suppress(faults.NoUpload):
                return self._in_parts(key, source)
        raise faults.NoUpload(
            f"upload {key}: its parts were given up by somebody again and again",
            hint="Does a lifecycle rule of the bucket, or another program, abort multipart uploads at once?",
            operation="upload",
            key=key,
        )

    def _must_be_free(self, key: str) -> None:
        """Not to send much for nothing; what counts is the condition at the end."""
        with suppress(NotFound):
            self.head("upload", key)
            raise taken("upload", key)

    def head(self, operation: str, key: str) -> Answer:
        """The facts of an object, with its checksum. NotFound."""
        return self._client.send(self._head(operation, key))

    def _head(self, operation: str, key: str) -> Ask:
        headers = {"x-amz-checksum-mode": "ENABLED", **self._storing.encryption.using}
        return Ask(operation=operation, method="HEAD", key=key, headers=headers)

    def _found(self, operation: str, key: str, body: Body) -> StoredObject | None:
        """The object that is there, if it is this one."""
        try:
            answer = self._client.once(self._head(operation, key))
        except NotFound:
            return None
        stored = stored_of(key, answer)
        return stored if stored.size == body.size and matches(answer.headers, body) else None

    # --- in parts ---
    def _in_parts(self, key: str, source: Source) -> StoredObject:
        with self._begun(key) as upload, Share(self._memory) as share:
            parts = self._send_all(upload, source, share)
            return self._complete(upload, source.size, parts)

    @contextmanager
    def _begun(self, key: str) -> Iterator[_Upload]:
        """An upload that is given up unless all goes well."""
        integrity = self._client.integrity
        asked = {} if integrity.knows_crc is False else dict(_WITH_CRC)
        begin = Ask(
            operation="upload",
            method="POST",
            key=key,
            query={"uploads": ""},
            headers={**self._storing.creating, **asked},
        )
        answer = self._client.send(begin)
        integrity.learn("x-amz-checksum-algorithm" in answer.headers)
        upload = _Upload(key, parse(answer.body).findtext("UploadId") or "", with_crc=bool(integrity.knows_crc))
        done = False
        try:
            yield upload
            done = True
        finally:
            if not done:
                self._abort(upload)

    def _abort(self, upload: _Upload) -> None:
        """Best effort: what stays is swept later."""
        for _ in range(2):
            with suppress(Again, BackupError):
                self._client.once(
                    Ask(operation="upload", method="DELETE", key=upload.key, query={"uploadId": upload.id})
                )
                return

    def _send_all(self, upload: _Upload, source: Source, share: Share) -> list[SentPart]:
        most = self._storing.parts_at_once
        sent: list[SentPart] = []
        waiting: deque[Future[SentPart]] = deque()
        with ThreadPoolExecutor(most, thread_name_prefix="s3-part") as pool:
            try:
                for number, body in enumerate(self._parts(upload, source, share), 1):
                    if len(waiting) >= most:
                        sent.append(waiting.popleft().result())
                    future = pool.submit(self._send, upload, number, body)
                    future.add_done_callback(lambda _, size=body.size: share.give_back(size))
                    waiting.append(future)
                sent += [future.result() for future in waiting]
            finally:
                upload.stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
        return sent

    def _parts(self, upload: _Upload, source: Source, share: Share) -> Iterator[Body]:
        """Cut the source, memory taken for each part. Corrupt when it gives other than its size."""
        size = self._storing.part_size_for(source.size)
        left = source.size
        pieces: list[bytes] = []
        room, crc = 0, 0
        for chunk in source.chunks():
            upload.crc = crc64(chunk, upload.crc)
            while chunk:
                if not room:
                    room = min(size, left)
                    if not room:
                        raise wrong_size("upload", upload.key, source.size)
                    share.take(room)
                piece, chunk = (chunk, b"") if len(chunk) <= room else (chunk[:room], chunk[room:])  # noqa: PLW2901
                crc = crc64(piece, crc)
                pieces.append(piece)
                room -= len(piece)
                left -= len(piece)
                if not room:
                    yield Body(pieces, crc)
                    pieces, crc = [], 0
        if left:
            raise wrong_size("upload", upload.key, source.size)

    def _send(self, upload: _Upload, number: int, body: Body) -> SentPart:
        query = {"partNumber": str(number), "uploadId": upload.id}
        headers = {**self._storing.encryption.using, **self._client.integrity.headers(body)}
        ask = Ask(
            operation="upload",
            method="PUT",
            key=upload.key,
            query=query,
            headers=headers,
            body=body,
            guard=upload.guard,
        )

        def attempt() -> SentPart:
            upload.guard()
            answer = self._client.once(ask)
            if self._client.integrity.differs(answer.headers, body):
                raise Again(faults.damaged_on_the_way("upload", upload.key), most=_DAMAGED_TRIES)
            return SentPart(number, answer.etag, body.size, body.crc if upload.with_crc else None)

        return self._client.run(attempt)

    def _complete(self, upload: _Upload, size: int, parts: Sequence[SentPart]) -> StoredObject:
        headers = {**NEW, **self._storing.encryption.using}
        if upload.with_crc:
            headers |= {CRC_HEADER: crc_text(upload.crc), "x-amz-checksum-type": "FULL_OBJECT"}
            headers["x-amz-mp-object-size"] = str(size)
        body = Body([completion(parts)])
        query = {"uploadId": upload.id}
        ask = Ask(
            operation="upload", method="POST", key=upload.key, query=query, headers=headers, body=body, whole=True
        )
        unsure = False

        def attempt() -> StoredObject:
            nonlocal unsure
            try:
                answer = self._client.once(ask)
            except Again as again:
                unsure = unsure or again.unsure
                raise
            except (faults.Unmet, faults.NoUpload) as error:
                if unsure and (ours := self._completed(upload, size, parts)):
                    return ours
                raise (taken("upload", upload.key) if isinstance(error, faults.Unmet) else error) from error
            etag = (parse(answer.body).findtext("ETag") or "").strip('"')
            crc = parse(answer.body).findtext("ChecksumCRC64NVME")
            if not _is_it(upload, parts, etag=etag, crc=crc):
                if ours := self._completed(upload, size, parts):
                    return ours
                raise faults.damaged_on_the_way("upload", upload.key)
            return StoredObject(upload.key, size, http_time(answer.headers.get("date", "")), etag)

        return self._client.run(attempt)

    def _completed(self, upload: _Upload, size: int, parts: Sequence[SentPart]) -> StoredObject | None:
        try:
            answer = self._client.once(self._head("upload", upload.key))
        except NotFound:
            return None
        stored = stored_of(upload.key, answer)
        same = _is_it(upload, parts, etag=answer.etag, crc=answer.headers.get(CRC_HEADER), surely=True)
        return stored if same and stored.size == size else None


_WITH_CRC = {"x-amz-checksum-algorithm": "CRC64NVME", "x-amz-checksum-type": "FULL_OBJECT"}


def stored_of(key: str, answer: Answer) -> StoredObject:
    """What the headers of an object say."""
    size = answer.headers.get("content-length", "0")
    return StoredObject(
        key,
        int(size) if size.isdecimal() else 0,
        http_time(answer.headers.get("last-modified", "")),
        answer.etag or None,
    )


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


def _is_it(
    upload: _Upload, parts: Sequence[SentPart], *, etag: str, crc: str | None, surely: bool = False
) -> bool:
    """Whether an object is the one of these parts; ``surely``: nothing to tell by is a no."""
    if crc is not None:
        return crc == crc_text(upload.crc)
    if all(_MD5.fullmatch(part.etag) for part in parts) and re.fullmatch(r"[0-9a-f]{32}-\d+", etag):
        digest = hashlib.md5(b"".join(bytes.fromhex(part.etag) for part in parts), usedforsecurity=False)
        return etag == f"{digest.hexdigest()}-{len(parts)}"
    return not surely
