"""Restoring without the space for old and new data side by side: the old data goes first (``--stop-first``).

What can be known before anything is deleted is looked at before: that every object of the backup is in the bucket with
its size and digest, as far as a listing tells, and that the space will do.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from backupstore.core.verification import CORRUPT
from backupstore.errors import BackupError, Corrupt
from backupstore.operations.inventory import Inventory
from backupstore.operations.verify_node import Look, Wanted
from shipper.progress import Progress
from shipper.restore import auth, moves, remote
from shipper.restore.fetching import Fetching
from shipper.restore.journal import Journal
from shipper.site import Site
from shipper.transfer.fetch_plan import FetchPlan, read_plan

if TYPE_CHECKING:
    from shipper.restore.steps import Machine

_PLAN = "medusa-shipper-fetch.sqlite"


def open_plan(site: Site, node: str, backup: str, temp_dir: Path | None, *, is_remote: bool) -> FetchPlan:
    """What is to be fetched of a node's backup. NotFound, Corrupt."""
    plan = read_plan((temp_dir or site.state.path) / _PLAN, site.store, site.layout, node, backup)
    if is_remote:
        plan.leave_out(remote.LEFT_OUT)
    return plan


def check_first(fetching: Fetching, node: str, backup: str) -> None:
    """Corrupt when something of the backup is not there any more; NoSpace when it would not fit even so."""
    fetching.check_fits_instead()
    site = fetching.site
    with closing(Inventory()) as inventory:
        look = Look(site.store, site.layout, node, backup, inventory, Wanted(hands_back=True))
        look.read_manifest(whole=False)
        look.sstables()
    bad = [found for found in look.tally.findings if found.kind != CORRUPT]
    if bad:
        raise Corrupt(
            f"{bad[0].path or backup} {bad[0].why}: nothing was deleted.",
            hint="Choose another backup (medusa-shipper verify tells which are whole).",
            operation="restore",
            key=bad[0].path or backup,
        )


def fetch(site: Site, journal: Journal, machine: Machine, progress: Progress) -> None:
    """Fetch and check everything into the emptied node. There is no way back from here, only the same again."""
    moves.prepare(journal.places)
    try:
        with closing(
            open_plan(site, journal.node, journal.backup, journal.temp_dir, is_remote=bool(journal.tokens))
        ) as wanted:
            if journal.drains:
                auth.leave_out(wanted)
            same_boot = journal.boot_id == site.clock.boot_id()
            Fetching(site, wanted, journal.places, machine.directories.local_disk, stop_first=True).fetch(
                progress, workers=machine.workers, same_boot=same_boot
            )
    except BackupError as error:
        error.hint = f"{error.hint} The old data is deleted (--stop-first): Cassandra stays down until this has worked."
        raise
