"""What tests of purge tell stories with: one cluster, a clock, shippers and stock as far as they write, and purge."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count

from backupstore.core import layout as grammar
from backupstore.core.documents import Abandoned, Condemned, Hold, Mode, decode, encode
from backupstore.core.keys import DataKey, RowKey
from backupstore.core.layout import Layout
from backupstore.core.purge_records import PurgeRules
from backupstore.core.writers import Principal
from backupstore.operations.purge import Means, NodeOutcome, NodeWork, purge_node
from backupstore.ports import Document, Folder, ObjectStore, StoredObject
from backupstore.stores.memory import MemoryBucket
from tests.attempts import attempt_of
from tests.clocks import SettableClock
from tests.interleaving import Around
from tests.operations.lives import tokenmap

DAY = 86400.0
GRACE = 14 * DAY
ORPHANS = 10 * DAY
LAYOUT = Layout("pfx")


@dataclass
class Place:
    """A bucket with one cluster. ``owner`` may do everything; ``purge`` what purge may."""

    owner: ObjectStore
    purger: ObjectStore
    clock: SettableClock
    layout: Layout = LAYOUT
    _revisions: count[int] = field(default_factory=count)

    # --- what others write ---
    def key(self, name: str, node: str = "n1", *, backup: str | None = None, version: str | None = None) -> str:
        """The key of one component of ks.t."""
        return self.layout.data(DataKey(node, "ks", "t", f"{name}-Data.db", None, backup, version))

    def put(self, *names: str, node: str = "n1") -> tuple[str, ...]:
        """Shared objects."""
        keys = tuple(self.key(name, node) for name in names)
        for key in keys:
            self.owner.create(key, key.encode())
        return keys

    def begin(self, backup: str, node: str = "n1", *, seen: Iterable[str] | None = (), attempt: int = 1) -> None:
        """A shipper's intent and attempt; ``seen`` None for the intent alone."""
        if attempt == 1:
            self.owner.create(self.meta(backup, grammar.SCHEMA, node), b"schema")
        if seen is None:
            return
        document = attempt_of(
            node, backup, attempt=attempt, begun=self.clock.now(), mode="differential", condemned_seen=tuple(seen)
        )
        self.owner.create(self.layout.attempt(node, backup, attempt), encode(document))

    def commit(self, backup: str, keys: Iterable[str], node: str = "n1") -> None:
        """The manifest."""
        self.owner.create(self.meta(backup, grammar.MANIFEST, node), manifest(keys))

    def ship(self, backup: str, *names: str, node: str = "n1", mode: Mode = "differential") -> tuple[str, ...]:
        """A finished backup of ours, with its index rows and announcements; keys that are there are shared."""
        self.begin(backup, node)
        return self._rest(backup, names, node, mode)

    def stock(self, backup: str, *names: str, node: str = "n1", mode: Mode = "differential") -> tuple[str, ...]:
        """A finished backup of stock's."""
        self.begin(backup, node, seen=None)
        return self._rest(backup, names, node, mode)

    def _rest(self, backup: str, names: Iterable[str], node: str, mode: Mode) -> tuple[str, ...]:
        self.owner.put(self.meta(backup, grammar.TOKENMAP, node), tokenmap({node: "dc1"}))
        if mode == "differential":
            self.owner.put(self.meta(backup, grammar.DIFFERENTIAL, node), b"differential")
        folder = backup if mode == "full" else None
        keys = tuple(self.key(name, node, backup=folder) for name in names)
        for key in keys:
            if not self.has(key):
                self.owner.create(key, key.encode())
        self.commit(backup, keys, node)
        for kind, stamp in (("schema", None), ("tokenmap", None), ("manifest", None), ("started", 1), ("finished", 2)):
            self.owner.put(self.layout.row(RowKey(backup, kind, node, stamp)), b"row")
        for what in ("started", "finished"):
            self.owner.put(f"{self.layout.announced_of(node, backup)}{what}", b"{}")
        return keys

    def abandon(self, backup: str, node: str = "n1") -> None:
        document = Abandoned(node=node, backup=backup, by="later", at=self.clock.now())
        self.owner.create(self.meta(backup, grammar.ABANDONED, node), encode(document))

    def hold(self, backup: str, *, expires: float | None = None) -> None:
        document = Hold(backup=backup, id="h", by="me", why="test", created=self.clock.now(), expires=expires)
        self.owner.create(self.layout.hold(backup, "h"), encode(document))

    # --- purge ---
    def purge(self, *backups: str, node: str = "n1", run: str = "run", **rules: object) -> NodeOutcome:
        return self.purge_through(self.purger, *backups, node=node, run=run, **rules)

    def purge_through(
        self, store: ObjectStore, *backups: str, node: str = "n1", run: str = "run", **rules: object
    ) -> NodeOutcome:
        """``rules`` replaces some of the usual ones."""
        given = {"grace": GRACE, "orphan_grace": ORPHANS, "now": self.clock.now(), "revision": self.revision, **rules}
        named = {name: given.pop(name) for name in tuple(given) if name in PurgeRules.model_fields}
        work, means = NodeWork(run, node, backups), Means(**given)  # type: ignore[arg-type] # by name
        return purge_node(store, self.layout, work, PurgeRules.model_validate(named), means)

    def revision(self) -> str:
        return f"r{next(self._revisions)}"

    # --- what there is ---
    def meta(self, backup: str, file: str, node: str = "n1") -> str:
        return self.layout.meta(node, backup, file)

    def has(self, key: str) -> bool:
        folder = key.rpartition("/")[0] + "/"
        return any(stored.key == key for stored in self.owner.list(folder))

    def listing(self, folder: str = "") -> list[str]:
        return [stored.key for stored in self.owner.list(folder)]

    def contents(self) -> Mapping[str, bytes]:
        return {key: self.owner.read(key).body for key in self.listing()}

    def of(self, backup: str, node: str = "n1") -> list[str]:
        """Everything in the bucket that has to do with one node backup."""
        folders = (
            self.layout.backup(node, backup),
            self.layout.rows(backup),
            self.layout.announced_of(node, backup),
        )
        return [key for folder in folders for key in self.listing(folder)]

    def documents(self, node: str = "n1") -> dict[str, Condemned]:
        """By the name under which attempts see them."""
        folder = self.layout.condemned(node)
        return {
            key[len(folder) : -len(".json")]: decode(Condemned, self.owner.read(key).body, key)
            for key in self.listing(folder)
        }

    def check_sound(self, node: str = "n1") -> None:
        """Invariant 2: what finished backups name is there."""
        folder = self.layout.node(node)
        for key in self.listing(folder):
            if key.endswith(f"/{grammar.MANIFEST}") and not self.has(key.replace(grammar.MANIFEST, grammar.ABANDONED)):
                for section in json.loads(self.owner.read(key).body):
                    assert all(self.has(each["path"]) for each in section["objects"]), key


def manifest(keys: Iterable[str]) -> bytes:
    """Of ks.t."""
    objects = [{"path": key, "MD5": None, "size": len(key)} for key in keys]
    return json.dumps([{"keyspace": "ks", "columnfamily": "t", "objects": objects}]).encode()


def memory_place(layout: Layout = LAYOUT) -> Place:
    """A bucket in memory, which refuses what purge may not do."""
    clock = SettableClock()
    bucket = MemoryBucket(clock.now)
    return Place(bucket.open(None), bucket.open(Principal.PURGE, layout), clock, layout)


def place_on(store: ObjectStore) -> Place:
    """A real store, empty. Its times are its own, so that the clock begins with them."""
    now = store.create("clock", b"").modified
    store.delete(["clock"])
    return Place(store, store, SettableClock(now + 1))


class Spy(Around):
    """Remembers each batch that is deleted."""

    def __init__(self, store: ObjectStore) -> None:
        super().__init__(store)
        self.batches: list[list[str]] = []

    def delete(self, keys: Iterable[str]) -> None:
        self.batches.append(list(keys))
        self._store.delete(self.batches[-1])


class Meanwhile(Around):
    """Something happens just before the first call of a kind that concerns such a key."""

    def __init__(self, store: ObjectStore, call: str, about: str, happens: Callable[[], None]) -> None:
        super().__init__(store)
        self._when = (call, about)
        self._happens: Callable[[], None] | None = happens

    def _perhaps(self, call: str, key: str) -> None:
        if self._happens and call == self._when[0] and self._when[1] in key:
            happens, self._happens = self._happens, None
            happens()

    def list(self, folder: str) -> Iterator[StoredObject]:
        self._perhaps("list", folder)
        return super().list(folder)

    def create(self, key: str, body: bytes) -> StoredObject:
        self._perhaps("create", key)
        return super().create(key, body)

    def entries(self, folder: str) -> Folder:
        self._perhaps("entries", folder)
        return super().entries(folder)

    def read(self, key: str, *, limit: int = 64 << 20) -> Document:
        self._perhaps("read", key)
        return super().read(key, limit=limit)
