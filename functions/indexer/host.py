"""What the handlers of all clouds do alike: bring the catalog up to date for some messages, or whole, and say what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from backupstore.chance import random_text
from backupstore.core.layout import Layout
from backupstore.core.notifications import Notified
from backupstore.errors import BackupError
from backupstore.function_host import Log, clusters, details, named, raise_first, until
from backupstore.operations.deliver import Delivery, deliver
from backupstore.operations.reading import read_head
from backupstore.operations.reconcile import TRUST, ReconcileReport, reconcile
from backupstore.ports import Clock, ObjectStore
from backupstore.settings import Settings
from backupstore.stores.deadline import DeadlineStore

_AT_ONCE = 8
_PART = 0.8  # of the time that is left: the last call may take longer, and the answer has to be given


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One process of the function. ``count`` takes a number by its name."""

    settings: Settings
    store: ObjectStore
    clock: Clock
    log: Log
    count: Callable[[str, float], None]

    @property
    def bucket(self) -> str:
        """The one whose events count."""
        return self.settings.storage.bucket_name

    def deliver(self, messages: Mapping[str, Notified], seconds: float) -> Delivery:
        """Look at all that these messages, by their names, speak of, within so many seconds."""
        store = until(self.store, self.clock, seconds * _PART)
        prefix = self.settings.storage.prefix
        delivery = deliver(store, messages, now=self.clock.now(), revision=random_text, prefix=prefix)
        self._tell(messages, delivery)
        return delivery

    def reconcile(self, seconds: float, prefix: str | None = None) -> int:
        """Compare everything with the bucket, or one cluster, within so many seconds; how many objects were repaired.

        The cluster that was confirmed longest ago comes first. None takes more than half of the time that is left when it
        begins, but for the last, so that one that never fits does not keep the others from it. What could not be done is
        raised after all others were.
        """
        end = self.clock.running() + seconds * _PART
        whole = DeadlineStore(self.store, self.clock, end)
        served = sorted(clusters(self.settings, whole, prefix), key=lambda cluster: self._confirmed(whole, cluster))
        repaired, troubles = 0, dict[str, BackupError]()
        for number, cluster in enumerate(served, start=1):
            left = end - self.clock.running()
            until = end if number == len(served) else end - left / 2
            try:
                report = self._reconcile(DeadlineStore(self.store, self.clock, until), cluster)
            except BackupError as error:
                troubles[cluster] = error
            else:
                self._tell_repairs(cluster, report)
                repaired += len(report.written) + len(report.removed)
        self.count("reconciled-objects", repaired)
        raise_first(self.log, "reconcile", troubles)
        return repaired

    def _confirmed(self, store: ObjectStore, cluster: str) -> float:
        """When somebody last confirmed its catalog; long ago where that cannot be told."""
        try:
            head = read_head(store, Layout(cluster))
        except BackupError:
            return 0.0
        return head.checked if head else 0.0

    def _reconcile(self, store: ObjectStore, cluster: str) -> ReconcileReport:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return reconcile(
                store, Layout(cluster), now=self.clock.now(), revision=random_text, trust=TRUST, each=pool.map
            )

    def _tell_repairs(self, cluster: str, report: ReconcileReport) -> None:
        if report.written or report.removed:
            extra = {"written": len(report.written), "removed": len(report.removed), "backups": report.repaired}
            self.log.info("reconcile of %s repaired what no event told of", named(cluster), extra=extra)
        for problem in report.unreadable:
            self.log.error("%s", problem)

    def _tell(self, messages: Mapping[str, Notified], delivery: Delivery) -> None:
        for name, error in delivery.failures.items():
            self.log.error("%s: %s", name, error.message, extra=details(error))
        elsewhere = frozenset[str]().union(*(notified.elsewhere for notified in messages.values()))
        if elsewhere:
            self.log.warning("events of other buckets were left out: %s", ", ".join(sorted(elsewhere)))
        written, removed = len(delivery.report.written), len(delivery.report.removed)
        done = delivery.wanted - delivery.report.failed.keys()
        if done and (written or removed):
            backups = sorted(f"{subject.backup} of {subject.node}" for subject in done)
            self.log.info("indexed %s", ", ".join(backups), extra={"written": written, "removed": removed})
        self.count("indexed-node-backups", len(done))
        self.count("index-failures", len(delivery.failures))
