"""Reading what lies in the bucket about backups: our own documents, and manifests piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from backupstore.core import layout as grammar
from backupstore.core.documents import Own, decode
from backupstore.core.layout import Layout
from backupstore.core.manifest import Item, ManifestReader
from backupstore.errors import NotFound
from backupstore.ports import ObjectStore

D = TypeVar("D", bound=Own)
_MOST_BYTES = 64 << 20


def read_own(store: ObjectStore, kind: type[D], key: str, *, limit: int = _MOST_BYTES) -> D | None:
    """One of our documents; None when it is not there. Corrupt when it cannot be read, or is larger than ``limit`` bytes."""
    try:
        return decode(kind, store.read(key, limit=limit).body, key)
    except NotFound:
        return None


def stream_manifest(
    store: ObjectStore, layout: Layout, node: str, backup: str, take: Callable[[Sequence[Item]], None]
) -> None:
    """Hand a manifest of any length to ``take``, some items at a time. NotFound; Corrupt, at the first thing that is wrong."""
    key = layout.meta(node, backup, grammar.MANIFEST)
    reader = ManifestReader(key)
    store.fetch(key, lambda piece: take(reader.feed(piece)))
    take(reader.finish())
