"""Bytes in memory as a ``ports.Source``, so that a small object goes the same way as a large one."""

from __future__ import annotations

from collections.abc import Iterator

_PIECE = 1 << 20


class BytesSource:
    """``ports.Source`` over bytes."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    @property
    def size(self) -> int:
        """Number of bytes."""
        return len(self._body)

    def chunks(self) -> Iterator[bytes]:
        """Start a new pass."""
        view = memoryview(self._body)
        return (bytes(view[start : start + _PIECE]) for start in range(0, len(view), _PIECE))
