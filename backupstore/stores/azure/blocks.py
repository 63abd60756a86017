"""One large blob, sent in blocks that become a blob by one last request, or nothing.

Azure compares each block with the MD5 that comes with it. That of the whole is ours: it is stored with the blob, where
whoever downloads it finds it. The blocks of an upload have names of their own, so that two uploads to one key never mix;
those of one that did not end are seen by nobody, and dropped after a week.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence

from backupstore.ports import Source
from backupstore.stores.answers import wrong_size
from backupstore.stores.azure.client import Ask, Client
from backupstore.stores.azure.documents import block_list


class BlockUpload:
    """One upload. Blocks are sent one after the other: many blobs are on their way at once."""

    def __init__(self, client: Client, operation: str, key: str, size: int, block: int) -> None:
        self._client = client
        self._operation = operation
        self._key = key
        self._size = size
        self._block = block
        self._path = client.place.object(key)
        self._name = secrets.token_hex(8)
        self._ids: list[str] = []
        self._digest = ""

    def send(self, source: Source) -> str:
        """All of the source; the MD5 of it. Corrupt when it gives other than its size; what it raises passes through."""
        md5 = hashlib.md5(usedforsecurity=False)
        for pieces in self._cut(source):
            of_block = hashlib.md5(usedforsecurity=False)
            for piece in pieces:
                md5.update(piece)
                of_block.update(piece)
            self._client.send(self._ask(pieces, base64.b64encode(of_block.digest()).decode()))
        self._digest = base64.b64encode(md5.digest()).decode()
        return self._digest

    def commit(self, headers: Mapping[str, str]) -> Ask:
        """The request that makes them a blob."""
        body = block_list(self._ids)
        md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        described = {"x-ms-blob-content-md5": self._digest, "x-ms-blob-content-type": "application/octet-stream"}
        return Ask(
            operation=self._operation,
            method="PUT",
            path=self._path,
            query={"comp": "blocklist"},
            headers={**described, "content-md5": md5, "content-type": "text/plain; charset=UTF-8", **headers},
            body=(body,),
            writes=self._key,
        )

    def _cut(self, source: Source) -> Iterator[list[bytes]]:
        """Blocks; the last one when the source has shown that it ends there."""
        pieces: list[bytes] = []
        held = total = 0
        for chunk in source.chunks():
            total += len(chunk)
            if total > self._size:
                raise wrong_size(self._operation, self._key, self._size)
            rest = chunk
            while held + len(rest) > self._block:
                part, rest = rest[: self._block - held], rest[self._block - held :]
                yield [*pieces, part]
                pieces, held = [], 0
            pieces.append(rest)
            held += len(rest)
        if total != self._size:
            raise wrong_size(self._operation, self._key, self._size)
        yield pieces

    def _ask(self, pieces: Sequence[bytes], md5: str) -> Ask:
        id_ = base64.b64encode(f"{self._name}-{len(self._ids):05}".encode()).decode()
        self._ids.append(id_)
        return Ask(
            operation=self._operation,
            method="PUT",
            path=self._path,
            query={"comp": "block", "blockid": id_},
            headers={"content-md5": md5},
            body=tuple(pieces),
            writes=self._key,
        )
