"""A bucket that watches what is done to it: the invariants are checked at every single write and delete.

Between two of these nothing changes, so that checking what each of them changed is checking each step.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from backupstore.core import layout as grammar
from backupstore.core.events import Kind, ObjectEvent
from backupstore.core.key_parsing import parse_in
from backupstore.core.keys import DataKey, Key, LatestKey, MetaKey, OwnKey, RowKey
from backupstore.core.layout import Layout
from backupstore.core.writers import Principal
from backupstore.ports import Folder, StoredObject
from backupstore.stores.keys import check_folder
from backupstore.stores.memory import MemoryBucket, MemoryStore
from tests.simulation.decisions import Decisions

NodeBackup = tuple[str, str]
"""Node and backup."""
_WEIGHTY = frozenset({grammar.SCHEMA, grammar.MANIFEST, grammar.ABANDONED})


class Violation(AssertionError):
    """Something was lost, or is said to be good and is not."""


class _Store(MemoryStore):
    """Lists without pages, and folders without a look at what is in them."""

    _bucket: WatchedBucket

    def list(self, folder: str) -> Iterator[StoredObject]:
        bucket = self._bucket
        return iter([bucket.stored(key) for key in bucket.below(check_folder(folder, "list"))])

    def entries(self, folder: str) -> Folder:
        bucket, start = self._bucket, len(check_folder(folder, "list"))
        folders: list[str] = []
        objects = []
        keys, at = bucket.below(folder), 0
        while at < len(keys):
            slash = keys[at].find("/", start)
            if slash < 0:
                objects.append(bucket.stored(keys[at]))
                at += 1
            else:
                folders.append(keys[at][: slash + 1])
                at = bisect_left(keys, f"{keys[at][:slash]}0", at)
        return Folder(tuple(folders), tuple(objects))


class WatchedBucket(MemoryBucket):
    """Knows which backups count, what they name, what planners have allowed to go, and what happened.

    A node backup counts while its schema and manifest are there, and it is not abandoned; a cluster backup is *good* while
    that of each node in ``ring`` counts. ``held``: node backups that a restore relies on, and until when. ``foreign``: the
    hand that writes now is none of our programs; ``indexing``: it is an indexer's. ``rotten``, ``lost``: keys that a foreign
    hand has spoilt, backups that it deleted. ``alone``: cluster backups for which a node took itself for the whole ring.
    ``changes``: how often each key was written. Versions are what ETags are: equal content has an equal one.
    """

    def __init__(self, layout: Layout, clock: Callable[[], float], ring: frozenset[str]) -> None:
        super().__init__(clock)
        self.time = clock
        self.layout = layout
        self.ring = ring
        self.decisions = Decisions()
        self.held: dict[NodeBackup, float] = {}
        self.good: set[str] = set()
        self.events: list[ObjectEvent] = []
        self.foreign = False
        self.indexing = False
        self.rotten: set[str] = set()
        self.lost: set[str] = set()
        self.alone: dict[str, str] = {}
        self.changes: dict[str, int] = {}
        self._named: dict[NodeBackup, dict[str, str]] = {}  # of each manifest: key → its content's md5
        self._namers: dict[str, set[NodeBackup]] = {}

    def adopt(self, other: WatchedBucket) -> None:
        """Begin as another one is."""
        self._held, self._keys = dict(other._held), list(other._keys)
        self.good = set(other.good)
        self._named = dict(other._named)
        self._namers = {key: set(namers) for key, namers in other._namers.items()}

    def without(self, folders: tuple[str, ...]) -> WatchedBucket:
        """A copy that lacks what is below these."""
        copy = WatchedBucket(self.layout, self.time, self.ring)
        copy._keys = [key for key in self._keys if not key.startswith(folders)]
        copy._held = {key: self._held[key] for key in copy._keys}
        return copy

    def open(self, principal: Principal | None, layout: Layout | None = None, node: str = "") -> MemoryStore:
        """As ``MemoryBucket``'s, and faster."""
        return _Store(self, principal, layout or Layout(), node)

    def hold(self, key: str, body: bytes) -> StoredObject:
        """A write."""
        parsed = parse_in(self.layout, key)
        before = self.find(key)
        if isinstance(parsed, DataKey) and before is not None and before.body != body:
            self._spoilt(key, f"{key} is overwritten")
        stored = super().hold(key, body)
        self._held[key] = replace(self._held[key], version=str(stored.digest))
        self.changes[key] = self.changes.get(key, 0) + 1
        self._tell("created", parsed, key)
        if isinstance(parsed, MetaKey) and parsed.file in _WEIGHTY:
            if parsed.file == grammar.MANIFEST:
                self._name((parsed.node, parsed.backup), body)
            self._weigh(parsed.backup)
        elif isinstance(parsed, OwnKey) and parsed.area == "purges":
            self.decisions.recorded(body)
        elif isinstance(parsed, OwnKey) and parsed.area == "condemned":
            self.decisions.condemned(body)
        return stored

    def drop(self, key: str) -> None:
        """A delete."""
        if self.find(key) is None:
            return
        parsed = parse_in(self.layout, key)
        if isinstance(parsed, MetaKey) and parsed.file == grammar.MANIFEST and not self.foreign:
            self._check_drop(parsed)
        super().drop(key)
        self._tell("removed", parsed, key)
        if isinstance(parsed, MetaKey) and parsed.file in _WEIGHTY:
            self._dropped(parsed)
        elif isinstance(parsed, DataKey):
            for node, backup in self._namers.get(key, ()):
                if self.counts(node, backup):
                    self._spoilt(key, f"{key} is deleted, and {backup} of {node} names it")

    def below(self, folder: str) -> list[str]:
        """All keys below a folder."""
        keys = self._keys
        end = bisect_left(keys, folder[:-1] + "0") if folder else len(keys)  # the character after the slash
        return keys[bisect_left(keys, folder) : end]

    def stored(self, key: str) -> StoredObject:
        """What is there."""
        return self._held[key].stored

    def counts(self, node: str, backup: str) -> bool:
        """Whether somebody may rely on this node backup."""
        at, held = self.layout.meta, self._held
        return (
            at(node, backup, grammar.MANIFEST) in held
            and at(node, backup, grammar.SCHEMA) in held
            and at(node, backup, grammar.ABANDONED) not in held
        )

    def named_by(self, node: str, backup: str) -> frozenset[str]:
        """The keys that its manifest names."""
        return frozenset(self._named.get((node, backup), ()))

    def counting(self) -> list[NodeBackup]:
        """All node backups that count."""
        return [each for each in self._named if self.counts(*each)]

    def expected(self, backup: str) -> frozenset[str]:
        """The nodes that must hold a part of it."""
        return frozenset({self.alone[backup]}) if backup in self.alone else self.ring

    def wrong_in(self, node: str, backup: str) -> frozenset[str]:
        """The keys that its manifest names and that are absent, or have other content."""
        return frozenset(key for key, md5 in self._named[node, backup].items() if self._differs(key, md5))

    def check(self, node: str, backup: str) -> None:
        """Violation unless everything that it names is there."""
        wrong = self.wrong_in(node, backup) - self.rotten
        if wrong:
            self._fail(f"{backup} of {node} names {sorted(wrong)}, absent or with other content")

    def _tell(self, kind: Kind, parsed: Key | None, key: str) -> None:
        """What our own indexer writes needs no event."""
        if not (self.indexing and isinstance(parsed, RowKey | LatestKey)):
            self.events.append(ObjectEvent(kind, key))

    def _differs(self, key: str, md5: str) -> bool:
        held = self._held.get(key)
        return held is None or held.stored.digest != md5

    def _name(self, of: NodeBackup, body: bytes) -> None:
        self._forget(of)
        sections: list[dict[str, Any]] = json.loads(body)
        self._named[of] = {each["path"]: each["MD5"] for section in sections for each in section["objects"]}
        for key in self._named[of]:
            self._namers.setdefault(key, set()).add(of)
        if self.counts(*of):
            self.check(*of)

    def _forget(self, of: NodeBackup) -> None:
        for key in self._named.pop(of, ()):
            self._namers[key].discard(of)

    def _dropped(self, key: MetaKey) -> None:
        of = (key.node, key.backup)
        # One that a foreign hand has damaged is nobody's to rely on: it goes by age, however few sound ones there are.
        was_good = key.backup in self.good and not self._is_damaged(key.backup)
        self._weigh(key.backup)
        if self.foreign:
            self.lost.add(key.backup)
        if key.file == grammar.MANIFEST:
            self._forget(of)
        elif key.file == grammar.ABANDONED and self.counts(*of):
            self.check(*of)
        if was_good and key.backup not in self.good and not self.foreign and key.backup not in self.decisions.allowed:
            complaint = self.decisions.destroyed(key.backup)
            if complaint:
                self._fail(complaint)

    def _is_damaged(self, backup: str) -> bool:
        return any(self.named_by(node, backup) & self.rotten for node in self.ring)

    def _weigh(self, backup: str) -> None:
        if all(self.counts(node, backup) for node in self.ring):
            self.good.add(backup)
            self.decisions.became_good(backup)
        else:
            self.good.discard(backup)

    def _check_drop(self, key: MetaKey) -> None:
        if self.counts(key.node, key.backup):
            if not self.decisions.is_planned(key.backup):
                self._fail(f"{key.backup} of {key.node} is deleted, and nobody planned that")
            if self.held.get((key.node, key.backup), 0.0) > self.time():
                self._fail(f"{key.backup} of {key.node} is deleted, and a restore holds it")

    def _spoilt(self, key: str, how: str) -> None:
        """By a foreign hand, or for ever since."""
        if self.foreign:
            self.rotten.add(key)
        elif key not in self.rotten:
            self._fail(how)

    def _fail(self, what: str) -> None:
        raise Violation(what)
