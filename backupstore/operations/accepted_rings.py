"""Rings that an operator accepted: "from this backup on, these are all nodes". Retention goes on from there."""

from __future__ import annotations

from backupstore.core.documents import encode
from backupstore.core.layout import Layout
from backupstore.core.purge_records import AcceptedRing
from backupstore.errors import Conflict
from backupstore.operations.documents import read_own
from backupstore.ports import ObjectStore


def read_accepted(store: ObjectStore, layout: Layout) -> tuple[AcceptedRing, ...]:
    """All of them. Corrupt when one cannot be read: what counts would be judged by a wrong ring."""
    found = (read_own(store, AcceptedRing, stored.key) for stored in store.list(layout.accepted_rings()))
    return tuple(ring for ring in found if ring)


def accept_ring(store: ObjectStore, layout: Layout, ring: AcceptedRing) -> bool:
    """Write it down; False when it was accepted before."""
    try:
        store.create(layout.accepted_ring(ring.backup), encode(ring))
    except Conflict:
        return False
    return True
