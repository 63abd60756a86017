"""What the handlers of all clouds do alike: read each cluster's catalog, and tell monitoring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from backupstore.clock import SystemClock
from backupstore.core.layout import Layout
from backupstore.core.measures import Sample
from backupstore.core.reporting import samples_of_failure
from backupstore.errors import BackupError, Corrupt, Refused
from backupstore.function_host import Log, clusters, details, named, until
from backupstore.operations.report import measure
from backupstore.ports import Clock, Metrics, ObjectStore
from backupstore.settings import Settings, load
from backupstore.wiring import open_metrics, open_store

_PART = 0.8  # of the time that is left: what could not be read in it has to be told as well


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One process of the function."""

    settings: Settings
    store: ObjectStore
    clock: Clock
    log: Log
    metrics: Metrics

    def report(self, seconds: float, prefix: str | None = None) -> int:
        """Tell of all clusters, or of one, within so many seconds; how many could not be read.

        What cannot be read is told in the numbers: then somebody is woken by them. Refused when nobody takes them.
        """
        store = until(self.store, self.clock, seconds * _PART)
        failed = list[str]()
        samples = list[Sample]()
        for cluster in self._clusters(store, prefix, samples, failed):

            def tell(error: BackupError, cluster: str = cluster) -> None:
                self._failed(cluster, error)
                failed.append(cluster)

            samples += measure(store, Layout(cluster), now=self.clock.now(), tell=tell)
        if not self.metrics.send(samples):
            raise Refused("the metrics were not taken", hint="The line above says why.", operation="report")
        return len(failed)

    def _clusters(
        self, store: ObjectStore, prefix: str | None, samples: list[Sample], failed: list[str]
    ) -> tuple[str, ...]:
        """Which there are. When nobody can tell, that is what is told."""
        try:
            return clusters(self.settings, store, prefix) or ("",)
        except Corrupt:
            raise  # nobody's bucket is to blame: a timer asks for what is not served
        except BackupError as error:
            self._failed(self.settings.storage.prefix or "", error)
            samples += samples_of_failure(self.settings.storage.prefix or "")
            failed.append("")
            return ()

    def _failed(self, cluster: str, error: BackupError) -> None:
        self.log.error("the backups of %s cannot be told of: %s", named(cluster), error.message, extra=details(error))


def opened(environ: Mapping[str, str], log: Log, *, provider: str) -> Host:
    """What the environment says; without a ``monitoring_provider`` in it, numbers go to this one.

    Its own retries are few: the cloud has its own.
    """
    settings = load(None, environ).settings
    if settings.monitoring.monitoring_provider is None:
        settings = replace(settings, monitoring=replace(settings.monitoring, monitoring_provider=provider))
    return Host(
        settings=settings,
        store=open_store(settings, patient=False),
        clock=SystemClock(),
        log=log,
        metrics=open_metrics(settings, environ, say=log.info, warn=log.warning),
    )
