"""The commands that keep the catalog: serve, build-index."""

from __future__ import annotations

import os
import threading

from backupstore.chance import random_text
from backupstore.errors import Corrupt, Misconfigured, Refused
from backupstore.operations.reading import survey
from backupstore.operations.reconcile import reconcile
from backupstore.signing import read_signer
from backupstore.wiring import check_bucket, open_metrics
from shipper.cli import text
from shipper.cli.console import out
from shipper.cli.logs import EndedBySignals, keep_on, log
from shipper.cli.options import Globals
from shipper.cli.watchers import coordinates, watching, where
from shipper.coordinating import Coordinating
from shipper.in_threads import hands
from shipper.purger import Purger
from shipper.reporter import Reporter
from shipper.scheduled import Scheduled
from shipper.serve import Server
from shipper.timetable import Timetable
from shipper.verifier import Verifier

_AT_ONCE = 8


def run_build_index(chosen: Globals, *, noop: bool) -> None:
    """``build-index``."""
    now = chosen.clock.now()
    check_bucket(chosen.store)
    if noop:
        for line in text.list_text(survey(chosen.store, chosen.layout, now=now, revision=random_text).head.backups):
            out(line)
        return
    with hands(chosen.store, _AT_ONCE) as held:
        report = reconcile(held.store, chosen.layout, now=now, revision=random_text, everything=True, each=held.each)
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
    verifier, coordinating, tasks = _verifier(chosen), _coordinating(chosen), () if once else _tasks(chosen)
    server = Server(
        chosen.store,
        chosen.clock,
        random_text,
        interval,
        settings.storage.prefix,
        verifier,
        coordinating,
        tasks,
        keep_on,
    )
    if once:
        if not server.once():
            raise Refused("Not everything could be reconciled.", hint="The lines above say why.", operation="reconcile")
        return
    with EndedBySignals(), watching(chosen) as watcher:
        log.info("serving %s%s", where(settings), f", prefix {server.prefix}" if server.prefix else "")
        try:
            with EndedBySignals():
                server.run(watcher)
            watcher.close()
            log.info("stopped")
        finally:
            if verifier:
                verifier.stop()
            if coordinating:
                coordinating.stop()
            for task in tasks:
                task.stop()


def _verifier(chosen: Globals) -> Verifier | None:
    """What verifies beside it; None where it shall not."""
    options = chosen.settings.shipper
    if not options.verify_interval:
        return None
    return Verifier(
        chosen.store,
        chosen.clock,
        random_text,
        float(options.verify_interval),
        options.verify_data_share,
        chosen.settings.storage.multipart_chunksize,
    )


def _coordinating(chosen: Globals) -> Coordinating | None:
    """What coordinates beside it; None where it shall not. Misconfigured when its key cannot be used."""
    options = chosen.settings.shipper
    if options.signing_key_file is None or not coordinates(options):
        return None
    signer = read_signer(options.signing_key_file)
    log.info("coordinating cluster restores and backups with the key %s", signer.key_id)
    interval, prefix = float(options.coordinate_interval), chosen.settings.storage.prefix
    return Coordinating(chosen.store, chosen.clock, signer, random_text, interval, prefix)


def _tasks(chosen: Globals) -> tuple[Scheduled, ...]:
    """What is done at set times. Misconfigured when a report would go nowhere."""
    options, clock, ending = chosen.settings.shipper, chosen.clock, threading.Event()
    if options.purge_schedule is None and options.report_schedule is None:
        return ()
    metrics = open_metrics(chosen.settings, os.environ, say=log.info, warn=log.warning)
    tasks = []
    if options.purge_schedule is not None:
        purger = Purger(chosen.store, clock, chosen.settings, metrics, ending)
        tasks.append(Scheduled(purger, Timetable(options.purge_schedule), clock, ending))
        log.info("purging by the schedule %s (UTC)", options.purge_schedule.text)
    if options.report_schedule is not None:
        if chosen.settings.monitoring.monitoring_provider is None:
            raise Misconfigured(
                (f"[shipper] report_schedule = {options.report_schedule.text}: there is nobody to report to",),
                hint="Set [monitoring] monitoring_provider, or leave report_schedule empty.",
            )
        tasks.append(Scheduled(Reporter(metrics, clock), Timetable(options.report_schedule), clock, ending))
        log.info("reporting by the schedule %s (UTC)", options.report_schedule.text)
    return tuple(tasks)
