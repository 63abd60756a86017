"""The command that tells how old the last backups are, to people and to monitoring."""

from __future__ import annotations

import os

from backupstore.core.reporting import json_of, report_of, samples_of, samples_of_failure, text_of
from backupstore.errors import BackupError, Refused
from backupstore.operations.report import measure_work
from backupstore.wiring import open_metrics
from shipper.cli.console import out, out_json
from shipper.cli.logs import log
from shipper.cli.options import Globals
from shipper.cli.reading import listing


def run_report(chosen: Globals, *, push: bool, output: str) -> None:
    """``report-last-backup``. Refused, when everything else is done, if metrics were to be pushed and are not."""
    cluster = chosen.layout.prefix
    metrics = open_metrics(chosen.settings, os.environ, say=log.info, warn=log.warning) if push else None
    try:
        node, found = chosen.node_name, listing(chosen)
    except BackupError:
        if metrics is not None:
            metrics.send(samples_of_failure(cluster))
        raise
    report = report_of(found.head, now=chosen.clock.now(), checked=found.checked)
    if output == "json":
        out_json(json_of(report, node))
    else:
        for line in text_of(report, node):
            out(line)
    if metrics is None:
        return
    work = measure_work(chosen.store, chosen.layout, now=report.now)
    if not metrics.send([*samples_of(report, cluster, node), *work]):
        raise _not_pushed(chosen)


def _not_pushed(chosen: Globals) -> Refused:
    if chosen.settings.monitoring.monitoring_provider is None:
        why, hint = "no provider is set", "Set [monitoring] monitoring_provider, or leave --push-metrics out."
    else:
        why, hint = "the receiver did not take them", "The line above says why. The report itself is right."
    return Refused(f"The metrics were not pushed: {why}.", hint=hint, operation="report-last-backup")
