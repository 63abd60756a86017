"""The command that restores the node beside us, or takes that back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from backupstore.core.sizes import human_size
from backupstore.errors import Misconfigured
from backupstore.wiring import check_bucket
from shipper.cli.asking import demand_name
from shipper.cli.console import out
from shipper.cli.logs import Stopped, resumable
from shipper.cli.options import Globals
from shipper.restore import journal as journals
from shipper.restore.node import Machine, plan_node, restore_node, undo
from shipper.restore.node import Request as RestoreRequest
from shipper.site import Site
from shipper.snapshot import Filters
from shipper.wiring import NodeWiring


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreOptions:
    """Flags of ``restore-node``."""

    in_place: bool
    remote: bool
    stop_first: bool
    yes: bool
    verify: bool
    accept_corrupt: bool
    ignore_ring_changes: bool
    without_hold: bool
    temp_dir: Path | None
    seeds: tuple[str, ...]
    keyspaces: tuple[str, ...]
    tables: tuple[str, ...]
    keep_auth: bool
    leave_job: bool
    dry_run: bool


def run_restore(chosen: Globals, name: str, flags: RestoreOptions) -> None:
    """``restore-node``."""
    if flags.temp_dir is not None and not flags.temp_dir.is_dir():
        raise Misconfigured(
            (f"--temp-dir {flags.temp_dir} is not a directory",), hint="Make it first, or leave the option out."
        )
    request = _request(name, flags)
    request.check()
    site, machine = _site_and_machine(chosen)
    if flags.dry_run:
        for line in plan_node(site, machine, request, chosen.console):
            out(line)
        return
    if flags.stop_first:
        _warn_of_one_way(site, name, machine, said=flags.yes)
    try:
        report = restore_node(site, machine, request, chosen.console)
    except Stopped as stopped:
        stopped.hint = _where_it_stands(site)
        raise
    part = ", ".join((*flags.keyspaces, *flags.tables))
    what = f"{part} of {report.backup}" if part else report.backup
    what = f"{what} of {site.name} is restored here" if flags.remote else f"{what} is restored on {site.name}"
    out(f"{what}: {report.files:,} files, {human_size(report.size)}; {report.seconds:.1f} s")
    if report.found:
        out(report.found)
    if report.members > 1:
        out(
            "Now bring it level with its replicas: nodetool repair --full (on this node, all keyspaces; -pr is not enough)."
        )


def _request(name: str, flags: RestoreOptions) -> RestoreRequest:
    return RestoreRequest(
        name,
        in_place=flags.in_place,
        verify=flags.verify,
        accept_corrupt=flags.accept_corrupt,
        ignore_ring_changes=flags.ignore_ring_changes,
        without_hold=flags.without_hold,
        temp_dir=flags.temp_dir,
        remote=flags.remote,
        stop_first=flags.stop_first,
        seeds=flags.seeds,
        filters=Filters(flags.keyspaces, flags.tables),
        keep_auth=flags.keep_auth,
        leave_job=flags.leave_job,
    )


def _where_it_stands(site: Site) -> str:
    """What a signal left behind, and the two ways on."""
    journal = journals.load(site.state)
    if journal is None or journal.phase in journals.BEFORE_STOP:
        return "The node is as it was. To go on, run the same command again."
    return f"Cassandra may be stopped; do not start it. {journal.how_to_finish} {journal.how_to_go_back}"


def run_undo(chosen: Globals, *, leave_job: bool) -> None:
    """``restore-node --undo``."""
    site, machine = _site_and_machine(chosen)
    with resumable("Cassandra may be stopped. Run 'restore-node --undo' again to finish."):
        journal = undo(site, machine, chosen.console, leave_job=leave_job)
    out(f"The restore of {journal.backup} is undone: {site.name} has its old data.")


def _warn_of_one_way(site: Site, name: str, machine: Machine, *, said: bool) -> None:
    """Before anything is deleted; not again once it is."""
    journal = journals.load(site.state)
    if journal is None or not journal.is_one_way:
        directories = ", ".join(map(str, machine.directories.data))
        demand_name(
            f"--stop-first stops Cassandra and deletes all data in {directories} before {name} is fetched."
            " It cannot be taken back: should the restore fail, this node has no data until it has worked.",
            name,
            said=said,
            operation="restore",
        )


def _site_and_machine(chosen: Globals) -> tuple[Site, Machine]:
    check_bucket(chosen.store)
    wiring = NodeWiring(chosen.settings, chosen.clock)
    return wiring.site(chosen.store, chosen.layout, chosen.node_name), wiring.machine()
