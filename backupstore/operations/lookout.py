"""Looking at the backups of one node: each exactly once, and what the manifests of those that stay name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from backupstore.core import layout as grammar
from backupstore.core.condemning import Seen, Standing, is_stock_at_work, sees_late, standing
from backupstore.core.documents import Attempt, decode
from backupstore.core.key_parsing import data_key
from backupstore.core.keys import MetaKey
from backupstore.core.layout import Layout
from backupstore.core.manifest import Entry, Item, check_entry
from backupstore.core.purge_records import PurgeRules
from backupstore.errors import Corrupt, NotFound
from backupstore.operations.condemned import list_condemned, read_document
from backupstore.operations.documents import stream_manifest
from backupstore.operations.shared_keys import SharedKeys
from backupstore.operations.truth import child_names
from backupstore.ports import ObjectStore, StoredObject

_DOCUMENT = 32 << 20


@dataclass(slots=True)
class Look:
    """What one look at all backups of a node showed.

    ``going``: those that were asked for, and what they are. ``rests``: what late writers left of some that are gone,
    in a first look.
    ``under_way``: those that may rely on what is condemned. ``stock``: those that show that stock backs this node up.
    ``late``: those that show that this node may see late what is condemned.
    """

    going: dict[str, Standing] = field(default_factory=dict)
    rests: list[str] = field(default_factory=list)
    under_way: list[str] = field(default_factory=list)
    stock: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Watched:
    """A node, the backups of it that a purge was planned to delete, the time, and the rules of that purge."""

    node: str
    planned: frozenset[str]
    now: float
    rules: PurgeRules


@dataclass(frozen=True, slots=True)
class Lookout:
    """Looks at one node. What backups that stay name is put into ``keys``; a manifest is read once, for it never changes."""

    store: ObjectStore
    layout: Layout
    of: Watched
    keys: SharedKeys
    _read: dict[str, StoredObject] = field(default_factory=dict)

    def look(self, documents: AbstractSet[str], doomed: AbstractSet[str], *, condemned_at: float) -> Look:
        """List the node's backups once and look at each once. ``documents``: the condemned ones to be carried out.

        ``doomed`` go, unless one began after ``condemned_at``: a name may be used again. Corrupt when a manifest of a
        backup that stays cannot be read: nobody knows what it names.
        """
        look, every = Look(), list[tuple[Seen, Standing]]()
        for name in child_names(self.store, self.layout.node(self.of.node)):
            seen, manifest = self._see(name)
            where = standing(seen, documents, now=self.of.now, grace=self.of.rules.grace)
            every.append((seen, where))
            if is_stock_at_work(seen, now=self.of.now, grace=self.of.rules.grace):
                look.stock.append(name)
            if name in doomed and (seen.files or documents) and self._may_go(seen, condemned_at):
                look.going[name] = where
            elif where is Standing.FINISHED and manifest is not None:
                if not self._keep(name, manifest):
                    look.under_way.append(name)
            elif where is Standing.UNDER_WAY:
                look.under_way.append(name)
            if name not in look.going and not documents and self._is_rest(seen):
                look.rests.append(name)
        if look.under_way or Standing.UNDER_WAY in look.going.values():
            # Half deleted under other documents: it was over when they were written, and has been so since.
            others = self._condemned()
            # But what was seen before it was finished, and condemned then, is whole: as long as it stays, it needs its data.
            look.under_way = [name for name in look.under_way if name not in others or self._see(name)[0].has_manifest]
            look.going |= dict.fromkeys(others & look.going.keys(), Standing.OVER)
        look.late += self._late(every)
        return look

    def _late(self, every: Iterable[tuple[Seen, Standing]]) -> Iterator[str]:
        """Of those under way, and of the last one that began, whose shippers may see late what is condemned."""
        ours = [(seen, where) for seen, where in every if seen.attempts]
        newest = max((seen for seen, _ in ours), key=lambda seen: (seen.begun, seen.backup), default=None)
        for seen, where in ours:
            if where in {Standing.WARNED, Standing.UNDER_WAY}:
                latest = seen.latest
            elif seen is newest:
                latest = self._attempt(seen.backup, seen.attempts)
            else:
                continue
            if sees_late(latest):
                yield seen.backup

    def list_shared(self) -> None:
        """List the shared data; what does not look as if Cassandra had made it is nobody's business."""
        for folder in (self.layout.shared_data(self.of.node), self.layout.versioned_data(self.of.node)):
            self.keys.list(stored for stored in self.store.list(folder) if self.is_shared(stored.key))

    def is_shared(self, key: str) -> bool:
        """Whether the key is shared data of this node, under this prefix."""
        parsed = data_key(self.layout, key)
        return parsed is not None and parsed.node == self.of.node and parsed.backup is None

    def shared_of(self, backup: str) -> Iterable[str]:
        """The shared keys that a manifest names. NotFound; Corrupt unless all of it can be relied on."""
        found = list[str]()

        def take(items: Iterable[Item]) -> None:
            for item in items:
                if (
                    isinstance(item, Entry)
                    and check_entry(self.layout, self.of.node, item, backup=backup).backup is None
                ):
                    found.append(item.path)

        stream_manifest(self.store, self.layout, self.of.node, backup, take)
        return found

    def _may_go(self, seen: Seen, condemned_at: float) -> bool:
        """Whether it is what was condemned: what has an intent by now was begun again, unless that is as old."""
        begun = seen.files.get(grammar.SCHEMA)
        return begun is None or (seen.backup in self.of.planned and begun <= condemned_at)

    def _is_rest(self, seen: Seen) -> bool:
        """Whether it has lost its intent, and what is left of it is old: nobody can go on with it, or will clear it away."""
        if grammar.SCHEMA in seen.files:
            return False
        if seen.files:
            return self.of.now - seen.begun > self.of.rules.grace
        return self._is_leftover(seen.backup)

    def _is_leftover(self, name: str) -> bool:
        """Whether full data is all there is below this name, and as old as orphans: a process that was given up sent it."""
        there = self.store.entries(self.layout.backup(self.of.node, name))
        data = self.layout.full_data(self.of.node, name)
        if there.objects or there.folders != (data,):
            return False
        found = [stored.modified for stored in self.store.list(data) if data_key(self.layout, stored.key)]
        return bool(found) and max(found) < self.of.now - self.of.rules.orphan_grace

    def _see(self, name: str) -> tuple[Seen, StoredObject | None]:
        """The backup, and its manifest as it was listed."""
        files: dict[str, float] = {}
        manifest, attempts = None, 0
        folder = self.layout.meta_folder(self.of.node, name)
        for stored in self.store.list(folder):
            key = MetaKey(self.of.node, name, stored.key[len(folder) :])
            files[key.file] = stored.modified
            attempts = max(attempts, key.attempt or 0)
            if key.file == grammar.MANIFEST:
                manifest = stored
        is_over = not files.keys().isdisjoint({grammar.MANIFEST, grammar.ABANDONED})
        latest = self._attempt(name, attempts) if attempts and not is_over else None
        return Seen(name, files, attempts, latest), manifest

    def _attempt(self, name: str, number: int) -> Attempt | None:
        key = self.layout.attempt(self.of.node, name, number)
        try:
            attempt = decode(Attempt, self.store.read(key, limit=_DOCUMENT).body, key)
        except (NotFound, Corrupt):  # nobody knows what it has seen
            return None
        return attempt if (attempt.node, attempt.backup, attempt.attempt) == (self.of.node, name, number) else None

    def _keep(self, name: str, manifest: StoredObject) -> bool:
        """Remember what it names. False when it was deleted since it was listed: another look will tell."""
        if self._read.get(name) == manifest:
            return True
        try:
            self.keys.keep(self.shared_of(name))
        except NotFound:
            return False
        except Corrupt as error:
            raise Corrupt(
                f"{error.message}; what else it names cannot be told",
                hint=f"Restore {manifest.key} from the bucket's history, or delete {name} of {self.of.node} by name.",
                operation="purge",
                key=manifest.key,
            ) from error
        self._read[name] = manifest
        return True

    def _condemned(self) -> frozenset[str]:
        listed = list_condemned(self.store, self.layout, self.of.node)
        documents = (read_document(self.store, each.stored.key) for each in listed)
        named = ({*document.backups} - {*document.rests} for document in documents if document)
        return frozenset[str]().union(*named)
