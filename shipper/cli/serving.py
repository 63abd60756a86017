"""The commands that keep the catalog: serve, build-index."""

from __future__ import annotations

import uuid

from backupstore.errors import Corrupt, Refused
from backupstore.operations.reading import survey
from backupstore.operations.reconcile import reconcile
from backupstore.wiring import check_bucket
from shipper.cli import text
from shipper.cli.console import out
from shipper.cli.logs import Stopped, log
from shipper.cli.options import Globals
from shipper.cli.watchers import watching, where
from shipper.serve import Server
from shipper.verifier import Verifier


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
    verifier = _verifier(chosen)
    server = Server(chosen.store, chosen.clock, _revision, interval, settings.storage.prefix, verifier)
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
