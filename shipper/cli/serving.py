"""The commands that keep the catalog: serve, build-index."""

from __future__ import annotations

import os
import threading
import uuid

from backupstore.errors import Corrupt, Misconfigured, Refused
from backupstore.operations.reading import survey
from backupstore.operations.reconcile import reconcile
from backupstore.wiring import check_bucket, open_metrics
from shipper.cli import text
from shipper.cli.console import out
from shipper.cli.logs import Stopped, keep_on, log
from shipper.cli.options import Globals
from shipper.cli.watchers import watching, where
from shipper.in_threads import hands
from shipper.purger import Purger
from shipper.reporter import Reporter
from shipper.scheduled import Scheduled
from shipper.serve import Server
from shipper.timetable import Timetable
from shipper.verifier import Verifier

_AT_ONCE = 8


def _revision() -> str:
    return uuid.uuid4().hex


def run_build_index(chosen: Globals, *, noop: bool) -> None:
    """``build-index``."""
    now = chosen.clock.now()
    check_bucket(chosen.store)
    if noop:
        for line in text.list_text(survey(chosen.store, chosen.layout, now=now, revision=_revision).head.backups):
            out(line)
        return
    with hands(chosen.store, _AT_ONCE) as held:
        report = reconcile(held.store, chosen.layout, now=now, revision=_revision, everything=True, each=held.each)
    out(
        f"{report.backups} cluster backups of {report.nodes} nodes:"
        f" {len(report.written)} objects of the index written, {len(report.removed)} removed"
    )
    if report.repaired:
        out(f"Repaired: {', '.join(report.repaired)}")
    for problem in report.unreadable:
        log.error("%s", problem)
    if report.unreadable:
        raise Corrupt(
            "Not everything could be indexed.", hint="The lines above say what and why.", operation="build-index"
        )


def run_serve(chosen: Globals, *, once: bool) -> None:
    """``serve``. A signal is how it ends, so that is no failure."""
    settings = chosen.settings
    interval = float(settings.shipper.reconcile_interval)
    verifier, jobs = _verifier(chosen), () if once else _jobs(chosen)
    server = Server(chosen.store, chosen.clock, _revision, interval, settings.storage.prefix, verifier, jobs, keep_on)
    if once:
        if not server.once():
            raise Refused("Not everything could be reconciled.", hint="The lines above say why.", operation="reconcile")
        return
    with watching(chosen) as watcher:
        log.info("serving %s%s", where(settings), f", prefix {server.prefix}" if server.prefix else "")
        try:
            server.run(watcher)
        except Stopped:
            watcher.close()
            log.info("stopped")
        finally:
            if verifier:
                verifier.stop()
            for job in jobs:
                job.stop()


def _verifier(chosen: Globals) -> Verifier | None:
    """What verifies beside it; None where it shall not."""
    options = chosen.settings.shipper
    if not options.verify_interval:
        return None
    return Verifier(
        chosen.store,
        chosen.clock,
        _revision,
        float(options.verify_interval),
        options.verify_data_share,
        chosen.settings.storage.multipart_chunksize,
    )


def _jobs(chosen: Globals) -> tuple[Scheduled, ...]:
    """What is done at set times. Misconfigured when a report would go nowhere."""
    options, clock, ending = chosen.settings.shipper, chosen.clock, threading.Event()
    if options.purge_schedule is None and options.report_schedule is None:
        return ()
    metrics = open_metrics(chosen.settings, os.environ, say=log.info, warn=log.warning)
    jobs = []
    if options.purge_schedule is not None:
        purger = Purger(chosen.store, clock, chosen.settings, metrics, ending)
        jobs.append(Scheduled(purger, Timetable(options.purge_schedule), clock, ending))
        log.info("purging by the schedule %s (UTC)", options.purge_schedule.text)
    if options.report_schedule is not None:
        if chosen.settings.monitoring.monitoring_provider is None:
            raise Misconfigured(
                (f"[shipper] report_schedule = {options.report_schedule.text}: there is nobody to report to",),
                hint="Set [monitoring] monitoring_provider, or leave report_schedule empty.",
            )
        jobs.append(Scheduled(Reporter(metrics, clock), Timetable(options.report_schedule), clock, ending))
        log.info("reporting by the schedule %s (UTC)", options.report_schedule.text)
    return tuple(jobs)
