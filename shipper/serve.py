"""All functions of the system on one machine: what the cloud runs on events and timers, in one loop.

These are the indexer, its reconcile, verify (``verifier``), the coordinator (``coordinating``), and at set times purge and
report (``scheduled``). Events are collected for a moment and handled together, each document being written once; reconcile
runs at the start and at intervals, so that whatever was lost is found. An error of one cluster is told and tried again; it
never stops the others.
A bucket that goes away, as a mount does, is told of once and waited for.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from backupstore.core.events import Subject, clusters_with_news, subjects
from backupstore.core.layout import Layout
from backupstore.core.shown import some_of
from backupstore.errors import BackupError, NotFound, Retryable
from backupstore.operations.index import index
from backupstore.operations.reading import read_head
from backupstore.operations.reconcile import TRUST, ReconcileReport, prefixes, reconcile
from backupstore.ports import Clock, ObjectStore
from backupstore.stores.probe import probe_compare_and_swap
from backupstore.stores.single import SingleWriterStore
from backupstore.wiring import check_bucket, sweep_unfinished
from shipper.coordinating import Coordinating
from shipper.in_threads import hands, never_ends
from shipper.scheduled import Scheduled
from shipper.verifier import Verifier
from shipper.watching import EventsLost, Watcher

_log = logging.getLogger("medusa-shipper")
_GATHER = 0.1
_LOOK = 0.5
_TRY_AGAIN = 5.0
_SWEEP = 3600.0
_AT_ONCE = 8
_SHOWN = 10


@dataclass(slots=True)
class Server:
    """One bucket. ``prefix`` None serves every cluster in it; ``interval`` is the seconds between two reconciles.

    ``keep_on`` is asked all the time, and raises what ends it.
    """

    store: ObjectStore
    clock: Clock
    revision: Callable[[], str]
    interval: float
    prefix: str | None = None
    verifier: Verifier | None = None
    coordinating: Coordinating | None = None
    tasks: tuple[Scheduled, ...] = ()
    keep_on: Callable[[], None] = never_ends
    _failed: set[Subject] = field(default_factory=set, init=False)
    _try_again: float = field(default=0.0, init=False)
    _due: float = field(default=0.0, init=False)
    _swept: float | None = field(default=None, init=False)
    _has_begun: bool = field(default=False, init=False)
    _known: tuple[str, ...] = field(default=(), init=False)
    _written: ObjectStore = field(init=False)

    def __post_init__(self) -> None:
        """Believe that the store keeps conditions until it was asked."""
        self._written = self.store

    def run(self, watcher: Watcher) -> NoReturn:
        """Serve until a signal ends it. What no waiting will mend is raised, if it is so from the start."""
        trouble = ""
        if self.verifier:
            self.verifier.start()
        while True:
            try:
                self._look_at_all(watcher)
                if trouble:
                    _log.info("it works again")
                    trouble = ""
                while True:
                    self._turn(watcher)
            except EventsLost:
                continue
            except BackupError as error:
                if self.verifier:
                    self.verifier.forget()
                if not self._has_begun and not isinstance(error, NotFound | Retryable):
                    raise
                if error.message != trouble:
                    # Before the first backup there is no bucket; later, it is one that was there.
                    level = logging.ERROR if self._has_begun else logging.WARNING
                    _log.log(level, "%s: trying until it works", error.message, extra={"error": error})
                trouble = error.message
                self.keep_on()
                self.clock.sleep(_LOOK)

    def once(self) -> bool:
        """Reconcile everything once; whether all of it went well."""
        check_bucket(self.store)
        self._probe_conditional_writes()
        clusters = self._clusters()
        good = self._reconcile(clusters, TRUST)
        if self.verifier:
            self._look_for_unverified(clusters)
            self.verifier.work()
            self._index(self.verifier.put_down())
        if self.coordinating:
            good = self.coordinating.once(self._written) and good
        return good and not self._failed

    def _look_at_all(self, watcher: Watcher, trust: float = 0.0) -> None:
        """Watch first, look second: what is written in between is seen at least once. ``trust``: as for ``reconcile``."""
        check_bucket(self.store)
        if not self._has_begun:
            self._probe_conditional_writes()
        clusters = self._known = self._clusters()
        watcher.follow(clusters)
        self._reconcile(clusters, trust)
        self._look_for_unverified(clusters)
        self._due = self.clock.running() + self.interval
        self._has_begun = True

    def _turn(self, watcher: Watcher) -> None:
        """Wait for a moment, and do what there is to do."""
        self.keep_on()
        events = watcher.wait(max(0.0, min(_LOOK, self._due - self.clock.running())))
        if events:
            self.clock.sleep(_GATHER)
            events += watcher.wait(0)
        wanted = {subject for subject in subjects(events) if self.prefix in {None, subject.prefix}}
        if self._failed and self.clock.running() >= self._try_again:
            wanted |= self._failed
        if self.verifier:
            wanted |= self.verifier.put_down()
        if wanted:
            watcher.follow({subject.prefix for subject in wanted})
            self._index(wanted)
            self._look_for_unverified({subject.prefix for subject in wanted})
        if self.clock.running() >= self._due:
            self._look_at_all(watcher, TRUST)
        if self.coordinating:
            news = {prefix for prefix in clusters_with_news(events) if self.prefix in {None, prefix}}
            self.coordinating.look(news, self._written)
        for task in self.tasks:
            task.look(self._known, self._written)

    def _clusters(self) -> tuple[str, ...]:
        """Prefixes to serve now."""
        if self.prefix is not None:
            return (self.prefix,)
        asked = self.coordinating.search.clusters(self.store, self.clock.running()) if self.coordinating else ()
        return tuple(sorted({*prefixes(self.store), *asked})) or ("",)

    def _index(self, wanted: Iterable[Subject]) -> None:
        """Bring the index up to date for these, cluster by cluster; what fails is tried again."""
        by_prefix: dict[str, set[Subject]] = {}
        for subject in wanted:
            by_prefix.setdefault(subject.prefix, set()).add(subject)
        for prefix, ours in sorted(by_prefix.items()):
            report = index(self._written, ours, now=self.clock.now(), revision=self.revision)
            failed = report.failed.keys()
            if failed:
                check_bucket(self.store)
                self._try_again = self.clock.running() + _TRY_AGAIN
            for error in dict.fromkeys(report.failed[subject] for subject in sorted(failed - self._failed)):
                _log.error("index of %s: %s", _named(prefix), error.message, extra={"error": error})
            self._failed = (self._failed - ours) | failed
            done = ours - failed
            if done and (report.written or report.removed):
                _log.info("indexed %s", ", ".join(sorted(_about(subject) for subject in done)))

    def _look_for_unverified(self, clusters: Iterable[str]) -> None:
        """Have verified what has become complete, and what is due again."""
        if self.verifier is None:
            return
        for prefix in clusters:
            try:
                head = read_head(self.store, Layout(prefix))
            except BackupError as error:
                _log.warning("what is to be verified cannot be told: %s", error.message, extra={"error": error})
            else:
                if head:
                    self.verifier.look(prefix, head)

    def _reconcile(self, clusters: Iterable[str], trust: float) -> bool:
        """Reconcile each, and tell what was repaired. False when one failed, or holds what cannot be read. ``trust``: its own."""
        good = True
        for prefix in clusters:
            self.keep_on()
            try:
                with hands(self._written, _AT_ONCE) as held:
                    report = reconcile(
                        held.store,
                        Layout(prefix),
                        now=self.clock.now(),
                        revision=self.revision,
                        trust=trust,
                        each=held.each,
                    )
            except BackupError as error:
                check_bucket(self.store)
                good = False
                _log.error("reconcile of %s: %s", _named(prefix), error.message, extra={"error": error})
            else:
                good = good and not report.unreadable
                _tell(prefix, report)
        self._sweep()
        return good

    def _sweep(self) -> None:
        """Remove what killed writers left, now and then: it only takes space."""
        now = self.clock.running()
        if self._swept is not None and now - self._swept < _SWEEP:
            return
        self._swept = now
        try:
            count = sweep_unfinished(self.store, self.clock.now())
        except NotFound:
            raise
        except BackupError as error:
            _log.warning("unfinished files could not be removed: %s", error.message, extra={"error": error})
        else:
            if count:
                _log.info("removed %d unfinished files that killed writers had left", count)

    def _probe_conditional_writes(self) -> None:
        key = Layout(self.prefix or "").catalog_probe()
        if not probe_compare_and_swap(self.store, key, self.revision()):
            self._written = SingleWriterStore(self.store)
            _log.warning(
                "this store knows no conditional writes: run no second 'serve' and no 'build-index' beside this one"
            )


def _tell(prefix: str, report: ReconcileReport) -> None:
    if report.written or report.removed:
        _log.info(
            "reconcile of %s repaired %d and removed %d objects%s",
            _named(prefix),
            len(report.written),
            len(report.removed),
            f": {_listed(report.repaired)}" if report.repaired else "",
        )
    for problem in report.unreadable:
        _log.error("%s", problem)


def _listed(names: Sequence[str]) -> str:
    return some_of(names, _SHOWN)


def _about(subject: Subject) -> str:
    return f"{subject.backup} of {subject.node}" if subject.node else f"what was found about {subject.backup}"


def _named(prefix: str) -> str:
    return f"cluster {prefix}" if prefix else "the cluster"
