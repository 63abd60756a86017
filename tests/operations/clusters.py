"""Cluster backups of any ring, as our shippers leave them in a bucket: enough of each node backup to plan a restore by."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from backupstore.core import layout as grammar
from backupstore.core import tokenmap
from backupstore.core.documents import Attempt, RingNode, encode
from backupstore.core.layout import Layout
from backupstore.core.pairing import Seat
from backupstore.core.tokenmap import RingMember
from backupstore.core.topology import Ring
from backupstore.ports import ObjectStore
from tests.attempts import attempt_of

SCHEMA = "CREATE KEYSPACE shop WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': '3'};"


@dataclass(frozen=True, kw_only=True)
class Shipped:
    """How a cluster backup shall be. ``only``: the nodes that have one; ``sizes``: bytes that manifests name."""

    ring: Ring
    only: Collection[str] | None = None
    unfinished: Collection[str] = ()
    corrupt: Collection[str] = ()
    tables: tuple[str, ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    by_stock: bool = False
    described: str = ""


def ship_cluster(store: ObjectStore, layout: Layout, backup: str, shipped: Shipped) -> None:
    """Every node backup, create-only, in the order of the names."""
    for seat in sorted(shipped.ring.seats, key=lambda each: each.name):
        if shipped.only is None or seat.name in shipped.only:
            _ship(store, layout, backup, shipped, seat)


def _ship(store: ObjectStore, layout: Layout, backup: str, shipped: Shipped, seat: Seat) -> None:
    def create(file: str, body: bytes) -> None:
        store.create(layout.meta(seat.name, backup, file), body)

    create(grammar.SCHEMA, (shipped.described or SCHEMA).encode())
    if not shipped.by_stock:
        create("attempt-1.json", encode(_attempt(backup, shipped, seat)))
        create(grammar.DESCRIBE, (shipped.described or SCHEMA).encode())
    here = [each for each in shipped.ring.seats if each.dc == seat.dc]
    members = {each.name: RingMember(each.tokens, each.rack, each.dc, is_up=True) for each in here}
    create(grammar.TOKENMAP, tokenmap.encode(members))
    create(grammar.SERVER_VERSION, json.dumps({"server_type": "cassandra", "release_version": "5.0.6"}).encode())
    if seat.name not in shipped.unfinished:
        create(grammar.MANIFEST, json.dumps([_section(layout, backup, shipped, seat)]).encode())


def _attempt(backup: str, shipped: Shipped, seat: Seat) -> Attempt:
    ring = tuple(RingNode(name=s.name, host_id=s.host_id, dc=s.dc, rack=s.rack) for s in shipped.ring.seats)
    cluster = shipped.ring.cluster or "c"
    return attempt_of(seat.name, backup, host_id=seat.host_id, ring=ring, tables=shipped.tables, cluster=cluster)


def _section(layout: Layout, backup: str, shipped: Shipped, seat: Seat) -> dict[str, object]:
    path = f"{layout.full_data(seat.name, backup)}shop/orders-{'5a1c' * 8}/nb-1-big-Data.db"
    size = shipped.sizes.get(seat.name, 100)
    entry = {"path": path, "MD5": None, "size": size, "sha256": sha256(path.encode()).hexdigest()}
    if seat.name in shipped.corrupt:
        entry["corrupt"] = "its crc32 is another one"
    return {"keyspace": "shop", "columnfamily": f"orders-{'5a1c' * 8}", "objects": [entry]}
