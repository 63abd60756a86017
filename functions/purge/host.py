"""What the handlers of all clouds do alike: plan the clusters, work on a node, and say what came of it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from backupstore.chance import random_text
from backupstore.core.layout import Layout
from backupstore.core.measures import PURGE_ERROR, Sample
from backupstore.core.purge_records import PurgeRecord, PurgeRules, run_name
from backupstore.core.work import PurgeWork, read_work
from backupstore.errors import BackupError, Corrupt
from backupstore.function_host import Log, clusters, details, named, raise_first, until
from backupstore.operations.opening import Opening
from backupstore.operations.plan import Place
from backupstore.operations.purging import Worker
from backupstore.operations.queued_purge import Sent, Worked, plan_and_send, work_off
from backupstore.ports import Clock, Metrics, ObjectStore, WorkQueue
from backupstore.settings import Settings
from backupstore.settings.retention import DAY, policy_of

_AT_ONCE = 8
_WORK, _ALL = 0.7, 0.85  # of the time that is left: for the work, and until what was done has been put down


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One process of the function. ``queue`` is opened when work is to be sent; ``count`` takes a number by its name."""

    settings: Settings
    store: ObjectStore
    clock: Clock
    queue: Callable[[], WorkQueue]
    log: Log
    metrics: Metrics
    count: Callable[[str, float], None]

    def plan(self, seconds: float, prefix: str | None = None) -> int:
        """Plan within so many seconds, and send the work; the number of messages. ``prefix``: that cluster alone.

        What could not be planned is raised after all other clusters were. Corrupt for a prefix that this is not for.
        """
        sent, troubles = 0, dict[str, BackupError]()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            store = until(self.store, self.clock, seconds * _ALL)
            for cluster in clusters(self.settings, store, prefix):
                try:
                    done = self._plan_one(Place(store, Layout(cluster), self.clock.now(), pool.map))
                except BackupError as error:
                    troubles[cluster] = error
                else:
                    self._tell_plan(cluster, done)
                    sent += len(done.nodes)
        self.count("purge-messages", sent)
        for cluster in troubles:
            self._tell_error(cluster, is_bad=True)
        raise_first(self.log, "no purge", troubles)
        return sent

    def work(self, text: str, seconds: float) -> None:
        """Do what one message asks for, within so many seconds. What is raised lets it come again."""
        trouble = self._try(text, seconds)
        if trouble is not None:
            self.log.error("%s", trouble.message, extra=details(trouble))
            self.count("purge-failures", 1)
            raise trouble

    def _plan_one(self, at: Place) -> Sent:
        policy, ours = policy_of(self.settings), self.settings.shipper
        orphan_grace = self.settings.storage.backup_grace_period_in_days * DAY
        opening = Opening(
            name=run_name(at.now, random_text()),
            rules=PurgeRules(grace=policy.incomplete_grace, orphan_grace=orphan_grace),
            revision=random_text,
            scheduled=True,
        )
        return plan_and_send(at, policy, ours.purge_max_share, opening, self.queue())

    def _try(self, text: str, seconds: float) -> BackupError | None:
        try:
            work = read_work(text)
            if not isinstance(work, PurgeWork) or self.settings.storage.prefix not in {None, work.prefix}:
                return Corrupt(
                    f"This is no work of this function: {text[:200]}",
                    hint="Give each function a queue of its own.",
                    operation="purge",
                )
            layout, now = Layout(work.prefix), self.clock.now()
            at, late = (Place(until(self.store, self.clock, seconds * part), layout, now) for part in (_WORK, _ALL))
            worker = Worker(at, random_text, self.clock.running, late=late)
            self._tell_work(work, work_off(worker, work, indexer=late.store))
        except BackupError as error:
            return error
        return None

    def _tell_plan(self, cluster: str, done: Sent) -> None:
        for record in done.given_up:
            self._tell_end(cluster, record)
        if done.braked:
            self.log.error("purge of %s: %s Nothing was deleted.", named(cluster), done.braked, extra={"run": done.run})
            self._tell_error(cluster, is_bad=True)
        for verdict in () if done.braked else done.plan.verdicts:
            if verdict.delete:
                self.log.info("%s goes: %s", verdict.name, verdict.reason, extra={"run": done.run})
        if done.untidied:
            self.log.warning("old records stay: %s", done.untidied.message, extra=details(done.untidied))

    def _tell_work(self, work: PurgeWork, done: Worked) -> None:
        extra = {"run": work.run, "node": work.node}
        if done.result is None:
            self.log.info("purge %s is over: nothing is left to do for %s", work.run, work.node, extra=extra)
        else:
            self.count("purged-objects", done.result.objects)
            self.count("purged-bytes", done.result.bytes)
            freed = {"objects": done.result.objects, "bytes": done.result.bytes, "done": done.result.done}
            self.log.info("%s was purged", work.node, extra={**extra, **freed})
            for note in done.result.notes:
                self.log.warning("%s", note, extra=extra)
        for subject, error in done.index.failed.items():
            self.log.warning("%s is still in the catalog: %s", subject.backup, error.message, extra=details(error))
        if done.ended:
            self._tell_end(work.prefix, done.ended)

    def _tell_end(self, cluster: str, record: PurgeRecord) -> None:
        errors = [result for result in record.results if result.error]
        self.log.info(
            "purge of %s is over",
            named(cluster),
            extra={
                "run": record.run,
                "objects": sum(one.objects for one in record.results),
                "bytes": sum(one.bytes for one in record.results),
                "failed": len(errors),
                "blocked": len(record.blocked),
            },
        )
        for result in errors:
            self.log.error("%s: %s", result.node, result.error, extra={"run": record.run, "node": result.node})
        self._tell_error(cluster, is_bad=bool(errors))

    def _tell_error(self, cluster: str, *, is_bad: bool) -> None:
        self.metrics.send([Sample(PURGE_ERROR, int(is_bad), cluster)])
