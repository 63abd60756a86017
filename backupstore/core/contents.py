"""The bytes of one component against what the manifest says of them, taken on the way: a restore and verify ask alike."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re

from backupstore.core.etag import etag_like
from backupstore.errors import Corrupt

_HEX = re.compile(r"[0-9a-fA-F]{32}")
_BASE64 = re.compile(r"[0-9A-Za-z+/]{22}==")
UNUSABLE = "This backup cannot be restored whole. Choose another one (list-backups), and run verify on this."
"""What to do about a component that is missing or damaged."""


class Check:
    """Takes the bytes of one object in order, and compares them with the manifest's size and digest.

    Ours is the sha256. Stock's manifests have the provider's MD5 only: in hex on S3, where that of an object in several
    parts is the MD5 of theirs, and that of one encrypted with a key from elsewhere is none, which the store has to say
    (``opaque``); in base64 on Google Cloud, nothing on a local bucket. Where there is none the size has to do.
    ``part_size``: also compute the digest of parts, which costs time, trying this many bytes for a part.
    """

    def __init__(
        self, key: str, *, size: int, sha256: str | None, md5: str | None, part_size: int | None = None
    ) -> None:
        self._key = key
        self._wanted_size = size
        self._wanted_sha = sha256
        self._size = 0
        self._sha = hashlib.sha256() if sha256 else None
        self._wanted_md5 = None if sha256 else plain_md5(md5)
        self._md5 = hashlib.md5(usedforsecurity=False) if self._wanted_md5 else None
        # Only the usual sizes of parts can be tried, so that another digest is no proof, and the same one is.
        self._parts = None if sha256 or part_size is None else etag_like(md5, size, part_size)
        self._wanted_etag = md5

    def take(self, piece: bytes) -> None:
        """Some more bytes. Corrupt as soon as there are too many."""
        self._size += len(piece)
        if self._size > self._wanted_size:
            raise self._bad(f"it is larger than the {self._wanted_size} bytes that the manifest says")
        for digest in (self._sha, self._md5, self._parts):
            if digest:
                digest.update(piece)

    def finish(self, *, opaque: bool = False) -> bool:
        """The end: whether a digest vouches for the bytes. Corrupt when they are not what was backed up."""
        if self._size != self._wanted_size:
            raise self._bad(f"it has {self._size} bytes and the manifest says {self._wanted_size}")
        if self._sha:
            if self._sha.hexdigest() != self._wanted_sha:
                raise self._bad("its content is not what was backed up (sha256)")
            return True
        if self._md5 and not opaque:
            if self._md5.digest() != self._wanted_md5:
                raise self._bad("its content is not what was backed up (MD5)")
            return True
        return self._parts is not None and not opaque and self._parts.hexdigest() == self._wanted_etag

    def _bad(self, why: str) -> Corrupt:
        return Corrupt(f"{self._key} is damaged: {why}.", hint=UNUSABLE, operation="download", key=self._key)


def plain_md5(text: str | None) -> bytes | None:
    """The MD5 that a provider's digest says; None where it says none, as for an object that was sent in parts."""
    if text and _HEX.fullmatch(text):
        return bytes.fromhex(text)
    if text and _BASE64.fullmatch(text):
        try:
            return base64.b64decode(text, validate=True)
        except binascii.Error:
            return None
    return None


def same_digest(first: str, second: str) -> bool:
    """Whether two digests of a provider say the same, be they in hex or in base64."""
    return first == second or (plain_md5(first) is not None and plain_md5(first) == plain_md5(second))
