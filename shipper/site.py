"""What every verb of the node works with: bucket, node beside us, our name in the bucket, our memory, the clock."""

from __future__ import annotations

from dataclasses import dataclass

from backupstore.core.layout import Layout
from backupstore.ports import Clock, ObjectStore
from shipper.cassandra.port import CassandraNode
from shipper.state import StateDirectory


@dataclass(frozen=True, slots=True)
class Site:
    """``name`` is the node's name in keys (F); ``bucket`` names store, bucket and prefix: memories must not mix.

    ``cached_mount``: what others write to the bucket may be seen late here.
    """

    store: ObjectStore
    layout: Layout
    cassandra: CassandraNode
    name: str
    state: StateDirectory
    clock: Clock
    bucket: str
    cached_mount: bool = False
