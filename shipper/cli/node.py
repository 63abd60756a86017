"""The commands that work on the node beside us: backup, restore-node, download."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from backupstore.core.documents import Mode
from backupstore.core.names import check_backup_name
from backupstore.errors import Corrupt, Misconfigured
from backupstore.operations.reading import read_head
from backupstore.ports import Clock
from backupstore.wiring import make_bucket
from shipper.backup import Limits, Report, back_up
from shipper.begin import Request
from shipper.cli.console import out
from shipper.cli.options import Globals
from shipper.cli.sizes import human_size
from shipper.download import Request as DownloadRequest
from shipper.download import download
from shipper.restore.node import Machine, restore_node, undo
from shipper.restore.node import Request as RestoreRequest
from shipper.site import Site
from shipper.snapshot import Filters
from shipper.wiring import NodeWiring, remembered_host_id

_log = logging.getLogger("medusa-shipper")
_MODES: dict[str, Mode] = {"full": "full", "differential": "differential"}
_DAY = 86400.0


@dataclass(frozen=True, slots=True)
class RestoreOptions:
    """Flags of ``restore-node``."""

    in_place: bool
    verify: bool
    accept_corrupt: bool
    ignore_ring_changes: bool
    without_hold: bool
    temp_dir: Path | None


def default_name(clock: Clock) -> str:
    """The time in UTC, of fixed width: 202611230215."""
    return time.strftime("%Y%m%d%H%M", time.gmtime(clock.now()))


def run_backup(
    chosen: Globals,
    *,
    name: str | None,
    mode: str,
    keyspaces: Sequence[str],
    tables: Sequence[str],
    keep_snapshot: bool,
) -> None:
    """``backup``."""
    if mode not in _MODES:
        raise typer.BadParameter("differential or full", param_hint="--mode")
    if name is not None:
        check_backup_name(name)
    settings = chosen.settings
    wiring = NodeWiring(settings, chosen.clock)
    limits = Limits(
        workers=settings.storage.concurrent_transfers,
        grace=settings.shipper.incomplete_grace_days * _DAY,
        reread_days=float(settings.shipper.reread_known_files_after_days),
    )
    request = Request(
        name or default_name(chosen.clock), _MODES[mode], Filters(tuple(keyspaces), tuple(tables)), keep_snapshot
    )
    with wiring.node:
        site = wiring.site(chosen.store, chosen.layout, chosen.node_name)
        make_bucket(chosen.store, used_before=site.state.read("last").get("bucket") == site.bucket)
        _tell(chosen, site, back_up(site, request, limits, chosen.console))


def _tell(chosen: Globals, site: Site, report: Report) -> None:
    totals = report.totals
    corrupt = [finding for finding in report.findings if finding.is_corrupt]
    for finding in report.findings:
        _log.log(logging.ERROR if finding.is_corrupt else logging.WARNING, "%s: %s", finding.path, finding.why)
    for path in report.rotten:
        _log.error(
            "%s no longer holds what was backed up from it: the disk is losing data; the bucket has the good content",
            path,
        )
    out(
        f"{report.backup} of {site.name}: {totals.files:,} files, {human_size(totals.size)};"
        f" {totals.new_files:,} new, {human_size(totals.new_size)}; {report.seconds:.1f} s"
    )
    _tell_whether_indexed(chosen, site, report)
    if corrupt:
        raise Corrupt(
            f"{len(corrupt)} components of {report.backup} are corrupt on this node's disk; the backup is marked and never counts as good.",
            hint="Check the disk (dmesg, smartctl); run 'nodetool scrub' or rebuild the data from its replicas, then back up again.",
            operation="backup",
        )


def _tell_whether_indexed(chosen: Globals, site: Site, report: Report) -> None:
    """Without a running indexer nobody would ever list this backup, so say so while somebody is looking."""
    for _ in range(10):
        head = read_head(site.store, site.layout)
        latest = head.latest.get(site.name) if head else None
        if latest and latest.name == report.backup:
            return
        chosen.clock.sleep(0.2)
    out(
        "It is not in the catalog yet: run 'medusa-shipper serve' beside the bucket, or 'medusa-shipper build-index' once."
    )


def run_restore(chosen: Globals, name: str, flags: RestoreOptions) -> None:
    """``restore-node``."""
    if flags.temp_dir is not None and not flags.temp_dir.is_dir():
        raise Misconfigured(
            (f"--temp-dir {flags.temp_dir} is not a directory",), hint="Make it first, or leave the option out."
        )
    site, machine = _site_and_machine(chosen)
    request = RestoreRequest(
        name, flags.in_place, flags.verify, flags.accept_corrupt, flags.ignore_ring_changes, flags.without_hold
    )
    report = restore_node(site, machine, request, chosen.console)
    out(
        f"{report.backup} is restored on {site.name}: {report.files:,} files, {human_size(report.size)}; {report.seconds:.1f} s"
    )
    if report.members > 1:
        out(
            "Now bring it level with its replicas: nodetool repair --full (on this node, all keyspaces; -pr is not enough)."
        )


def run_undo(chosen: Globals) -> None:
    """``restore-node --undo``."""
    site, machine = _site_and_machine(chosen)
    journal = undo(site, machine, chosen.console)
    out(f"The restore of {journal.backup} is undone: {site.name} has its old data.")


def _site_and_machine(chosen: Globals) -> tuple[Site, Machine]:
    settings = chosen.settings
    wiring = NodeWiring(settings, chosen.clock)
    site = wiring.site(chosen.store, chosen.layout, chosen.node_name)
    machine = Machine(
        directories=wiring.directories(),
        service=wiring.service(),
        peers=wiring.peers(remembered_host_id(settings.shipper.state_dir)),
        workers=settings.storage.concurrent_transfers,
        new_id=lambda: f"restore-{uuid.uuid4().hex}",
    )
    return site, machine


def run_download(
    chosen: Globals,
    name: str,
    destination: Path,
    *,
    keyspaces: Sequence[str],
    tables: Sequence[str],
    ignore_system: bool,
) -> None:
    """``download``."""
    request = DownloadRequest(
        chosen.node_name, name, destination, Filters(tuple(keyspaces), tuple(tables)), ignore_system
    )
    report = download(
        chosen.store,
        chosen.layout,
        request,
        workers=chosen.settings.storage.concurrent_transfers,
        progress=chosen.console,
    )
    out(
        f"{name} of {request.node}: {report.files:,} files of {report.tables:,} tables, {human_size(report.size)}, in {destination}"
    )
