"""Node backups made by hand: byte for byte what our shipper leaves in a bucket, without a node to ship from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from backupstore.core import layout as grammar
from backupstore.core import tokenmap
from backupstore.core.documents import Abandoned, Announcement, Attempt, Mode, encode
from backupstore.core.keys import Announced, DataKey
from backupstore.core.layout import Layout
from backupstore.core.tokenmap import RingMember
from backupstore.ports import ObjectStore
from tests.attempts import attempt_of

KEYSPACE, TABLE = "shop", "orders-5a1c395e5a1c395e5a1c395e5a1c395e"
FILES: Mapping[str, bytes] = {"nb-1-big-Data.db": b"data", "nb-1-big-Index.db": b"index!"}
RING = {"n1": "dc1"}


@dataclass(frozen=True)
class Made:
    """How a node backup shall be. ``end``: how far it came; ``corrupt``: files marked so; ``elsewhere``: under data-v."""

    node: str = "n1"
    mode: Mode = "differential"
    ring: Mapping[str, str] = field(default_factory=lambda: RING)
    files: Mapping[str, bytes] = field(default_factory=lambda: FILES)
    elsewhere: frozenset[str] = frozenset()
    corrupt: frozenset[str] = frozenset()
    tables: tuple[str, ...] = ()
    end: str = "finished"
    by_stock: bool = False
    abandoned: bool = False


@dataclass(frozen=True)
class Maker:
    """Writes node backups of one cluster, create-only, in the order of the protocol."""

    store: ObjectStore
    layout: Layout

    def ship(self, backup: str, made: Made | None = None) -> None:
        """One node backup, from its intent to its last word."""
        made = made or Made()
        self.begin(backup, made)
        if made.end == "finished":
            self.finish(backup, made)
        if made.abandoned:
            self._create(made, backup, grammar.ABANDONED, encode(_abandoned(backup, made)))

    def begin(self, backup: str, made: Made) -> None:
        """Everything before the data."""
        self._create(made, backup, grammar.SCHEMA, b"CREATE KEYSPACE shop;")
        if not made.by_stock:
            self._create(made, backup, "attempt-1.json", encode(_attempt(backup, made)))
        self._create(made, backup, grammar.TOKENMAP, _tokenmap(made))
        version = {"server_type": "cassandra", "release_version": "5.0.6"}
        self._create(made, backup, grammar.SERVER_VERSION, json.dumps(version).encode())
        if made.mode == "differential":
            self._create(made, backup, grammar.DIFFERENTIAL, b"differential")
        self._announce(made, backup, "started")

    def finish(self, backup: str, made: Made) -> None:
        """The data, the manifest, and the last word."""
        objects = [self._put(made, backup, name, body) for name, body in made.files.items()]
        sections = [{"keyspace": KEYSPACE, "columnfamily": TABLE, "objects": objects}]
        self._create(made, backup, grammar.MANIFEST, json.dumps(sections).encode())
        self._announce(made, backup, "finished")

    def _put(self, made: Made, backup: str, name: str, body: bytes) -> dict[str, Any]:
        digest = sha256(body).hexdigest()
        version = digest if name in made.elsewhere else None
        whole = backup if made.mode == "full" else None
        key = self.layout.data(DataKey(made.node, KEYSPACE, TABLE, name, None, whole, version))
        if not any(held.key == key for held in self.store.list(key.rpartition("/")[0] + "/")):
            self.store.create(key, body)
        entry: dict[str, Any] = {"path": key, "MD5": None, "size": len(body), "sha256": digest}
        return {**entry, "corrupt": "its crc32 is another one"} if name in made.corrupt else entry

    def _create(self, made: Made, backup: str, file: str, body: bytes) -> None:
        self.store.create(self.layout.meta(made.node, backup, file), body)

    def _announce(self, made: Made, backup: str, what: Announced) -> None:
        if not made.by_stock:
            key = self.layout.announced(made.node, backup, what)
            self.store.create(key, encode(Announcement(attempt=1, at=1.0)))


def _attempt(backup: str, made: Made) -> Attempt:
    return attempt_of(made.node, backup, mode=made.mode, tables=made.tables)


def _abandoned(backup: str, made: Made) -> Abandoned:
    return Abandoned(node=made.node, backup=backup, by="later", at=1.0)


def _tokenmap(made: Made) -> bytes:
    ring = {
        name: RingMember(tokens=(number, number + 100), rack="r1", dc=dc, is_up=True)
        for number, (name, dc) in enumerate(made.ring.items())
    }
    return tokenmap.encode(ring)
