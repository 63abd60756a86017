"""How objects are stored and moved, as the settings say it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Storing:
    """``piece``: bytes that one request carries, a multiple of 256 KiB; ``memory`` bounds what waits to be sent."""

    storage_class: str | None = None
    kms_key: str | None = None
    piece: int = 8 * _MIB
    memory: int = 112 * _MIB

    @property
    def metadata(self) -> Mapping[str, str]:
        """What a new object is described with."""
        named = {"storageClass": self.storage_class} if self.storage_class else {}
        return {"contentType": "application/octet-stream", **named}

    @property
    def query(self) -> Mapping[str, str]:
        """What stands in the URL of a request that writes an object."""
        return {"kmsKeyName": self.kms_key} if self.kms_key else {}
