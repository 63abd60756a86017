"""The rules of the protocols, each broken: every one of these must lose something in some history."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import pytest

from backupstore.core import condemning
from backupstore.core import layout as grammar
from backupstore.core.condemning import Seen, Standing
from backupstore.core.documents import encode
from backupstore.operations import lookout, purge
from backupstore.operations.lookout import Look, Lookout
from backupstore.operations.shared_keys import SharedKeys
from backupstore.ports import StoredObject
from backupstore.stores.memory import MemoryStore
from shipper import begin
from shipper.begin import Opened, Opening
from shipper.intent import New, Resume
from shipper.memory import Taken
from shipper.meta import Condemnation, create_once, read_condemned
from tests.simulation.bucket import Violation, WatchedBucket
from tests.simulation.mutants_of_clusters import CLUSTER_MUTANTS
from tests.simulation.openings import prepare
from tests.simulation.play import play
from tests.simulation.world import NODE

Patch = pytest.MonkeyPatch


def condemned_documents_ignored(patch: Patch) -> None:
    """The attempt says that they were seen, and the shipper relies on what they name."""
    read = read_condemned

    def ignoring(*arguments: Any) -> Condemnation:  # noqa: ANN401 # passed on
        return Condemnation(read(*arguments).runs, frozenset(), frozenset())

    patch.setattr(begin, "read_condemned", ignoring)


def attempt_before_condemned_is_read(patch: Patch) -> None:
    """Purge takes an attempt for the proof that everything was read, and it was written first."""

    def open_(self: Opening, intent: New | Resume, taken: Taken) -> Opened:
        site, number = self.site, intent.attempt
        running = site.clock.running()
        begun = intent.begun if isinstance(intent, Resume) else self._write_schema(taken.meta[grammar.SCHEMA])
        key = site.layout.attempt(site.name, self.request.backup, number)
        create_once(site.store, key, encode(self._attempt(number, taken.tag, ())))
        condemned = read_condemned(site.store, site.layout, site.name)
        self._check_not_condemned(condemned)
        return Opened(number, condemned, begun, running + self.grace / 2)

    patch.setattr(Opening, "open", open_)
    _attempts_prove_everything(patch)


def _attempts_prove_everything(patch: Patch) -> None:
    real = condemning.standing

    def standing(seen: Seen, documents: AbstractSet[str], **rest: float) -> Standing:
        found = real(seen, documents, **rest)
        return Standing.WARNED if found is Standing.UNDER_WAY and seen.latest is not None else found

    patch.setattr(lookout, "standing", standing)


def listing_before_the_attempt(patch: Patch) -> None:
    """What is relied on is decided from a listing that was made before the condemned documents were read."""
    real = Opening.open

    def open_(self: Opening, intent: New | Resume, taken: Taken) -> Opened:
        store, layout = self.site.store, self.site.layout
        listed = {stored.key for stored in store.list(layout.shared_data(NODE))}
        opened = real(self, intent, taken)
        return replace(opened, condemned=replace(opened.condemned, keys=opened.condemned.keys - listed))

    patch.setattr(Opening, "open", open_)


def second_look_skipped(patch: Patch) -> None:
    """What the look before the document showed is believed."""
    real = Lookout.look

    def look(self: Lookout, documents: AbstractSet[str], doomed: AbstractSet[str], **rest: float) -> Look:
        if not documents:
            return real(self, documents, doomed, **rest)
        return Look(going=dict.fromkeys(doomed, Standing.OVER))

    patch.setattr(Lookout, "look", look)


def two_passes(patch: Patch) -> None:
    """The manifests first, then what is unfinished: who commits between the two is in neither."""
    real = Lookout.look

    def look(self: Lookout, documents: AbstractSet[str], doomed: AbstractSet[str], **rest: float) -> Look:
        manifests = real(self, documents, doomed, **rest)
        with closing(SharedKeys()) as nobody_reads_them:
            unfinished = real(replace(self, keys=nobody_reads_them, _read={}), documents, doomed, **rest)
        return replace(manifests, under_way=unfinished.under_way)

    patch.setattr(Lookout, "look", look)


def abandoned_backup_counts(patch: Patch) -> None:
    """Whoever reads takes it for a backup."""

    def counts(self: WatchedBucket, node: str, backup: str) -> bool:
        files = (grammar.SCHEMA, grammar.MANIFEST)
        return all(self.find(self.layout.meta(node, backup, file)) is not None for file in files)

    patch.setattr(WatchedBucket, "counts", counts)


def documents_dropped_early(patch: Patch) -> None:
    """After a minute."""
    patch.setattr(purge, "may_drop", lambda *, created, now, grace: now - created > min(grace, 60.0))


def late_hands_act(patch: Patch) -> None:
    """Nobody asks how old a document is before carrying it out."""
    patch.setattr("backupstore.operations.deletion.may_execute", lambda **_: True)


def holds_ignored(patch: Patch) -> None:
    """Nobody looks for them."""
    patch.setattr(purge, "read_holds", lambda *_: ())


def create_only_off(patch: Patch) -> None:
    """A store that takes every write."""

    def create(self: MemoryStore, operation: str, key: str, body: bytes) -> StoredObject:
        del operation
        with self._bucket.lock:
            return self._bucket.hold(key, body)

    patch.setattr(MemoryStore, "_create", create)


def stock_ignored(patch: Patch) -> None:
    """Shared data is swept beside it."""
    patch.setattr(lookout, "is_stock_at_work", lambda *_, **__: False)
    real = condemning.standing

    def standing(seen: Seen, documents: AbstractSet[str], **rest: float) -> Standing:
        found = real(seen, documents, **rest)
        return Standing.OVER if found is Standing.STOCK else found

    patch.setattr(lookout, "standing", standing)


def any_attempt_will_do(patch: Patch) -> None:
    """That there is an attempt is enough, whatever it has seen."""
    real = condemning.standing

    def standing(seen: Seen, documents: AbstractSet[str], **rest: float) -> Standing:
        found = real(seen, documents, **rest)
        return Standing.WARNED if found is Standing.UNDER_WAY and seen.attempts else found

    patch.setattr(lookout, "standing", standing)


Mutant = Callable[[Patch], None]
MUTANTS: tuple[Mutant, ...] = (
    condemned_documents_ignored,
    attempt_before_condemned_is_read,
    listing_before_the_attempt,
    second_look_skipped,
    two_passes,
    abandoned_backup_counts,
    documents_dropped_early,
    late_hands_act,
    holds_ignored,
    create_only_off,
    stock_ignored,
    any_attempt_will_do,
    *CLUSTER_MUTANTS,
)
CAUGHT: dict[str, int] = {
    "condemned_documents_ignored": 52,
    "attempt_before_condemned_is_read": 75,
    "listing_before_the_attempt": 6,
    "second_look_skipped": 18,
    "two_passes": 471,
    "abandoned_backup_counts": 66,
    "documents_dropped_early": 224,
    "late_hands_act": 895,
    "holds_ignored": 42,
    "create_only_off": 157,
    "stock_ignored": 186,
    "any_attempt_will_do": 75,
    "what_was_not_checked_is_good": 319,
    "retention_trusts_the_catalog_alone": 586,
    "purges_do_not_hear_each_other": 196,
    "smaller_ring_accepted": 382,
    "no_revision": 231,
    "backups_listed_without_slash": 3,
    "nodes_listed_without_slash": 11,
    "workers_of_ended_purges_delete": 485,
    "schema_not_read_again": 54642,
}
"""The first history that showed it: "sim N"."""


@dataclass(frozen=True)
class Catch:
    """``number``: the history that shows it, as ``why`` says; ``tried``: so many were lived."""

    number: int
    tried: int
    why: str


def catch(mutant: Mutant, first: int, number: int) -> Catch | None:
    """Live histories "sim FIRST" and on with the rule broken, until one shows it."""
    prepare()
    with pytest.MonkeyPatch.context() as patch:
        mutant(patch)
        for tried in range(number):
            try:
                play(f"sim {first + tried}", settle=False)
            except Violation as error:
                return Catch(first + tried, tried + 1, str(error))
    return None
