"""How objects are stored and moved, as the settings say it; the defaults are stock Medusa's."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

_MIB = 1 << 20
_SMALLEST_PART = 5 * _MIB
_MOST_PARTS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Encryption:
    """Encryption by the store: with a key of KMS, with one that goes with each request (SSE-C), or as the bucket says."""

    kms_id: str | None = None
    customer_key: str | None = None  # base64 of 32 bytes
    by_store: bool = False  # SSE-S3

    @property
    def creating(self) -> dict[str, str]:
        """Headers of the request that creates an object."""
        if self.kms_id:
            return {
                "x-amz-server-side-encryption": "aws:kms",
                "x-amz-server-side-encryption-aws-kms-key-id": self.kms_id,
            }
        if self.by_store:
            return {"x-amz-server-side-encryption": "AES256"}
        return self.using

    @property
    def using(self) -> dict[str, str]:
        """Headers of every request that reads an object or sends a part of it."""
        if not self.customer_key:
            return {}
        digest = hashlib.md5(base64.b64decode(self.customer_key), usedforsecurity=False).digest()
        before = "x-amz-server-side-encryption-customer-"
        return {
            f"{before}algorithm": "AES256",
            f"{before}key": self.customer_key,
            f"{before}key-md5": base64.b64encode(digest).decode(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Storing:
    """``threshold`` and ``part_size`` give the ETags that stock would compute; ``memory`` bounds each way's buffers."""

    storage_class: str | None = None
    encryption: Encryption = Encryption()
    threshold: int = 20 * _MIB
    part_size: int = 50 * _MIB
    parts_at_once: int = 4
    range_size: int = 8 * _MIB
    memory: int = 112 * _MIB

    @property
    def creating(self) -> dict[str, str]:
        """Headers of the request that creates an object."""
        named = {"x-amz-storage-class": self.storage_class} if self.storage_class else {}
        return {**named, **self.encryption.creating}

    def part_size_for(self, size: int) -> int:
        """As stock does it: no part below S3's minimum, doubled until there are not too many parts."""
        part = max(self.part_size, _SMALLEST_PART)
        while part * _MOST_PARTS < size:
            part *= 2
        return part
