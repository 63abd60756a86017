"""One recorded node, one bucket, and what must be true of the two after any backup."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from backupstore.core import layout as grammar
from backupstore.core.documents import Attempt, Condemned, Mode, decode, encode
from backupstore.core.key_parsing import parse
from backupstore.core.keys import AnnouncedKey
from backupstore.core.layout import Layout
from backupstore.core.manifest import Entry, TableSection, check_entry, read_manifest
from backupstore.core.writers import Principal
from backupstore.errors import NotFound
from backupstore.ports import ObjectStore, Source, StoredObject
from backupstore.stores.local import LocalStore
from backupstore.stores.memory import MemoryBucket
from shipper.backup import Limits, Report, back_up
from shipper.begin import Request
from shipper.site import Site
from shipper.snapshot import Filters
from shipper.state import StateDirectory
from tests.clocks import SettableClock
from tests.killing import Point, Trigger, killed, killing
from tests.recorded import NAME, Kind, RecordedNode
from tests.shipper.listener import Listener

DAY = 86400.0
StoreKind = Literal["memory", "local"]


class Wrapped:
    """A store that passes everything on; subclasses change one thing."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 # whatever a store has
        return getattr(self.store, name)

    def list(self, folder: str) -> Iterator[StoredObject]:
        return self.store.list(folder)

    def upload(self, key: str, source: Source) -> StoredObject:
        return self.store.upload(key, source)


@dataclass
class World:
    """``store`` is the node's own view of the bucket, ``owner`` may do everything, as stock and purge."""

    node: RecordedNode
    store: ObjectStore
    owner: ObjectStore
    layout: Layout
    clock: SettableClock
    state: StateDirectory
    listener: Listener = field(default_factory=Listener)
    limits: Limits = field(default_factory=lambda: Limits(workers=3))
    name_of_bucket: str = "bucket"

    @property
    def site(self) -> Site:
        return Site(self.store, self.layout, self.node, NAME, self.state, self.clock, self.name_of_bucket)

    def back_up(
        self, name: str = "monday", mode: Mode = "differential", *, keep: bool = False, tables: tuple[str, ...] = ()
    ) -> Report:
        """Run ``backup``, as the command line does."""
        request = Request(name, mode, Filters(tables=tables), keep)
        return back_up(self.site, request, self.limits, self.listener)

    def deadly(self, trigger: Trigger) -> World:
        """The same world, of which each call may be the last: store, node, state and clock."""
        return replace(
            self,
            store=killing(self.store, trigger, "store"),
            node=killing(self.node, trigger, "node"),
            state=killing(self.state, trigger, "state"),
            clock=killing(self.clock, trigger, "clock"),
        )

    def die(self, at: Point, name: str = "monday", mode: Mode = "differential", *, keep: bool = False) -> None:
        """Run ``backup``, and be killed there."""
        assert killed(lambda: self.deadly(Trigger(at)).back_up(name, mode, keep=keep)), at

    # --- what lies in the bucket ---
    def listing(self, folder: str = "") -> list[str]:
        return [stored.key for stored in self.owner.list(folder)]

    def body(self, key: str) -> bytes:
        return self.owner.read(key).body

    def has(self, key: str) -> bool:
        try:
            self.owner.head(key)
        except NotFound:
            return False
        return True

    def meta(self, name: str) -> dict[str, bytes]:
        """The meta files of one backup."""
        folder = self.layout.meta_folder(NAME, name)
        return {key.removeprefix(folder): self.body(key) for key in self.listing(folder)}

    def attempt(self, name: str = "monday", number: int = 1) -> Attempt:
        key = self.layout.attempt(NAME, name, number)
        return decode(Attempt, self.body(key), key)

    def announced(self, name: str) -> set[str]:
        folder = f"{self.layout.announcements()}{NAME}/{name}/"
        return {key.removeprefix(folder) for key in self.listing(folder)}

    def entries(self, name: str = "monday") -> dict[str, Entry]:
        """The manifest by ``KS/CF/[IDX/]file``."""
        found = {}
        for item in self._items(name):
            if isinstance(item, Entry):
                key = check_entry(self.layout, NAME, item, backup=name)
                index = f"{key.index}/" if key.index else ""
                found[f"{key.keyspace}/{key.table}/{index}{key.file}"] = item
        return found

    def sections(self, name: str = "monday") -> list[tuple[str, str]]:
        return [(item.keyspace, item.table) for item in self._items(name) if isinstance(item, TableSection)]

    def _items(self, name: str) -> list[Entry | TableSection]:
        key = self.layout.meta(NAME, name, grammar.MANIFEST)
        return list(read_manifest([self.body(key)], key))

    def condemn(self, run: str, *, backups: tuple[str, ...] = (), keys: tuple[str, ...] = ()) -> None:
        """Purge writes what it is about to delete."""
        document = Condemned(revision=run, run=run, node=NAME, created=self.clock.now(), backups=backups, keys=keys)
        self.owner.put(f"{self.layout.condemned(NAME)}{run}.json", encode(document))

    # --- what must hold ---
    def check_backup(self, name: str, contents: dict[str, bytes]) -> None:
        """The manifest names exactly this content, and all of it is in the bucket (invariant 1)."""
        entries = self.entries(name)
        assert set(entries) == set(contents)
        for file, body in contents.items():
            entry = entries[file]
            assert self.body(entry.path) == body, file
            assert (entry.size, entry.sha256) == (len(body), hashlib.sha256(body).hexdigest()), file

    def check_tidy(self, *kept: str) -> None:
        """No snapshot is left but what was to be kept, nobody holds the lock, nothing is unfinished."""
        assert self.node.snapshot_tags("") == kept
        with self.state.locked("the test"):
            pass

    def comparable(self) -> dict[str, bytes]:
        """Keys and bodies, without what two runs may say differently: attempts, and what announcements say."""
        found = {}
        for key in self.listing():
            parsed = parse(key)
            is_attempt = "/meta/attempt-" in key
            if not is_attempt:
                found[key] = b"" if parsed and isinstance(parsed.key, AnnouncedKey) else self.body(key)
        return found


def new_world(
    base: Path,
    kind: StoreKind = "memory",
    *,
    tables: dict[str, Kind] | None = None,
    prefix: str = "prod",
    disks: int = 2,
) -> World:
    """A node with one flush of everything, and an empty bucket."""
    node = RecordedNode.make(base / "node", tables=tables, disks=disks)
    return with_bucket(node, base, kind, prefix=prefix)


def with_bucket(node: RecordedNode, base: Path, kind: StoreKind = "memory", *, prefix: str = "prod") -> World:
    """The node beside an empty bucket, with an empty memory."""
    clock, layout, state = SettableClock(time.time()), Layout(prefix), StateDirectory(base / "state")
    if kind == "local":
        (base / "bucket").mkdir()
        store: ObjectStore = LocalStore(base / "bucket")
        return World(node, store, store, layout, clock, state)
    bucket = MemoryBucket(clock.now)
    return World(node, bucket.open(Principal.SHIPPER, layout, NAME), bucket.open(None), layout, clock, state)


def elsewhere(world: World, **changes: object) -> World:
    """The same world but for some parts."""
    return replace(world, **changes)  # type: ignore[arg-type] # fields by name
