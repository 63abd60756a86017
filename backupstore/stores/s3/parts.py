"""A large object in parts, several of them on their way at once; given up unless all goes well.

The source is read by the caller's thread and cut; each part is held in memory until the store has it, so that it can be
sent again without reading the source again. The store checks each part, and at the end the CRC of the whole object.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial

from backupstore.errors import BackupError, Corrupt, NotFound, Retryable
from backupstore.ports import Source, StoredObject
from backupstore.stores.answers import taken, wrong_size
from backupstore.stores.http.client import Answer
from backupstore.stores.http.faults import DAMAGED_TRIES, Unmet, damaged_on_the_way
from backupstore.stores.http.memory import Memory, Share
from backupstore.stores.http.retry import Again
from backupstore.stores.s3 import faults
from backupstore.stores.s3.client import Ask, Client
from backupstore.stores.s3.documents import SentPart, completion, parse, upload_id_of
from backupstore.stores.s3.integrity import CRC_HEADER, Body, crc64, crc_text, has_keyed_etag
from backupstore.stores.s3.options import Storing
from backupstore.stores.s3.reading import head_of, stored_of, written_of

_WITH_CRC = {"x-amz-checksum-algorithm": "CRC64NVME", "x-amz-checksum-type": "FULL_OBJECT"}
_MD5 = re.compile(r"[0-9a-f]{32}")
_MD5_OF_PARTS = re.compile(r"[0-9a-f]{32}-[0-9]+")


class PartsUpload:
    """One object on its way."""

    def __init__(self, client: Client, storing: Storing, memory: Memory, key: str) -> None:
        self._client = client
        self._storing = storing
        self._memory = memory
        self._key = key
        self._id = ""
        self._with_crc = False  # the store checks it
        self._crc = 0  # of all bytes cut so far
        self._stop = threading.Event()

    def send(self, source: Source) -> StoredObject:
        """Send all of it. Conflict when the key is taken at the end; NoUpload when somebody gave the upload up."""
        with self._begun(), Share(self._memory) as share:
            return self._complete(source.size, self._send_all(source, share))

    @contextmanager
    def _begun(self) -> Iterator[None]:
        """An upload that is given up unless all goes well."""
        self._begin()
        done = False
        try:
            yield
            done = True
        finally:
            if not done:
                self._abort()

    def _begin(self) -> None:
        integrity = self._client.integrity

        def attempt() -> Answer:
            asked = {} if integrity.knows_crc is False else _WITH_CRC
            answer = self._client.once(self._ask("POST", {"uploads": ""}, {**self._storing.creating, **asked}))
            try:
                self._id = upload_id_of(answer.body)
            except Corrupt as error:
                raise Again(error, most=DAMAGED_TRIES) from error
            return answer

        answer = self._client.run(attempt)
        if integrity.knows_crc is None:
            integrity.learn("x-amz-checksum-algorithm" in answer.headers)
            if not integrity.knows_crc:  # should it only have kept silent, it would want a CRC at the end
                self._abort()
                self._begin()
        self._with_crc = bool(integrity.knows_crc)

    def _ask(self, method: str, query: Mapping[str, str], headers: Mapping[str, str], body: Body | None = None) -> Ask:
        return Ask(
            operation="upload",
            method=method,
            key=self._key,
            query=query,
            headers=headers,
            body=body or Body([]),
            whole=method == "POST",  # a document: a byte of it that flips is a wrong signature
            guard=self._guard if "partNumber" in query else None,
        )

    def _guard(self) -> None:
        """Raise when the upload has failed elsewhere."""
        if self._stop.is_set():
            raise Retryable(f"upload {self._key}: stopped", operation="upload", key=self._key)

    def _abort(self) -> None:
        """Best effort: what stays is swept later."""
        for _ in range(2):
            with suppress(Again, BackupError):
                self._client.once(self._ask("DELETE", {"uploadId": self._id}, {}))
                return

    def _send_all(self, source: Source, share: Share) -> list[SentPart]:
        most = self._storing.parts_at_once
        sent: list[SentPart] = []
        waiting: deque[Future[SentPart]] = deque()
        with ThreadPoolExecutor(most, thread_name_prefix="s3-part") as pool:
            try:
                for body in self._parts(source, share):
                    if len(waiting) >= most:
                        sent.append(waiting.popleft().result())
                    future = pool.submit(self._send, len(sent) + len(waiting) + 1, body)
                    future.add_done_callback(partial(_give_back, share, body.size))
                    waiting.append(future)
                    del body  # it must not live on in this frame while the next one is read
                sent += [future.result() for future in waiting]
            finally:
                self._stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
        return sent

    def _parts(self, source: Source, share: Share) -> Iterator[Body]:
        """Cut the source, memory taken for each part. Corrupt when it gives other than its size."""
        size = self._storing.part_size_for(source.size)
        left = source.size
        pieces: list[bytes] = []
        room, crc = 0, 0
        for chunk in source.chunks():
            self._crc = crc64(chunk, self._crc)
            while chunk:
                if not room:
                    room = min(size, left)
                    if not room:
                        raise wrong_size("upload", self._key, source.size)
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
            raise wrong_size("upload", self._key, source.size)

    def _send(self, number: int, body: Body) -> SentPart:
        query = {"partNumber": str(number), "uploadId": self._id}
        headers = {**self._storing.encryption.using, **self._client.integrity.headers(body)}
        ask = self._ask("PUT", query, headers, body)

        failed = False

        def attempt() -> SentPart:
            nonlocal failed
            self._guard()
            careful, failed = failed, True
            answer = self._client.once(replace(ask, careful=careful))
            if self._client.integrity.differs(answer.headers, body):
                raise Again(damaged_on_the_way("upload", self._key), most=DAMAGED_TRIES)
            return SentPart(number, answer.etag, body.size, body.crc if self._with_crc else None)

        return self._client.run(attempt)

    def _complete(self, size: int, parts: Sequence[SentPart]) -> StoredObject:
        headers = {"if-none-match": "*", **self._storing.encryption.using}
        if self._with_crc:
            headers |= {CRC_HEADER: crc_text(self._crc), "x-amz-checksum-type": "FULL_OBJECT"}
            headers["x-amz-mp-object-size"] = str(size)
        ask = self._ask("POST", {"uploadId": self._id}, headers, Body([completion(parts)]))
        unsure = False

        def attempt() -> StoredObject:
            nonlocal unsure
            try:
                answer = self._client.once(ask)
            except Again as again:
                unsure = unsure or again.unsure
                raise
            except (Unmet, faults.NoUpload) as error:
                if unsure and (ours := self._completed(size, parts)):
                    return ours
                raise (taken("upload", self._key) if isinstance(error, Unmet) else error) from error
            return self._completed_by(answer, size, parts)

        return self._client.run(attempt)

    def _completed_by(self, answer: Answer, size: int, parts: Sequence[SentPart]) -> StoredObject:
        """The object as the answer says it. Nothing protects that on its way: where it is odd, the object is asked."""
        crc: str | None
        try:
            document = parse(answer.body)
        except Corrupt:
            etag, crc = "", ""
        else:
            etag, crc = (document.findtext("ETag") or "").strip('"'), document.findtext("ChecksumCRC64NVME")
        is_it = self._is_it(parts, answer, etag, crc)
        if is_it is not False and (has_keyed_etag(answer.headers) or self._is_etag(parts, answer, etag)):
            return written_of(self._key, size, answer.headers, etag)
        if ours := self._completed(size, parts):
            return ours
        if is_it is False:
            raise damaged_on_the_way("upload", self._key)
        return written_of(self._key, size, answer.headers, etag)

    def _completed(self, size: int, parts: Sequence[SentPart]) -> StoredObject | None:
        try:
            answer = self._client.once(head_of("upload", self._key, self._storing))
        except NotFound:
            return None
        stored = stored_of(self._key, answer)
        same = self._is_it(parts, answer, answer.etag, answer.headers.get(CRC_HEADER))
        return stored if same and stored.size == size else None

    def _is_it(self, parts: Sequence[SentPart], answer: Answer, etag: str, crc: str | None) -> bool | None:
        """Whether an object is the one of these parts; None where nothing tells."""
        if crc is not None:
            return crc == crc_text(self._crc)
        return self._is_etag(parts, answer, etag)

    def _is_etag(self, parts: Sequence[SentPart], answer: Answer, etag: str) -> bool | None:
        """The same by the ETag alone."""
        if has_keyed_etag(answer.headers) or not _MD5_OF_PARTS.fullmatch(etag):
            return None
        if not all(_MD5.fullmatch(part.etag) for part in parts):
            return None
        digest = hashlib.md5(b"".join(bytes.fromhex(part.etag) for part in parts), usedforsecurity=False)
        return etag == f"{digest.hexdigest()}-{len(parts)}"


def _give_back(share: Share, size: int, _: Future[SentPart]) -> None:
    share.give_back(size)
