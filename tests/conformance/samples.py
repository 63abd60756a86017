"""Bytes for the contract's tests: sources that keep their promise, and sources that break it."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass

from backupstore.ports import ObjectStore

MIB = 1 << 20

HOSTILE_KEYS = [
    "",
    "/",
    "/etc/passwd",
    "../up",
    "a/../../up",
    "a/..",
    "a/./b",
    "a//b",
    "a/",
    "..",
    ".",
    "a\0b",
    "a\ud800b",
]

UNUSUAL_KEYS = [
    "plus+equals=colon:comma,.db",
    "me-1-big-SAI+ca+Meta.db",
    "a file with spaces",
    "percent%2Fsign",
    "quote'and\"quote",
    "question?and#hash&",
    "..two-dots-and-more",
    ".index_idx/me-1-big-Data.db",
    "Größe-日本-🗝",
    "tilde~(brackets)[1]{2}",
]


class BrokenSourceError(Exception):
    """What a source raises in the middle, such as a disk that fails."""


@dataclass(frozen=True)
class Pattern:
    """A source of random-looking bytes: ``promised`` is what it says, ``given`` what it gives, then it may break."""

    promised: int
    given: int
    breaks: bool = False

    @property
    def size(self) -> int:
        return self.promised

    def chunks(self) -> Iterator[bytes]:
        chance = random.Random(self.given)
        for start in range(0, self.given, MIB):
            yield chance.randbytes(min(MIB, self.given - start))
        if self.breaks:
            raise BrokenSourceError

    @property
    def sha256(self) -> str:
        digest = hashlib.sha256()
        for chunk in self.chunks():
            digest.update(chunk)
        return digest.hexdigest()


def whole(size: int) -> Pattern:
    """A source that keeps its promise."""
    return Pattern(size, size)


def fetched_sha256(store: ObjectStore, key: str) -> str:
    """The sha256 of what a download gives."""
    digest = hashlib.sha256()
    store.fetch(key, digest.update)
    return digest.hexdigest()


def keys_below(store: ObjectStore, folder: str) -> list[str]:
    """All keys of a listing, in its order."""
    return [stored.key for stored in store.list(folder)]
