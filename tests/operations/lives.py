"""A bucket's life, act by act: nodes that back up with our shipper or with stock, fail, give up, and have theirs deleted.

Each act is one object written or removed, as the program that does it would, and leaves one event in ``pool``. Acts of
one node come in order, those of different nodes mixed, and the end may be in the middle of anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from random import Random

from backupstore.core import layout as grammar
from backupstore.core.documents import Abandoned, Announcement, Mode, encode
from backupstore.core.events import Kind, ObjectEvent
from backupstore.core.key_parsing import parse_in
from backupstore.core.keys import Announced, RowKey
from backupstore.core.layout import Layout
from backupstore.core.writers import Principal
from backupstore.stores.memory import MemoryBucket
from tests.attempts import attempt_of

DATACENTERS = {"a1": "dc1", "a2": "dc1", "b1": "dc2"}
BACKUPS = ("n1", "n10", "n2")
VERSION = b'{"server_type": "cassandra", "release_version": "5.0.6"}'
Acts = Iterator[ObjectEvent]
"""What a node does, one object after the other."""


def tokenmap(names: dict[str, str]) -> bytes:
    return json.dumps(
        {name: {"tokens": [7], "is_up": True, "rack": "r1", "dc": dc} for name, dc in names.items()}
    ).encode()


def manifest(folder: str, *, corrupt: bool = False) -> bytes:
    entry = {"path": f"{folder}ks/t/nb-1-big-Data.db", "MD5": None, "size": 7}
    objects = [{**entry, "corrupt": "bit rot"} if corrupt else entry]
    return json.dumps([{"keyspace": "ks", "columnfamily": "t", "objects": objects}]).encode()


class World:
    """The bucket and the nodes. ``markers``: whether stock writes its own marker, which has no event of its own."""

    def __init__(self, random: Random, layout: Layout, *, acts: int, markers: bool) -> None:
        self.bucket = MemoryBucket()
        self.layout = layout
        self.pool: list[ObjectEvent] = []
        self._random = random
        self._markers = markers
        self._acts = acts
        self._stock = self.bucket.open(None)
        self._shippers = {node: self.bucket.open(Principal.SHIPPER, layout, node) for node in DATACENTERS}
        self._lives = [self._life(node) for node in DATACENTERS]

    @property
    def over(self) -> bool:
        return self._acts <= 0

    def act(self) -> None:
        """One act of one node; nothing when all is over."""
        if not self.over:
            next(self._random.choice(self._lives))
            self._acts -= 1

    # --- what a node does, one after the other ---

    def _life(self, node: str) -> Acts:
        held: dict[str, str] = {}
        backup = BACKUPS[0]
        while True:
            backup = self._random.choice((*BACKUPS, backup, backup))
            if backup not in held:
                held[backup] = writer = self._random.choice(("shipper", "stock"))
                work = self._ship(node, backup) if writer == "shipper" else self._stock_backup(node, backup)
                # Many die on the way; one that dies at once and is deleted leaves the bucket as it was before.
                yield from islice(work, self._random.choice((1, 2, 4, 8, None, None, None)))
            elif self._random.random() < 0.6:
                yield from self._delete(node, backup, by_stock=held.pop(backup) == "stock")
            else:
                yield from self._remove_rows(node, backup)

    def _ship(self, node: str, backup: str) -> Acts:
        random, at = self._random, self.layout
        mode: Mode = random.choice(("full", "differential"))
        yield from self._create(node, at.meta(node, backup, grammar.SCHEMA), b"schema")
        attempts = random.choice((1, 1, 2))
        for number in range(1, attempts + 1):
            yield from self._create(node, at.attempt(node, backup, number), self._attempt(node, backup, number, mode))
        yield from self._create(node, at.meta(node, backup, grammar.TOKENMAP), self._tokenmap(node))
        if mode == "differential":
            yield from self._create(node, at.meta(node, backup, grammar.DIFFERENTIAL), b"differential")
        yield from self._announce(node, backup, "started")
        if random.random() < 0.2:
            given_up = Abandoned(node=node, backup=backup, by="later", at=1.0)
            yield from self._create(node, at.meta(node, backup, grammar.ABANDONED), encode(given_up))
        if random.random() < 0.8:
            yield from self._create(node, at.meta(node, backup, grammar.MANIFEST), self._manifest(node, backup, mode))
            yield from self._announce(node, backup, "finished")

    def _stock_backup(self, node: str, backup: str) -> Acts:
        at = self.layout
        mode: Mode = self._random.choice(("full", "differential"))
        body = self._tokenmap(node)
        started = self._stock.put(at.meta(node, backup, grammar.SCHEMA), b"schema").modified
        yield self._tell("created", at.meta(node, backup, grammar.SCHEMA))
        yield from self._put(at.meta(node, backup, grammar.TOKENMAP), body)
        yield from self._put(at.meta(node, backup, grammar.SERVER_VERSION), VERSION)
        if mode == "differential":
            yield from self._put(at.meta(node, backup, grammar.DIFFERENTIAL), b"differential")
        yield from self._put(at.row(RowKey(backup, "tokenmap", node)), body)
        yield from self._put(at.row(RowKey(backup, "schema", node)), b"schema")
        yield from self._put(at.row(RowKey(backup, "started", node, int(started))), b"1")
        if mode == "differential":
            yield from self._put(at.row(RowKey(backup, "differential", node)), b"differential")
        if self._random.random() < 0.8:
            yield from self._stock_finish(node, backup, mode, body)

    def _stock_finish(self, node: str, backup: str, mode: Mode, body: bytes) -> Acts:
        at = self.layout
        names = self._manifest(node, backup, mode)
        finished = self._stock.put(at.meta(node, backup, grammar.MANIFEST), names).modified
        yield self._tell("created", at.meta(node, backup, grammar.MANIFEST))
        yield from self._put(at.row(RowKey(backup, "manifest", node)), names)
        yield from self._put(at.row(RowKey(backup, "finished", node, int(finished))), b"1")
        if self._markers:
            yield from self._put(at.latest(node, grammar.TOKENMAP), body)
            yield from self._put(at.latest(node, grammar.BACKUP_NAME), backup.encode())

    def _delete(self, node: str, backup: str, *, by_stock: bool) -> Acts:
        """Stock removes in the order of keys and its rows last, purge the rows first and the schema last; or half."""
        meta = [found.key for found in self._stock.list(self.layout.meta_folder(node, backup))]
        rows = self._rows(node, backup)
        if by_stock:
            keys = [*meta, *(rows if self._random.random() < 0.7 else ())]
        else:
            schema = self.layout.meta(node, backup, grammar.SCHEMA)
            keys = [*rows, *(key for key in meta if key != schema), schema]
        for key in keys:
            yield from self._remove(key)

    def _remove_rows(self, node: str, backup: str) -> Acts:
        """As stock's list does with rows that it takes for dangling."""
        rows = self._rows(node, backup)
        for key in rows:
            yield from self._remove(key)
        if not rows:
            yield self._tell("created", self.layout.meta(node, backup, grammar.SCHEMA))

    # --- bodies, good and bad ---

    def _attempt(self, node: str, backup: str, number: int, mode: Mode) -> bytes:
        if self._random.random() < 0.05:
            return b"{"
        attempt = attempt_of(
            node, backup, attempt=number, mode=mode, tables=("ks.t",) if self._random.random() < 0.1 else ()
        )
        return encode(attempt)

    def _tokenmap(self, node: str) -> bytes:
        dc = DATACENTERS[node]
        names = {name: where for name, where in DATACENTERS.items() if where == dc}
        other = {name: where for name, where in names.items() if name != node}
        return self._random.choice(
            [tokenmap(names)] * 8 + [tokenmap({**names, "a3": dc}), tokenmap(other), tokenmap({}), b""]
        )

    def _manifest(self, node: str, backup: str, mode: Mode) -> bytes:
        at = self.layout
        folder = at.full_data(node, backup) if mode == "full" else at.shared_data(node)
        good = [manifest(folder)] * 8
        return self._random.choice([*good, manifest(folder, corrupt=True), manifest(at.shared_data("x")), b"[]", b"["])

    # --- acts ---

    def _rows(self, node: str, backup: str) -> list[str]:
        found = (stored.key for stored in self._stock.list(self.layout.rows(backup)))
        return [key for key in found if getattr(parse_in(self.layout, key), "node", None) == node]

    def _announce(self, node: str, backup: str, what: Announced) -> Acts:
        key = self.layout.announced(node, backup, what)
        self._stock.delete([key])  # a name that is used again; purge takes announcements away
        yield from self._create(node, key, encode(Announcement(attempt=1, at=1.0)))

    def _create(self, node: str, key: str, body: bytes) -> Acts:
        self._shippers[node].create(key, body)
        yield self._tell("created", key)

    def _put(self, key: str, body: bytes) -> Acts:
        self._stock.put(key, body)
        yield self._tell("created", key)

    def _remove(self, key: str) -> Acts:
        self._stock.delete([key])
        yield self._tell("removed", key)

    def _tell(self, kind: Kind, key: str) -> ObjectEvent:
        self.pool.append(ObjectEvent(kind, key))
        return self.pool[-1]
