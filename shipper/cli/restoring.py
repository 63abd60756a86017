"""The command that restores the node beside us, or takes that back."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path

from backupstore.core.sizes import human_size
from backupstore.errors import Misconfigured
from backupstore.wiring import check_bucket
from shipper.cli.console import out
from shipper.cli.logs import Stopped, resumable
from shipper.cli.options import Globals
from shipper.restore import journal as journals
from shipper.restore.node import Machine, restore_node, undo
from shipper.restore.node import Request as RestoreRequest
from shipper.site import Site
from shipper.wiring import NodeWiring, remembered_host_id


@dataclass(frozen=True, slots=True)
class RestoreOptions:
    """Flags of ``restore-node``."""

    in_place: bool
    verify: bool
    accept_corrupt: bool
    ignore_ring_changes: bool
    without_hold: bool
    temp_dir: Path | None


def run_restore(chosen: Globals, name: str, flags: RestoreOptions) -> None:
    """``restore-node``."""
    if flags.temp_dir is not None and not flags.temp_dir.is_dir():
        raise Misconfigured(
            (f"--temp-dir {flags.temp_dir} is not a directory",), hint="Make it first, or leave the option out."
        )
    site, machine = _site_and_machine(chosen)
    request = RestoreRequest(
        name,
        flags.in_place,
        flags.verify,
        flags.accept_corrupt,
        flags.ignore_ring_changes,
        flags.without_hold,
        flags.temp_dir,
    )
    try:
        report = restore_node(site, machine, request, chosen.console)
    except Stopped as stopped:
        stopped.hint = _where_it_stands(site, name)
        raise
    out(
        f"{report.backup} is restored on {site.name}: {report.files:,} files, {human_size(report.size)}; {report.seconds:.1f} s"
    )
    if report.members > 1:
        out(
            "Now bring it level with its replicas: nodetool repair --full (on this node, all keyspaces; -pr is not enough)."
        )


def _where_it_stands(site: Site, name: str) -> str:
    """What a signal left behind, and the two ways on."""
    journal = journals.load(site.state)
    again = f"run 'restore-node --backup-name {name}' again"
    if journal is None or journal.phase in journals.BEFORE_STOP:
        return f"The node is as it was. To go on, {again}."
    return f"Cassandra may be stopped; do not start it. To finish, {again}; to go back, run 'restore-node --undo'."


def run_undo(chosen: Globals) -> None:
    """``restore-node --undo``."""
    site, machine = _site_and_machine(chosen)
    with resumable("Cassandra may be stopped. Run 'restore-node --undo' again to finish."):
        journal = undo(site, machine, chosen.console)
    out(f"The restore of {journal.backup} is undone: {site.name} has its old data.")


def _site_and_machine(chosen: Globals) -> tuple[Site, Machine]:
    settings = chosen.settings
    check_bucket(chosen.store)
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
