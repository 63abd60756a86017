"""Restoring this node from its own backup, all or nothing.

    hold → check everything → fetch and check every byte → stop → set old data, commit log, hints, caches, cdc aside
    → place the new → start → health check → commit → drop the old data

Until the commit every failure puts everything back and starts the node again. A killed restore is finished by the same
command, or taken back with ``--undo``: the journal says which step it had reached, and every step can be repeated.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from backupstore.errors import BackupError, Corrupt, NoSpace, Refused
from shipper.progress import Progress
from shipper.restore import fetching, look, moves, places, plan
from shipper.restore import journal as journals
from shipper.restore.fetching import Fetching
from shipper.restore.journal import Journal
from shipper.restore.plan import Backup, Here
from shipper.restore.port import Witness
from shipper.restore.steps import Machine, Steps
from shipper.site import Site
from shipper.transfer.fetch_plan import FetchPlan, read_plan

__all__ = ["Machine", "Report", "Request", "restore_node", "undo"]

_PLAN = "medusa-shipper-fetch.sqlite"


@dataclass(frozen=True, slots=True)
class Request:
    """What ``restore-node`` was asked to do. ``temp_dir``: where the plan of the download lies; None: with the state."""

    backup: str
    in_place: bool = False
    verify: bool = True
    accept_corrupt: bool = False
    ignore_ring_changes: bool = False
    without_hold: bool = False
    temp_dir: Path | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What a restore came to. ``members``: how many nodes the ring has, 0 when nobody knows."""

    backup: str
    files: int
    size: int
    seconds: float
    members: int


def restore_node(site: Site, machine: Machine, request: Request, progress: Progress) -> Report:
    """Restore, or go on with a restore that was killed."""
    with site.state.locked(f"restore-node {request.backup}"):
        return _Restore(site, machine, request, progress).run()


def undo(site: Site, machine: Machine, progress: Progress) -> Journal:
    """Take back a restore that is not over: the old data is put back and Cassandra started. Refused if there is none."""
    with site.state.locked("restore-node --undo"):
        journal = journals.load(site.state)
        if journal is None:
            raise Refused(
                "There is no restore to undo.",
                hint="A restore that ended well cannot be taken back: restore another backup.",
                operation="undo",
            )
        if journal.phase == "committed":
            raise Refused(
                f"The restore of {journal.backup} has proved good, and its old data is being dropped.",
                hint=f"Run restore-node --backup-name {journal.backup} to finish it.",
                operation="undo",
            )
        Steps(site, machine, progress, verify=False).back(journal)
        return journal


@dataclass(frozen=True, slots=True)
class _Restore:
    site: Site
    machine: Machine
    request: Request
    progress: Progress

    def run(self) -> Report:
        began = self.site.clock.running()
        steps = Steps(self.site, self.machine, self.progress, verify=self.request.verify)
        journal = self._open_journal(steps)
        if journal is None or journal.phase in journals.BEFORE_STOP:
            journal = self._prepare(journal)
        steps.forward(journal)
        witness = self.machine.peers.witness()
        members = len(witness.members) if witness else 0
        seconds = self.site.clock.running() - began
        return Report(self.request.backup, journal.files, journal.size, seconds, members)

    def _open_journal(self, steps: Steps) -> Journal | None:
        """The restore to go on with. One of another backup is ended first where that loses nothing, else Refused."""
        journal = journals.load(self.site.state)
        if journal is None:
            return None
        if journal.phase in journals.BACKWARDS:
            raise Refused(
                f"The restore of {journal.backup} is being undone.",
                hint="Run restore-node --undo to finish that first.",
                operation="restore",
            )
        asked = (self.site.bucket, self.site.name, self.request.backup)
        if (journal.bucket, journal.node, journal.backup) == asked:
            return journal
        if journal.phase in journals.BEFORE_STOP:
            steps.back(journal)
        elif journal.phase == "committed":
            steps.forward(journal)
        else:
            raise Refused(
                f"The restore of {journal.backup} of {journal.node} ({journal.bucket}) is not over.",
                hint=f"Finish it with restore-node --backup-name {journal.backup} and the settings it was begun with,"
                " or take it back with restore-node --undo.",
                operation="restore",
            )
        return None

    def _prepare(self, earlier: Journal | None) -> Journal:
        """Everything that leaves the node as it is: hold, checks, download."""
        site, request, machine = self.site, self.request, self.machine
        self.progress.step(f"checking {request.backup}")
        backup = look.read_backup(site, request.backup)
        look.hold(site, request.backup, machine.new_id(), without=request.without_hold, progress=self.progress)
        here = look.look_here(site, in_place=request.in_place)
        witness = machine.peers.witness()
        self._check_node(backup, here, witness)
        own = places.choose(machine.directories)
        places.check(own, machine.directories.mounts)
        path = (request.temp_dir or site.state.path) / _PLAN
        with closing(read_plan(path, site.store, site.layout, site.name, request.backup)) as wanted:
            self._check_content(replace(backup, tables=fetching.tables_by_id(wanted)), wanted, witness)
            files, size, _ = wanted.totals()
            journal = Journal(
                phase="fetching",
                backup=request.backup,
                node=site.name,
                bucket=site.bucket,
                host_id=backup.host_id,
                places=own,
                was_up=here.is_up or (earlier is not None and earlier.was_up),
                boot_id=site.clock.boot_id(),
                quiet_peers=_peers(backup, here, witness),
                files=files,
                size=size,
            )
            self._fetch(journal, earlier, wanted)
        return journal

    def _check_node(self, backup: Backup, here: Here, witness: Witness | None) -> None:
        missing = self.machine.service.missing_commands()
        if missing:
            raise Refused(
                f"Cassandra could not be stopped and started here: {', '.join(missing)} is not on this machine.",
                hint="Set stop_cmd and start_cmd in the [cassandra] section of medusa.ini.",
                operation="restore",
            )
        plan.check_same_node(backup, here)
        for address in plan.twins(backup, here, witness):
            if self.machine.peers.is_up(address):
                raise plan.twin_is_up(backup, address)
        self._warn(plan.check_version(backup, here.live))

    def _check_content(self, backup: Backup, wanted: FetchPlan, witness: Witness | None) -> None:
        request, site = self.request, self.site
        fetching.check_sound(wanted, request.backup, accept_corrupt=request.accept_corrupt)
        self._warn(*plan.check_ring(backup, witness, alone=request.ignore_ring_changes))
        self._warn(plan.gc_grace_warning(backup, site.clock.now()))
        self._warn(plan.newer_tables_warning(fetching.newer_tables(wanted, site.cassandra, witness)))

    def _fetch(self, journal: Journal, earlier: Journal | None, wanted: FetchPlan) -> None:
        if earlier is not None:
            # The directories of the node may have changed since.
            moves.drop_new(place for place in earlier.places if place not in journal.places)
        journals.save(self.site.state, journal)
        try:
            moves.prepare(journal.places)
            local = self.machine.directories.local_disk
            same_boot = earlier is not None and earlier.boot_id == journal.boot_id
            Fetching(self.site, wanted, journal.places, local).fetch(
                self.progress, workers=self.machine.workers, same_boot=same_boot
            )
        except (Corrupt, NoSpace):
            # It will not be better next time, and a node that runs needs its space.
            moves.drop_new(journal.places)
            journals.close(self.site.state)
            raise
        except BackupError as error:
            error.hint += (
                " The node is as it was. What was fetched is kept: run the same command again to go on, or drop it with"
                " restore-node --undo."
            )
            raise

    def _warn(self, *warnings: str | None) -> None:
        for warning in warnings:
            if warning:
                self.progress.warn(warning)


def _peers(backup: Backup, here: Here, witness: Witness | None) -> tuple[str, ...]:
    own = {backup.host_id, here.live.host_id if here.live else here.remembered_host_id}
    selves = plan.twins(backup, here, witness)
    members = witness.members if witness else ()
    return tuple(m.address for m in members if m.host_id not in own and m.address not in selves)
