"""Reading the condemned documents of a node: what purge is about to delete, or may have deleted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from backupstore.core.documents import Condemned
from backupstore.core.layout import Layout
from backupstore.errors import Corrupt
from backupstore.operations.documents import read_own
from backupstore.ports import ObjectStore, StoredObject


class Listed(NamedTuple):
    """A document that was listed, by the name under which attempts say that they have seen it."""

    name: str
    stored: StoredObject


def list_condemned(store: ObjectStore, layout: Layout, node: str) -> Iterator[Listed]:
    """The documents of a node, without reading them."""
    folder = layout.condemned(node)
    for stored in store.list(folder):
        yield Listed(stored.key.removeprefix(folder).removesuffix(".json"), stored)


def all_condemned(store: ObjectStore, layout: Layout) -> Iterator[tuple[str, str, Condemned]]:
    """The documents of all nodes, each with the node in whose folder it lies, and its name. Corrupt when unreadable."""
    folder = layout.all_condemned()
    for child in store.entries(folder).folders:
        node = child[len(folder) : -1]
        for name, stored in list_condemned(store, layout, node):
            document = read_document(store, stored.key)
            if document is not None:
                yield node, name, document


def read_document(store: ObjectStore, key: str) -> Condemned | None:
    """One of them. None when it was dropped after it was listed, which is long after anybody may act on it.

    Corrupt when it cannot be read: then nobody knows what may not be relied on.
    """
    try:
        return read_own(store, Condemned, key)
    except Corrupt as error:
        raise Corrupt(
            error.message,
            hint="Only purge writes there, and what it says must not be used cannot be told from the rest now."
            " Find out who wrote this, and delete it when no purge runs.",
            operation="read",
            key=key,
        ) from error
