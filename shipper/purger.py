"""What ``serve`` does when ``purge_schedule`` says so: the purge of the command line, with nobody there to force it."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

from backupstore.chance import random_text
from backupstore.core.layout import Layout
from backupstore.core.purge_records import run_name
from backupstore.core.shown import counted
from backupstore.errors import BackupError
from backupstore.operations.brake import HINT, why_braked
from backupstore.operations.plan import Place
from backupstore.operations.planning import make_plan
from backupstore.operations.purge_history import last_scheduled
from backupstore.operations.purging import Run, carry_out, put_braked_on_record
from backupstore.ports import Clock, Metrics, ObjectStore
from backupstore.settings import Settings
from backupstore.settings.retention import DAY, policy_of
from backupstore.wiring import check_bucket
from shipper.freeing import look_at_keeping, newest_going, remarks
from shipper.in_threads import Ended, hands
from shipper.measures import purging
from shipper.purge_words import outcome_text, tell_node, tell_rest
from shipper.wiring import sees_late

_log = logging.getLogger("medusa-shipper")
AT_ONCE = 8
"""Nodes at a time."""


class _NeedsSomebody(BackupError):
    """The brake, or trouble with some nodes: it is on record, and nothing changes by itself."""


@dataclass(frozen=True, slots=True)
class Purger:
    """``scheduled.Job``. ``ending``: is set when the process ends."""

    store: ObjectStore
    clock: Clock
    settings: Settings
    metrics: Metrics
    ending: threading.Event
    name: str = "purge"

    def last(self, prefix: str) -> float | None:
        """When the last one that a schedule began, and that came to its end, was begun."""
        check_bucket(self.store)
        return last_scheduled(self.store, Layout(prefix))

    def run(self, prefix: str, store: ObjectStore) -> None:
        """Purge one cluster. What only a person can mend is told, and not tried again before the next time."""
        check_bucket(self.store)
        try:
            with purging(self.metrics, prefix):
                self._purge(prefix, store)
        except _NeedsSomebody as error:
            _log.error("purge of %s: %s", _named(prefix), error.message, extra={"error": error})

    def _purge(self, prefix: str, store: ObjectStore) -> None:
        with hands(store, AT_ONCE, self._keep_on) as held:
            at = Place(held.store, Layout(prefix), self.clock.now(), held.each)
            plan = make_plan(at, policy_of(self.settings))
            run = self._run(at, plan.policy.incomplete_grace)
            braked = why_braked(plan, self.settings.shipper.purge_max_share)
            if braked:
                put_braked_on_record(at, plan, run)
                raise _NeedsSomebody(f"{braked} Nothing was deleted.", hint=HINT, operation="purge")
            said = tuple(remarks(look_at_keeping(self.store, newest_going(plan, at.layout)), at.layout))
            outcome = carry_out(at, plan, run, indexer=held.store)
        for line in outcome_text(outcome):
            _log.info("purge of %s: %s", _named(prefix), line)
        tell_rest(outcome)
        for remark in said if outcome.objects else ():
            _log.log(logging.WARNING if remark.hint else logging.INFO, remark.text, extra={"hint": remark.hint})
        if outcome.errors:
            raise _NeedsSomebody(
                f"it failed on {counted(len(outcome.errors), 'node')}.",
                hint="The lines above say why; the next purge goes on there.",
                operation="purge",
            )

    def _run(self, at: Place, grace: float) -> Run:
        return Run(
            name=run_name(at.now, random_text()),
            grace=grace,
            orphan_grace=self.settings.storage.backup_grace_period_in_days * DAY,
            cached_mount=sees_late(self.settings),
            scheduled=True,
            revision=random_text,
            running=self.clock.running,
            tell=tell_node,
        )

    def _keep_on(self) -> None:
        if self.ending.is_set():
            raise Ended


def _named(prefix: str) -> str:
    return f"cluster {prefix}" if prefix else "the cluster"
