"""The command that backs the node beside us up."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from backupstore.core.documents import Mode
from backupstore.core.names import check_backup_name, name_of_time
from backupstore.core.sizes import human_size
from backupstore.errors import BackupError, Misconfigured, Refused
from backupstore.operations.reading import read_head
from backupstore.ports import Clock
from backupstore.settings import Settings
from backupstore.wiring import make_bucket, open_metrics
from shipper.backup import Limits, Report, back_up
from shipper.begin import Request
from shipper.cli.alike import alike
from shipper.cli.console import out
from shipper.cli.logs import log, resumable
from shipper.cli.options import Globals
from shipper.measures import measured
from shipper.memory import used_before
from shipper.site import Site
from shipper.snapshot import Filters
from shipper.stagger import wait_for_turn
from shipper.wiring import NodeWiring

_DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Flags:
    """The switches of ``backup``. ``stagger``: seconds to wait for the node before this one; 0: not at all."""

    keep_snapshot: bool = False
    use_existing_snapshot: bool = False
    enable_md5_checks: bool = False
    stagger: int = 0


def default_name(clock: Clock) -> str:
    """The time in UTC, of fixed width: 202611230215."""
    return name_of_time(clock.now())


def run_backup(
    chosen: Globals,
    *,
    name: str | None,
    mode: Mode,
    keyspaces: Sequence[str],
    tables: Sequence[str],
    flags: Flags,
) -> None:
    """``backup``."""
    backup = default_name(chosen.clock) if name is None else _checked(name)
    settings = chosen.settings
    wiring = NodeWiring(settings, chosen.clock)
    request = Request(
        backup, mode, Filters(tuple(keyspaces), tuple(tables)), flags.keep_snapshot, flags.use_existing_snapshot
    )
    hint = f"Run '{_again(request)}' to go on where it was; a backup of another name gives it up."
    metrics = open_metrics(settings, os.environ, say=log.info, warn=log.warning)
    with (
        resumable(hint),
        measured(metrics, backup, cluster=chosen.layout.prefix, node=_who(chosen)) as tell,
        wiring.node,
    ):
        site = wiring.site(chosen.store, chosen.layout, chosen.node_name)
        log.info("backup %s of %s, %s", backup, site.name, mode)
        make_bucket(chosen.store, used_before=used_before(site.state, site.bucket))
        if flags.stagger:
            wait_for_turn(site, flags.stagger, chosen.console)
        report = back_up(site, request, limits_of(settings, flags), chosen.console)
        tell(report)
        _tell(chosen, site, report)


def limits_of(settings: Settings, flags: Flags) -> Limits:
    """How a backup goes, as settings and switches say it."""
    checks = settings.checks
    return Limits(
        workers=settings.storage.concurrent_transfers,
        grace=settings.shipper.incomplete_grace_days * _DAY,
        reread_days=float(settings.shipper.reread_known_files_after_days),
        compare_all=flags.enable_md5_checks or checks.enable_md5_checks,
        readers=max(1, checks.md5_check_concurrency),
        part_size=settings.storage.multipart_chunksize,
    )


def _who(chosen: Globals) -> str:
    """Our name for monitoring. Where nobody knows it the backup fails, and that is told as well."""
    try:
        return chosen.node_name
    except Misconfigured:
        return ""


def _again(request: Request) -> str:
    """The command that finishes this backup: the same one, with the name that it has."""
    flags = " --keep-snapshot" * request.keep_snapshot + " --use-existing-snapshot" * request.existing_snapshot
    mode = f" --mode {request.mode}" if request.mode != "differential" else ""
    keyspaces = "".join(f" --keyspace {name}" for name in request.filters.keyspaces)
    tables = "".join(f" --table {name}" for name in request.filters.tables)
    return f"backup --backup-name {request.backup}{mode}{keyspaces}{tables}{flags}"


def _checked(name: str) -> str:
    """A name that a backup may have; a wrong one is wrong usage."""
    try:
        return check_backup_name(name)
    except Refused as error:
        raise Misconfigured((error.message,), hint=error.hint) from error


def _tell(chosen: Globals, site: Site, report: Report) -> None:
    totals = report.totals
    for finding in (one for one in report.findings if one.is_corrupt):
        log.error("%s: %s", finding.path, finding.why)
    for line in alike((one.path, one.why) for one in report.findings if not one.is_corrupt):
        log.warning("%s", line)
    for path in report.rotten:
        log.error(
            "%s no longer holds what was backed up from it: the disk is losing data; the bucket has the good content",
            path,
        )
    out(
        f"{report.backup} of {site.name}: {totals.files:,} files, {human_size(totals.size)};"
        f" {totals.new_files:,} new, {human_size(totals.new_size)}; {report.seconds:.1f} s"
    )
    _tell_whether_indexed(chosen, site, report)
    report.check()


def _tell_whether_indexed(chosen: Globals, site: Site, report: Report) -> None:
    """Without a running indexer nobody would ever list this backup, so say so while somebody is looking.

    The backup is good, whether or not this can be seen.
    """
    try:
        for _ in range(10):
            head = read_head(site.store, site.layout)
            latest = head.latest.get(site.name) if head else None
            if latest and latest.name == report.backup:
                return
            chosen.clock.sleep(0.2)
    except BackupError as error:
        log.warning("whether it is in the catalog cannot be seen: %s", error.message, extra={"error": error})
        return
    out(
        "It is not in the catalog yet: run 'medusa-shipper serve' beside the bucket, or 'medusa-shipper build-index' once."
    )
