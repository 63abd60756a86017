"""The truth about node backups: what the objects that their writers wrote say, whatever any index holds.

A fact is a pure function of ``P F/N/meta/``. What cannot be read is never skipped and never raised: it becomes the
fact's ``problem``, and such a node backup counts as not finished. Only trouble with the store itself is an error.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from backupstore.core import layout as grammar
from backupstore.core import names
from backupstore.core.documents import Attempt, Damaged, Mode, NodeFact, Place, decode
from backupstore.core.keys import MetaKey
from backupstore.core.layout import Layout
from backupstore.core.manifest import Entry, Item, Totals, check_entry
from backupstore.core.tokenmap import Ring, parse, places, ring_id
from backupstore.errors import Corrupt, NotFound, Retryable
from backupstore.operations.documents import stream_manifest
from backupstore.operations.each import Each
from backupstore.ports import ObjectStore, StoredObject

_DOCUMENT = 32 << 20
_TRIES = 10


class Truth(NamedTuple):
    """What there is of one node backup: None when it is gone. ``ring`` is what ``fact.ring`` names."""

    fact: NodeFact | None
    ring: Ring | None = None


GONE = Truth(None)


def read_fact(store: ObjectStore, layout: Layout, *, node: str, backup: str, known: Truth = GONE) -> Truth:
    """Look at one node backup. With an earlier truth that saw the same listing, nothing else is read."""
    for _ in range(_TRIES):
        look = _Look(store, layout, node, backup)
        listed = look.listing()
        if grammar.SCHEMA not in listed.objects:
            return GONE
        if known.fact and known.fact.seen == listed.seen and (known.fact.ring is None or known.ring is not None):
            return known
        try:
            return look.truth(listed)
        except NotFound:
            continue  # it was deleted after it was listed: what the listing said is no longer so
    raise Retryable(
        f"{layout.meta_folder(node, backup)} changes faster than it can be read",
        hint="It is being deleted; the next event or reconcile will find it gone.",
        operation="read truth",
        key=layout.meta_folder(node, backup),
    )


def node_backups(store: ObjectStore, layout: Layout, each: Each = map) -> dict[str, set[str]]:
    """Where node backups may lie: nodes by backup name, from the folders alone.

    One delimiter listing for the cluster and one for each node. Without a prefix, other clusters' folders look like
    nodes; nothing is found in them.
    """
    found: dict[str, set[str]] = {}
    nodes = [node for node in child_names(store, layout.root) if node != grammar.INDEX]
    listed = each(lambda node: list(child_names(store, layout.node(node))), nodes)
    for node, backups in zip(nodes, listed, strict=True):
        for backup in backups:
            found.setdefault(backup, set()).add(node)
    return found


def top_names(store: ObjectStore) -> Iterator[str]:
    """The names of the folders at the root of the bucket: clusters, and nodes of the one without a prefix."""
    return (name for name in child_names(store, "") if name != grammar.INDEX)


def child_names(store: ObjectStore, folder: str) -> Iterator[str]:
    """The names of the folders in a folder, data folders and unusable names left out."""
    for child in store.entries(folder).folders:
        name = child[len(folder) : -1]
        if names.is_segment(name) and name not in grammar.NODE_DATA_FOLDERS:
            yield name


@dataclass(frozen=True, slots=True)
class _Listing:
    """The meta folder: its files by name, and the fingerprint of everything in it."""

    objects: dict[str, StoredObject]
    seen: str

    def has(self, file: str) -> bool:
        return file in self.objects

    @property
    def attempt(self) -> int:
        """The number of the latest attempt; 0 for stock."""
        return max((MetaKey("", "", file).attempt or 0 for file in self.objects), default=0)


@dataclass(slots=True)
class _Look:
    """One look at one node backup; ``problem`` is the first thing that could not be read."""

    store: ObjectStore
    layout: Layout
    node: str
    backup: str
    problem: str | None = None
    totals: Totals = field(default_factory=Totals)

    def listing(self) -> _Listing:
        folder = self.layout.meta_folder(self.node, self.backup)
        fingerprint = hashlib.sha256()
        objects = {}
        for stored in self.store.list(folder):
            file = stored.key[len(folder) :]
            fingerprint.update(f"{file!r} {stored.size} {stored.modified!r} {stored.digest}\n".encode())
            if file in grammar.META_FILES or MetaKey("", "", file).attempt:
                objects[file] = stored
        return _Listing(objects, fingerprint.hexdigest())

    def truth(self, listed: _Listing) -> Truth:
        attempt = self._attempt(listed.attempt)
        ring = self._ring() if listed.has(grammar.TOKENMAP) else None
        manifest = listed.objects.get(grammar.MANIFEST)
        abandoned = listed.has(grammar.ABANDONED)
        damaged = 0
        if manifest and not abandoned:
            if ring is None:
                self._trouble("tokenmap.json is missing")
            self._sum_up()
            damaged = self._damaged() if listed.has(grammar.DAMAGED) else 0
        server_type, release_version = self._server_version(listed)
        differential = any(listed.has(marker) for marker in grammar.DIFFERENTIAL_MARKERS)
        mode: Mode = "differential" if differential else "full"
        fact = NodeFact(
            started=listed.objects[grammar.SCHEMA].modified,
            finished=manifest.modified if manifest else None,
            abandoned=abandoned,
            writer="shipper" if listed.attempt else "stock",
            mode=mode,
            partial=attempt is not None and attempt.partial,
            attempts=listed.attempt,
            host_id=attempt.host_id if attempt else None,
            size=self.totals.size,
            objects=self.totals.objects,
            corrupt=self.totals.corrupt + damaged,
            problem=self.problem,
            server_type=server_type,
            release_version=release_version,
            ring=ring_id(ring) if ring is not None else None,
            seen=listed.seen,
        )
        return Truth(fact, ring)

    def _key(self, file: str) -> str:
        return self.layout.meta(self.node, self.backup, file)

    def _trouble(self, problem: str) -> None:
        self.problem = self.problem or problem

    def _attempt(self, number: int) -> Attempt | None:
        if not number:
            return None
        key = self.layout.attempt(self.node, self.backup, number)
        try:
            attempt = decode(Attempt, self.store.read(key, limit=_DOCUMENT).body, key)
        except Corrupt as error:
            self._trouble(error.message)
            return None
        if (attempt.node, attempt.backup, attempt.attempt) != (self.node, self.backup, number):
            self._trouble(f"{key} speaks of another node backup")
        return attempt

    def _damaged(self) -> int:
        """How many components were overwritten or deleted after the backup was finished."""
        key = self._key(grammar.DAMAGED)
        try:
            return decode(Damaged, self.store.read(key, limit=_DOCUMENT).body, key).count
        except Corrupt as error:
            self._trouble(error.message)
            return 0

    def _ring(self) -> dict[str, Place] | None:
        key = self._key(grammar.TOKENMAP)
        try:
            return places(parse(self.store.read(key, limit=_DOCUMENT).body, key))
        except Corrupt as error:
            self._trouble(error.message)
            return None

    def _sum_up(self) -> None:
        """Stream the manifest; a path that is not this node backup's makes all of it worthless."""
        totals = Totals()

        def take(items: Iterable[Item]) -> None:
            nonlocal totals
            totals = totals.plus(self._checked(items))

        try:
            stream_manifest(self.store, self.layout, self.node, self.backup, take)
        except Corrupt as error:
            self._trouble(error.message)
            return
        # Stock writes an empty manifest when a snapshot failed (every node has system tables).
        if not totals.tables:
            self._trouble(f"{self._key(grammar.MANIFEST)} names no table at all: its snapshot failed")
            return
        self.totals = totals

    def _checked(self, items: Iterable[Item]) -> Iterator[Item]:
        for item in items:
            if isinstance(item, Entry):
                check_entry(self.layout, self.node, item, backup=self.backup)
            yield item

    def _server_version(self, listed: _Listing) -> tuple[str, str]:
        """As stock does, an unreadable one is only unknown: nothing is decided by it."""
        if not listed.has(grammar.SERVER_VERSION):
            return "cassandra", "unknown"
        try:
            found: Any = json.loads(self.store.read(self._key(grammar.SERVER_VERSION), limit=_DOCUMENT).body)
        except (Corrupt, ValueError, RecursionError):
            found = None
        fields = found if isinstance(found, dict) else {}
        return _short(fields.get("server_type"), "cassandra"), _short(fields.get("release_version"), "unknown")


def _short(value: Any, default: str) -> str:  # noqa: ANN401 # anything that JSON can say
    limit = 64
    return value if isinstance(value, str) and 0 < len(value) <= limit and value.isprintable() else default
