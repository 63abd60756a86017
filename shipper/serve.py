"""All functions of the system on one machine: what the cloud runs on events and timers, in one loop.

Today that is the indexer and its reconcile. Events are collected for a moment and handled together, each document
being written once; reconcile runs at the start and at intervals, so that whatever was lost is found. An error of one
cluster is told and tried again; it never stops the others.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from backupstore.core.events import ObjectEvent, subjects
from backupstore.core.layout import Layout
from backupstore.errors import BackupError
from backupstore.operations.index import index
from backupstore.operations.reconcile import ReconcileReport, prefixes, reconcile
from backupstore.ports import Clock, ObjectStore
from backupstore.stores.probe import probe_compare_and_swap
from shipper.watching import Watcher

_log = logging.getLogger("medusa-shipper")
_GATHER = 0.1


@dataclass(frozen=True, slots=True)
class Server:
    """One bucket. ``prefix`` None serves every cluster in it; ``interval`` is the seconds between two reconciles."""

    store: ObjectStore
    clock: Clock
    revision: Callable[[], str]
    interval: float
    prefix: str | None = None

    def clusters(self) -> tuple[str, ...]:
        """Prefixes to serve now."""
        return (self.prefix,) if self.prefix is not None else (prefixes(self.store) or ("",))

    def reconcile(self, clusters: Iterable[str]) -> bool:
        """Reconcile each; tell what was repaired. False when one failed."""
        good = True
        for prefix in clusters:
            try:
                report = reconcile(self.store, Layout(prefix), now=self.clock.now(), revision=self.revision)
            except BackupError as error:
                good = False
                _log.error("reconcile of %s: %s", _named(prefix), error.explained)
            else:
                _tell(prefix, report)
        return good

    def handle(self, events: Iterable[ObjectEvent]) -> None:
        """Bring the index up to date for what the events speak of."""
        wanted = {subject for subject in subjects(events) if self.prefix in {None, subject.prefix}}
        if not wanted:
            return
        try:
            report = index(self.store, wanted, now=self.clock.now(), revision=self.revision)
        except BackupError as error:
            _log.error("index: %s", error.explained)
        else:
            if report.written or report.removed:
                shown = ", ".join(sorted(f"{subject.backup} of {subject.node}" for subject in wanted))
                _log.info("indexed %s", shown)

    def run(self, watcher: Watcher, stop: threading.Event) -> None:
        """Serve until ``stop`` is set."""
        self._warn_without_conditional_writes()
        # Watch first, look second: what is written in between is seen at least once.
        clusters = self.clusters()
        watcher.follow(clusters)
        self.reconcile(clusters)
        due = self.clock.running() + self.interval
        while not stop.is_set():
            events = watcher.wait(min(1.0, max(0.0, due - self.clock.running())))
            if events:
                self.clock.sleep(_GATHER)
                events += watcher.wait(0)
                self.handle(events)
                watcher.follow({subject.prefix for subject in subjects(events)} if self.prefix is None else ())
            if self.clock.running() >= due:
                clusters = self.clusters()
                watcher.follow(clusters)
                self.reconcile(clusters)
                due = self.clock.running() + self.interval

    def _warn_without_conditional_writes(self) -> None:
        key = Layout(self.prefix or "").catalog_probe()
        try:
            works = probe_compare_and_swap(self.store, key, self.revision())
        except BackupError as error:
            _log.warning("conditional writes could not be probed: %s", error.explained)
            return
        if not works:
            _log.warning(
                "this store ignores conditional writes: run no second 'serve' and no 'build-index' beside this one"
            )


def _tell(prefix: str, report: ReconcileReport) -> None:
    if report.written or report.removed:
        _log.info(
            "reconcile of %s repaired %d and removed %d objects",
            _named(prefix),
            len(report.written),
            len(report.removed),
        )
    for problem in report.unreadable:
        _log.error("%s", problem)


def _named(prefix: str) -> str:
    return f"cluster {prefix}" if prefix else "the cluster"
