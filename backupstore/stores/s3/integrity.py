"""How the store checks what arrives: CRC64NVME of whole objects, or Content-MD5 where a store does not know that.

The first write says both; its answer tells which one the store knows, and that is remembered. A store that knows
CRC64NVME says it back. MD5 costs fifty times as much, and is not computed for any other reason.
"""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from collections.abc import Callable, Iterable, Mapping

import awscrt.checksums as crt  # type: ignore[import-untyped]  # awscrt ships no types

CRC_HEADER = "x-amz-checksum-crc64nvme"

_MD5 = re.compile(r"[0-9a-f]{32}")
_CRC_BYTES = 8
_RUNNING: dict[str, tuple[Callable[[bytes, int], int], int]] = {
    CRC_HEADER: (crt.crc64nvme, _CRC_BYTES),
    "x-amz-checksum-crc32c": (crt.crc32c, 4),
    "x-amz-checksum-crc32": (zlib.crc32, 4),
}


def crc64(piece: bytes, before: int = 0) -> int:
    """CRC64NVME of what came before and this piece."""
    return int(crt.crc64nvme(piece, before))


def crc_text(crc: int) -> str:
    """As headers and XML have it."""
    return base64.b64encode(crc.to_bytes(_CRC_BYTES, "big")).decode()


class Body:
    """Bytes to send, in memory: one request's worth. They may be sent again, and are never joined."""

    def __init__(self, pieces: list[bytes], crc: int | None = None) -> None:
        self.pieces = pieces
        self.size = sum(map(len, pieces))
        self._crc = crc
        self._md5: bytes | None = None

    @property
    def crc(self) -> str:
        """CRC64NVME as text."""
        if self._crc is None:
            self._crc = 0
            for piece in self.pieces:
                self._crc = crc64(piece, self._crc)
        return crc_text(self._crc)

    @property
    def md5(self) -> bytes:
        """MD5, computed when it is first asked for."""
        if self._md5 is None:
            digest = hashlib.md5(usedforsecurity=False)
            for piece in self.pieces:
                digest.update(piece)
            self._md5 = digest.digest()
        return self._md5

    @property
    def sha256(self) -> str:
        """Sha256 in hex."""
        digest = hashlib.sha256()
        for piece in self.pieces:
            digest.update(piece)
        return digest.hexdigest()


class Integrity:
    """What is known of the store. ``knows_crc`` is None until the first answer to a write."""

    def __init__(self) -> None:
        self.knows_crc: bool | None = None

    def headers(self, body: Body) -> dict[str, str]:
        """What to say of the body, for the store to check."""
        said = {}
        if self.knows_crc is not False:
            said[CRC_HEADER] = body.crc
        if not self.knows_crc:
            said["content-md5"] = base64.b64encode(body.md5).decode()
        return said

    def learn(self, said_back: object) -> None:
        """The first answer decides."""
        if self.knows_crc is None:
            self.knows_crc = bool(said_back)

    def differs(self, headers: Mapping[str, str], body: Body) -> bool:
        """Whether the answer to a write shows that something else was stored than what was sent."""
        if CRC_HEADER in headers or (not self.knows_crc and is_md5_of_content(headers)):
            return not matches(headers, body)
        return False

    def doubts(self, code: str, message: str) -> bool:
        """Whether an error may mean that the store does not know CRC64NVME; then it is not asked for it again."""
        if self.knows_crc is not None or not (code == "NotImplemented" or "checksum" in message.lower()):
            return False
        self.knows_crc = False
        return True


def matches(headers: Mapping[str, str], body: Body) -> bool:
    """Whether the store says that its object is this body. False where it says nothing that could tell."""
    crc = headers.get(CRC_HEADER)
    if crc is not None:
        return crc == body.crc
    return is_md5_of_content(headers) and headers["etag"].strip('"') == body.md5.hex()


def is_md5_of_content(headers: Mapping[str, str]) -> bool:
    """Whether the ETag of an object in one piece is its MD5."""
    return not has_keyed_etag(headers) and _MD5.fullmatch(headers.get("etag", "").strip('"')) is not None


def has_keyed_etag(headers: Mapping[str, str]) -> bool:
    """Whether the store encrypts with a key from elsewhere: the ETag is no MD5 then, though it may look like one."""
    if headers.get("x-amz-server-side-encryption", "AES256") != "AES256":
        return True
    return "x-amz-server-side-encryption-customer-algorithm" in headers


class Expected:
    """The checksum of a whole object as the store reports it, to be compared with the bytes that came."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._compute: Callable[[bytes, int], int] | None = None
        self._crc = 0
        if headers.get("x-amz-checksum-type", "FULL_OBJECT") != "FULL_OBJECT":
            return
        for name, (compute, width) in _RUNNING.items():
            text = headers.get(name)
            if text and "-" not in text:
                self._compute, self._width, self._text = compute, width, text
                return

    def take(self, pieces: Iterable[bytes]) -> None:
        """Some more bytes, in order."""
        if self._compute is not None:
            for piece in pieces:
                self._crc = self._compute(piece, self._crc)

    def is_met(self) -> bool:
        """Whether the bytes were those; true as well where the store reports nothing to compare with."""
        if self._compute is None:
            return True
        return base64.b64encode(self._crc.to_bytes(self._width, "big")).decode() == self._text
