"""Purge of one node: condemn, then delete. No lease; nothing is taken from under those who are about to rely on it.

    write what shall go (``condemned/F/``) → read holds → list the node's backups once, look at each exactly once
    → delete exact keys: index rows, manifests, data, the rest of meta, ``schema.cql`` last

The look comes after the document. So each backup that it does not show, or shows with the document in its attempt, has
read the document before it relied on anything; and any other one stops us (``core.condemning``). Another call for the
same work goes on: it finds its documents, and looks again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import closing
from dataclasses import dataclass, field

from backupstore.core import names
from backupstore.core.condemning import Standing, in_documents, may_drop
from backupstore.core.documents import Condemned, encode
from backupstore.core.layout import Layout
from backupstore.core.purge_records import PurgeRules
from backupstore.core.retention import is_live
from backupstore.core.shown import some_of
from backupstore.errors import Conflict, Corrupt, NotFound, Refused
from backupstore.operations.condemned import list_condemned, read_document
from backupstore.operations.deletion import Deletion, Freed, Sized, Time, TooLateError
from backupstore.operations.holds import read_holds
from backupstore.operations.lookout import Look, Lookout, Watched
from backupstore.operations.shared_keys import SharedKeys
from backupstore.ports import ObjectStore, StoredObject

_DAY = 86400.0
_LATE = "shows late what others write (mount it with lookupcache=none)"


@dataclass(frozen=True, slots=True)
class NodeWork:
    """Condemn and delete these node backups of this node, and sweep its orphans; without backups, only these.

    ``run`` names the purge that planned it.
    """

    run: str
    node: str
    backups: tuple[str, ...]


def _no_time() -> float:
    return 0.0


def _yes() -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What one call works with. ``now``: the store's time, or close to it. ``revision`` gives a new random text each time.

    ``running`` (``Clock.running``) tells how much time passes on the way; a host that ends us within minutes needs none.
    ``is_open``: whether the purge that planned the work is not over yet; asked after its documents are there. ``freed``
    counts what is deleted, also when the call fails.
    """

    now: float
    revision: Callable[[], str]
    running: Callable[[], float] = _no_time
    is_open: Callable[[], bool] = _yes
    freed: Freed = field(default_factory=Freed)


@dataclass(frozen=True, slots=True)
class NodeOutcome:
    """``objects`` and ``bytes`` were deleted by this call. ``done``: nothing is left for another call of the same work.

    ``notes``: what was left and why, in words for the operator.
    """

    objects: int
    bytes: int
    done: bool
    notes: tuple[str, ...]


def purge_node(store: ObjectStore, layout: Layout, work: NodeWork, rules: PurgeRules, means: Means) -> NodeOutcome:
    """Do the work, or go on with it. What the store raises passes through; another call goes on from there."""
    if not names.is_segment(work.run):
        raise Refused(f"'{work.run}' cannot name a purge.", hint="Letters, digits and - will do.", operation="purge")
    with closing(SharedKeys()) as keys:
        lookout = Lookout(store, layout, Watched(work.node, frozenset(work.backups), means.now, rules), keys)
        deletion = Deletion(store, layout, work.node, Time(means.now, rules.grace, means.running), means.freed)
        run = _Run(store, layout, work, rules, means, deletion, lookout, keys)
        try:
            done = run.condemn_and_delete()
        except TooLateError:
            done = True
            run.notes.append(
                f"{work.run} condemned it too long ago to delete it safely now: a later purge condemns it anew"
            )
        except Corrupt as error:
            done = False
            run.notes.append(f"nothing more of {work.node} is deleted: {error.explained}")
        return NodeOutcome(means.freed.objects, means.freed.bytes, done, tuple(run.notes))


@dataclass(slots=True)
class _Run:
    """One call. ``condemned_at``: when the first of its documents was written, by the store's time."""

    store: ObjectStore
    layout: Layout
    work: NodeWork
    rules: PurgeRules
    means: Means
    deletion: Deletion
    lookout: Lookout
    keys: SharedKeys
    condemned_at: float = math.inf
    notes: list[str] = field(default_factory=list)

    @property
    def time(self) -> Time:
        """What time it is."""
        return self.deletion.time

    def condemn_and_delete(self) -> bool:
        """Whether the work is done."""
        doomed, documents = self._documents()
        if documents:
            self.time.check()
            self.lookout.list_shared()
        else:
            doomed, documents = self._condemn()
        if not documents:
            return True
        if not self.means.is_open():
            self.notes.append(
                f"{self.work.run} is over, and nothing more is deleted in its name: a later purge goes on"
            )
            return False
        # From here on: documents, then holds, then one look. In this order nobody is overlooked.
        going = doomed - self._held(doomed)
        look = self.lookout.look(documents, going, condemned_at=self.condemned_at)
        if look.under_way:
            self.notes.append(
                f"{some_of(sorted(look.under_way))} of {self.work.node} is under way and may rely on what is condemned:"
                " nothing is deleted before it has ended, or is given up by the next backup"
            )
            return False
        self._delete(look)
        return True

    # --- condemn ---
    def _documents(self) -> tuple[frozenset[str], frozenset[str]]:
        """The backups that earlier calls of this work condemned, and in which documents. Drops those of old runs."""
        doomed, documents, old = set[str](), set[str](), list[str]()
        for name, stored in list_condemned(self.store, self.layout, self.work.node):
            self._check_clock(stored)
            if not name.startswith(f"{self.work.run}-") and not self._may_drop(stored.modified):
                continue
            document = read_document(self.store, stored.key)
            if document is None:
                continue
            if self._may_drop(max(stored.modified, document.created)):
                old.append(stored.key)
            elif document.run == self.work.run:
                doomed.update(document.backups)
                documents.add(name)
                self.keys.condemn(key for key in document.keys if self.lookout.is_shared(key))
                self.condemned_at = min(self.condemned_at, stored.modified)
                self.time.condemned(min(stored.modified, document.created))
        if old:
            self.store.delete(old)
        return frozenset(doomed), frozenset(documents)

    def _may_drop(self, created: float) -> bool:
        return may_drop(created=created, now=self.time.start, grace=self.time.grace)

    def _check_clock(self, stored: StoredObject) -> None:
        if stored.modified > self.time.now() + _DAY:
            raise Refused(
                f"This machine's clock is behind the store's: {stored.key} was written tomorrow.",
                hint="Set the clock (timedatectl, chronyc); purge counts ages by it.",
                operation="purge",
                key=stored.key,
            )

    def _condemn(self) -> tuple[frozenset[str], frozenset[str]]:
        """Find out what shall go, and write it down; no documents when nothing shall."""
        look = self.lookout.look(frozenset(), frozenset(self.work.backups), condemned_at=math.inf)
        self.lookout.list_shared()
        rests = frozenset(look.rests) - look.going.keys()
        going = self._over(look) | rests
        for backup in going:
            self._doom(backup)
        keys: Iterator[str] = iter(())
        if self._may_sweep(look):
            keys = self.keys.to_condemn(orphaned_before=self.time.start - self.rules.orphan_grace)
        self.time.condemned(self.time.start)
        documents = set()
        for part in in_documents(keys):
            if part or going:
                documents.add(self._write(going, rests, part))
                self.keys.condemn(part)
        return going, frozenset(documents)

    def _over(self, look: Look) -> frozenset[str]:
        """Those that nobody will finish any more: what is under way is not condemned, it would only be in its way."""
        alive = {Standing.UNDER_WAY} if self.rules.stock_is_idle else {Standing.UNDER_WAY, Standing.STOCK}
        going = {backup for backup, where in look.going.items() if where not in alive}
        self.notes += (
            f"{backup} of {self.work.node} is under way and is not deleted: let it end, or begin another backup there"
            for backup in look.going.keys() - going
        )
        return frozenset(going)

    def _doom(self, backup: str) -> None:
        """What it names goes with it. Where that cannot be told, it is swept as orphans, when it is old enough."""
        try:
            self.keys.doom(self.lookout.shared_of(backup))
        except (NotFound, Corrupt):
            return

    def _may_sweep(self, look: Look) -> bool:
        return not self._left_alone(look)

    def _left_alone(self, look: Look) -> str:
        """Why shared data is not swept; empty when it is."""
        if look.stock and not self.rules.stock_is_idle:
            return f"stock wrote {some_of(sorted(look.stock))}, and does not look at what is condemned; --stock-is-idle sweeps it"
        if self.rules.cached_mount:
            return f"this machine's mount of the bucket {_LATE}"
        return f"it wrote {some_of(sorted(look.late))} through a mount that {_LATE}" if look.late else ""

    def _write(self, backups: AbstractSet[str], rests: AbstractSet[str], keys: tuple[str, ...]) -> str:
        """A name that no document had before: attempts say by name what they have seen."""
        revision = self.means.revision()
        name = f"{self.work.run}-{revision}"
        key = self.layout.condemned_document(self.work.node, name)
        document = Condemned(
            revision=revision,
            run=self.work.run,
            node=self.work.node,
            created=self.time.start,
            backups=tuple(sorted(backups)),
            rests=tuple(sorted(rests)),
            keys=keys,
        )
        body = encode(document)
        try:
            self._check_clock(self.store.create(key, body))
        except Conflict:
            if self.store.read(key).body != body:  # else an answer was lost
                raise
        return name

    def _held(self, doomed: AbstractSet[str]) -> frozenset[str]:
        """Those that somebody holds."""
        found = set()
        for backup in sorted(doomed):
            if any(is_live(hold, self.time.start) for hold in read_holds(self.store, self.layout, backup)):
                found.add(backup)
                self.notes.append(f"{backup} is held and is not deleted")
        return frozenset(found)

    def _delete(self, look: Look) -> None:
        keys: Iterator[Sized] = iter(())
        if self._may_sweep(look):
            keys = self.keys.to_delete()
        else:
            self.notes.append(f"the shared data of {self.work.node} is left as it is: {self._left_alone(look)}")
        self.deletion.delete(tuple(look.going), keys)
