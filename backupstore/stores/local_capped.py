"""The local store with a cap on bandwidth: a bucket on a mount shares its network with Cassandra."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from backupstore.ports import Sink, Source, StoredObject
from backupstore.stores.bandwidth import Bandwidth
from backupstore.stores.local import LocalStore


class CappedLocalStore(LocalStore):
    """Data goes up and down in pieces, each when its time has come. Documents are small and do not wait."""

    def __init__(self, base: Path, bandwidth: Bandwidth) -> None:
        super().__init__(base)
        self._bandwidth = bandwidth

    def upload(self, key: str, source: Source) -> StoredObject:
        """Create an object of any size."""
        return super().upload(key, _Paced(source, self._bandwidth))

    def fetch(self, key: str, sink: Sink) -> StoredObject:
        """Stream the object into ``sink``."""
        bandwidth = self._bandwidth

        def paced(piece: bytes) -> None:
            for part in _parts(piece, bandwidth.piece):
                bandwidth.down.take(len(part))
                sink(part)

        return super().fetch(key, paced)


class _Paced:
    """``ports.Source`` over another one."""

    def __init__(self, source: Source, bandwidth: Bandwidth) -> None:
        self._source = source
        self._bandwidth = bandwidth

    @property
    def size(self) -> int:
        """That of the other one."""
        return self._source.size

    def chunks(self) -> Iterator[bytes]:
        """The same bytes in smaller pieces."""
        for chunk in self._source.chunks():
            for part in _parts(chunk, self._bandwidth.piece):
                self._bandwidth.up.take(len(part))
                yield part


def _parts(piece: bytes, most: int) -> Iterator[bytes]:
    if len(piece) <= most:
        yield piece
        return
    view = memoryview(piece)
    for start in range(0, len(view), most):
        yield bytes(view[start : start + most])
