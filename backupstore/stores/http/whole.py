"""Small objects, which are taken whole into memory."""

from __future__ import annotations

from collections.abc import Iterator

from backupstore.stores.answers import too_large
from backupstore.stores.http.client import Taker
from backupstore.stores.http.head import Head


def taker_of(pieces: list[bytes], key: str, limit: int) -> Taker:
    """Puts the body of the last answer into ``pieces``, and raises Corrupt when it is longer than ``limit`` bytes."""

    def take(head: Head, body: Iterator[bytes]) -> None:
        pieces.clear()
        left = limit
        if int(head.headers.get("content-length", 0)) > limit:
            raise too_large(key, limit)
        for piece in body:
            left -= len(piece)
            if left < 0:
                raise too_large(key, limit)
            pieces.append(piece)

    return take
