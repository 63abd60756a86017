"""catalog = f(bucket): after the last event, or one reconcile, everything derived is what a rebuild from nothing gives.

A thousand histories each way would mean little if they could not fail: the mutants at the end are indexers that leave
out one precaution each, and each of them is caught.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from random import Random

import pytest

from backupstore.core.events import Subject
from backupstore.core.key_parsing import parse_in
from backupstore.core.keys import MetaKey
from backupstore.errors import NotFound, Retryable
from backupstore.operations import backups, head, markers
from backupstore.operations import index as indexing
from backupstore.operations.passes import Indexing
from backupstore.ports import Document, ObjectStore, StoredObject
from tests.interleaving import Around
from tests.operations.histories import LAYOUT, Index, Weather, derived, differences, play, rebuilt, reconciled, seeds
from tests.operations.lives import World
from tests.operations.one_pass import one_pass_only

CALM = Weather()
STORMY = Weather(lost=0.3, again=0.3, faults=0.02, markers=True)
BUSY = Weather(reconciles=True)
BLOCK = 50


@pytest.mark.parametrize("block", range(12))
def test_after_the_last_event_everything_is_as_a_rebuild_makes_it(block: int) -> None:
    for seed in seeds(block * BLOCK, BLOCK):
        bucket = play(seed, CALM)
        assert not differences(derived(bucket), derived(rebuilt(bucket))), seed


@pytest.mark.parametrize("block", range(12))
def test_after_lost_events_one_reconcile_makes_everything_as_a_rebuild_does(block: int) -> None:
    for seed in seeds(10_000 + block * BLOCK, BLOCK):
        bucket = reconciled(play(seed, STORMY))
        assert not differences(derived(bucket), derived(rebuilt(bucket))), seed


@pytest.mark.parametrize("block", range(2))
def test_reconciles_and_rebuilds_may_run_meanwhile(block: int) -> None:
    for seed in seeds(15_000 + block * BLOCK, BLOCK):
        bucket = play(seed, BUSY)
        assert not differences(derived(bucket), derived(rebuilt(bucket))), seed


def test_a_seed_is_a_history() -> None:
    buckets = [play("history again", STORMY).open(None) for _ in range(2)]
    first, second = [[(held, bucket.read(held.key)) for held in bucket.list("")] for bucket in buckets]
    assert first == second


def test_histories_hold_all_that_can_happen() -> None:
    told: dict[str, int] = {}
    for number in range(20):
        world = World(Random(number), LAYOUT, acts=60, markers=True)
        while not world.over:
            world.act()
        assert len(world.pool) >= 50
        for event in world.pool:
            what = f"{event.kind} {type(parse_in(LAYOUT, event.key)).__name__}"
            told[what] = told.get(what, 0) + 1
    assert told.keys() == {
        "created AnnouncedKey",
        "created LatestKey",
        "created MetaKey",
        "created RowKey",
        "removed MetaKey",
        "removed RowKey",
    }


# ---------------------------------------------------------------- mutants


class Remembering(Around):
    """The truth as it was when it was first looked at."""

    def __init__(self, store: ObjectStore) -> None:
        super().__init__(store)
        self._listed: dict[str, tuple[StoredObject, ...]] = {}
        self._read: dict[str, Document | None] = {}

    def list(self, folder: str) -> Iterator[StoredObject]:
        if not folder.endswith("/meta/"):
            return super().list(folder)
        if folder not in self._listed:
            self._listed[folder] = tuple(super().list(folder))
            for held in self._listed[folder]:
                self._keep(held.key)
        return iter(self._listed[folder])

    def read(self, key: str, *, limit: int = 64 << 20) -> Document:
        if not isinstance(parse_in(LAYOUT, key), MetaKey):
            return super().read(key, limit=limit)
        document = self._keep(key)
        if document is None:
            raise NotFound(key)
        return document

    def fetch(self, key: str, sink: Callable[[bytes], None]) -> StoredObject:
        document = self.read(key)
        sink(document.body)
        return StoredObject(key, len(document.body), document.modified)

    def _keep(self, key: str) -> Document | None:
        if key not in self._read:
            try:
                self._read[key] = super().read(key)
            except NotFound:
                self._read[key] = None
        return self._read[key]


class Unconditional(Around):
    """A store that ignores conditions, as some do."""

    def create(self, key: str, body: bytes) -> StoredObject:
        return self.put(key, body)

    def replace(self, key: str, body: bytes, version: str) -> StoredObject:  # noqa: ARG002 # as some stores do
        return self.put(key, body)


def truth_before_the_document(_patch: pytest.MonkeyPatch) -> Index:
    def index(
        store: ObjectStore, subjects: Iterable[Subject], *, now: float, revision: Callable[[], str]
    ) -> indexing.IndexReport:
        remembering = Remembering(store)
        wanted = frozenset(subjects)
        try:
            for subject in sorted(wanted):
                tuple(remembering.list(LAYOUT.meta_folder(subject.node, subject.backup)))
        except Retryable as error:
            return indexing.IndexReport(failed=dict.fromkeys(wanted, error))
        return indexing.index(remembering, wanted, now=now, revision=revision)

    return index


def no_compare_and_swap(_patch: pytest.MonkeyPatch) -> Index:
    return lambda store, subjects, *, now, revision: indexing.index(
        Unconditional(store), subjects, now=now, revision=revision
    )


def no_head_without_a_changed_document(patch: pytest.MonkeyPatch) -> Index:
    def settle_head(at: Indexing, names: Iterable[str]) -> None:
        changed = {name for name in names if LAYOUT.catalog_backup(name) in at.changes.written}
        head.settle_head(at, changed)

    patch.setattr(indexing, "settle_head", settle_head)
    return indexing.index


def one_pass(patch: pytest.MonkeyPatch) -> Index:
    """No second look after a write, at schema.cql or anything else."""
    one_pass_only(patch, backups, head, markers)
    return indexing.index


def no_second_look_at_rows(patch: pytest.MonkeyPatch) -> Index:
    """The schema is not read again after rows were written; head and markers are as they should be."""
    one_pass_only(patch, backups)
    return indexing.index


MUTANTS = [
    truth_before_the_document,
    no_compare_and_swap,
    no_head_without_a_changed_document,
    one_pass,
    no_second_look_at_rows,
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: str(mutant.__name__))
def test_an_indexer_without_this_precaution_is_caught(mutant: Callable[[pytest.MonkeyPatch], Index]) -> None:
    for seed in seeds(20_000, 2_000):
        with pytest.MonkeyPatch.context() as patch:
            bucket = play(seed, CALM, index=mutant(patch))
        if differences(derived(bucket), derived(rebuilt(bucket))):
            return
    pytest.fail("no history shows it")
