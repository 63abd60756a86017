"""A ring of nodes with SSTables as Cassandra writes them, backed up into a bucket in memory, that tests then damage."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import md5, sha256
from pathlib import Path
from typing import Any

from backupstore.core import layout as grammar
from backupstore.core import tokenmap
from backupstore.core.documents import Attempt, Mode, encode
from backupstore.core.keys import DataKey
from backupstore.core.layout import Layout
from backupstore.core.tokenmap import RingMember
from backupstore.ports import ObjectStore
from backupstore.stores.local import LocalStore
from backupstore.stores.memory import MemoryBucket
from tests.attempts import attempt_of
from tests.sstables import bodies

KEYSPACE, TABLE = "shop", "orders-5a1c395e5a1c395e5a1c395e5a1c395e"
PARTS = ("Data.db", "Digest.crc32", "Filter.db", "Statistics.db", "CompressionInfo.db", "Index.db", "Summary.db")
NODES = ("n1", "n2", "n3")
SCHEMA = "CREATE KEYSPACE shop WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': '%d'};"


@dataclass
class Ring:
    """Three nodes of one datacenter. ``factor``: replicas of the keyspace; ``by_stock``: without anything of ours."""

    layout: Layout = field(default_factory=lambda: Layout("p"))
    factor: int = 2
    by_stock: bool = False
    sstables: int = 3
    bucket: MemoryBucket = field(default_factory=MemoryBucket)
    content: dict[str, bytes] = field(default_factory=dict)

    @property
    def store(self) -> ObjectStore:
        return self.bucket.open(None)

    def back_up(self, name: str, mode: Mode = "differential", nodes: tuple[str, ...] = NODES) -> None:
        for node in nodes:
            self.begin(node, name, mode)
            self.finish(node, name, mode)

    def begin(self, node: str, name: str, mode: Mode = "differential") -> None:
        meta = {grammar.SCHEMA: (SCHEMA % self.factor).encode(), grammar.TOKENMAP: tokenmap.encode(self.members())}
        if mode == "differential":
            meta[grammar.DIFFERENTIAL] = b"differential"
        if not self.by_stock:
            meta["attempt-1.json"] = encode(_attempt(node, name, mode))
        for file, body in meta.items():
            self.store.create(self.layout.meta(node, name, file), body)

    def finish(self, node: str, name: str, mode: Mode = "differential") -> None:
        objects = [
            self._ship(DataKey(node, KEYSPACE, TABLE, file, None, name if mode == "full" else None), body)
            for file, body in self.files(node).items()
        ]
        self.commit(node, name, objects)

    def commit(self, node: str, name: str, objects: list[dict[str, Any]]) -> None:
        sections = [{"keyspace": KEYSPACE, "columnfamily": TABLE, "objects": objects}]
        self.store.put(self.layout.meta(node, name, grammar.MANIFEST), json.dumps(sections).encode())

    def objects(self, node: str, name: str) -> list[dict[str, Any]]:
        """What a manifest names."""
        found = json.loads(self.store.read(self.layout.meta(node, name, grammar.MANIFEST)).body)
        return list(found[0]["objects"])

    def files(self, node: str) -> dict[str, bytes]:
        """What is on that node."""
        chance = random.Random(node)
        return {
            f"nb-{number}-big-{part}": body
            for number in range(1, self.sstables + 1)
            for part, body in bodies(PARTS, chance).items()
        }

    def members(self) -> Mapping[str, RingMember]:
        return {
            node: RingMember((at, at + 100), rack="r1", dc="dc1", is_up=True) for at, node in enumerate(NODES, start=1)
        }

    def key(self, node: str, file: str, backup: str | None = None) -> str:
        return self.layout.data(DataKey(node, KEYSPACE, TABLE, file, None, backup))

    def _ship(self, data: DataKey, body: bytes) -> dict[str, Any]:
        key = self.layout.data(data)
        self.store.put(key, body)
        digest = md5(body, usedforsecurity=False).hexdigest()
        entry: dict[str, Any] = {"path": key, "MD5": digest, "size": len(body)}
        return entry if self.by_stock else {**entry, "sha256": sha256(body).hexdigest()}


class LocalRing(Ring):
    """In a bucket on local disk, where manifests have no digests of the provider's."""

    def __init__(self, folder: Path, *, factor: int = 2) -> None:
        super().__init__(Layout(), factor=factor)
        self._local = LocalStore(folder)

    @property
    def store(self) -> ObjectStore:
        return self._local

    def commit(self, node: str, name: str, objects: list[dict[str, Any]]) -> None:
        super().commit(node, name, [{**each, "MD5": None} for each in objects])


def _attempt(node: str, name: str, mode: Mode) -> Attempt:
    return attempt_of(node, name, mode=mode)
