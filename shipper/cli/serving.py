"""The commands that keep the catalog: serve, build-index."""

from __future__ import annotations

import logging
import signal
import threading
import uuid

from backupstore.errors import Misconfigured, Refused
from backupstore.operations.reading import survey
from backupstore.operations.reconcile import reconcile
from backupstore.wiring import make_bucket
from shipper.cli import text
from shipper.cli.console import out
from shipper.cli.options import Globals
from shipper.serve import Server
from shipper.watching import DirectoryWatcher, Poller, Watcher, is_remote

_log = logging.getLogger("medusa-shipper")


def _revision() -> str:
    return uuid.uuid4().hex


def run_build_index(chosen: Globals, *, noop: bool) -> None:
    """``build-index``."""
    now = chosen.clock.now()
    if noop:
        for line in text.list_text(survey(chosen.store, chosen.layout, now=now, revision=_revision).head.backups):
            out(line)
        return
    report = reconcile(chosen.store, chosen.layout, now=now, revision=_revision, everything=True)
    out(
        f"{report.backups} cluster backups of {report.nodes} nodes:"
        f" {len(report.written)} objects of the index written, {len(report.removed)} removed"
    )
    for problem in report.unreadable:
        _log.error("%s", problem)


def run_serve(chosen: Globals, *, once: bool) -> None:
    """``serve``."""
    settings = chosen.settings
    make_bucket(chosen.store)
    server = Server(
        chosen.store, chosen.clock, _revision, float(settings.shipper.reconcile_interval), settings.storage.prefix
    )
    if once:
        if not server.reconcile(server.clusters()):
            raise Refused(
                "Not every cluster could be reconciled.", hint="The lines above say why.", operation="reconcile"
            )
        return
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    watcher = _watcher(chosen, stop)
    _log.info("serving %s", settings.storage.bucket_name + (f", prefix {server.prefix}" if server.prefix else ""))
    try:
        server.run(watcher, stop)
    finally:
        watcher.close()
    _log.info("stopped")


def _watcher(chosen: Globals, stop: threading.Event) -> Watcher:
    settings = chosen.settings
    base = settings.storage.base_path
    if base is None:
        raise Misconfigured(
            ("serve needs a local bucket in this version",), hint="Set storage_provider = local and base_path."
        )
    bucket = (base / settings.storage.bucket_name).resolve()
    watch = settings.shipper.watch
    if watch == "poll" or (watch == "auto" and is_remote(bucket)):
        interval = float(settings.shipper.poll_interval)
        _log.info("looking every %.0f seconds: events do not tell what other machines write to this mount", interval)
        return Poller(chosen.store, interval, stop.wait)
    return DirectoryWatcher(bucket)
