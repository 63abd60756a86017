"""The commands that keep the catalog: serve, build-index."""

from __future__ import annotations

import uuid
from pathlib import Path

from backupstore.errors import Corrupt, Refused
from backupstore.operations.reading import survey
from backupstore.operations.reconcile import reconcile
from backupstore.wiring import check_bucket
from shipper.cli import text
from shipper.cli.console import out
from shipper.cli.logs import Stopped, log
from shipper.cli.options import Globals
from shipper.inotify import DirectoryWatcher, EventsOrLooks
from shipper.serve import Server
from shipper.watching import Poller, Presence, Watcher, is_remote


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
    report = reconcile(chosen.store, chosen.layout, now=now, revision=_revision, everything=True)
    out(
        f"{report.backups} cluster backups of {report.nodes} nodes:"
        f" {len(report.written)} objects of the index written, {len(report.removed)} removed"
    )
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
    server = Server(chosen.store, chosen.clock, _revision, interval, settings.storage.prefix)
    if once:
        if not server.once():
            raise Refused("Not everything could be reconciled.", hint="The lines above say why.", operation="reconcile")
        return
    watcher = _watcher(chosen)
    log.info("serving %s%s", _where(chosen), f", prefix {server.prefix}" if server.prefix else "")
    try:
        server.run(watcher)
    except Stopped:
        watcher.close()
        log.info("stopped")


def _where(chosen: Globals) -> str:
    storage = chosen.settings.storage
    return str(storage.base_path / storage.bucket_name) if storage.base_path else storage.bucket_name


def _watcher(chosen: Globals) -> Watcher:
    """By events where these tell of every writer, else by looking."""
    options, bucket = chosen.settings.shipper, Path(_where(chosen))
    interval, presence = float(options.poll_interval), Presence(bucket)

    def looks() -> Watcher:
        return Poller(chosen.store, chosen.clock, interval, presence.check)

    def used_up(why: str) -> None:
        log.warning(
            "%s: looking every %.0f seconds from now on",
            why,
            interval,
            extra={"hint": "Raise fs.inotify.max_user_watches and max_user_instances (sysctl), then restart this."},
        )

    if options.watch == "poll" or (options.watch == "auto" and is_remote(bucket.resolve())):
        log.info("looking every %.0f seconds: events do not tell what other machines write to a mount", interval)
        return looks()
    return EventsOrLooks(DirectoryWatcher(bucket.resolve(), presence.check), looks, used_up)
