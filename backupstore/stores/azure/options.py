"""How blobs are stored and moved, as the settings say it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_MIB = 1 << 20
_MOST_BLOCKS = 50_000  # Azure takes no more in one blob


@dataclass(frozen=True, slots=True, kw_only=True)
class Storing:
    """``tier``: Hot, Cool or Cold. ``block``: bytes that one request carries; ``memory`` bounds what waits to be sent."""

    tier: str | None = None
    block: int = 8 * _MIB
    memory: int = 112 * _MIB

    @property
    def headers(self) -> Mapping[str, str]:
        """What a new blob is described with."""
        return {"x-ms-access-tier": self.tier} if self.tier else {}

    def block_for(self, size: int) -> int:
        """How large the blocks of a blob of this size are, so that there are not too many of them."""
        return max(self.block, -(-size // _MOST_BLOCKS))
