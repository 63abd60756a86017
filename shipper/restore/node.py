"""Restoring this node from its own backup. The order:

    hold → check everything → fetch and check every byte → stop → set old data, commit log, hints, caches, cdc aside
    → place the new → start → health check → commit → drop the old data

Until the commit every failure puts everything back and starts the node again. A killed restore is finished by the same
command, or taken back with ``--undo``: the journal says which step it had reached, and every step can be repeated.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from backupstore.errors import BackupError, NodeTrouble, Refused
from shipper.progress import Progress
from shipper.restore import journal as journals
from shipper.restore import look, places, plan
from shipper.restore.journal import Journal
from shipper.restore.places import Place, place_of
from shipper.restore.plan import Backup, Here
from shipper.restore.port import Directories, Peers, Service, Witness
from shipper.site import Site
from shipper.transfer.download import Downloader, make_directories
from shipper.transfer.fetch_plan import FetchPlan, read_plan


@dataclass(frozen=True, slots=True)
class Request:
    """What ``restore-node`` was asked to do."""

    backup: str
    in_place: bool = False
    verify: bool = True
    accept_corrupt: bool = False
    ignore_ring_changes: bool = False
    without_hold: bool = False


@dataclass(frozen=True, slots=True)
class Machine:
    """The node as something that is stopped, moved and started."""

    directories: Directories
    service: Service
    peers: Peers
    workers: int
    new_id: Callable[[], str]


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
    """Take back a restore that is not over: the old data is put back and Cassandra started. Refused when there is none."""
    with site.state.locked("restore-node --undo"):
        journal = journals.load(site.state)
        if journal is None:
            raise Refused(
                "There is no restore to undo.",
                hint="A committed restore cannot be taken back: restore another backup.",
                operation="undo",
            )
        if journal.phase == "committed":
            raise Refused(
                f"The restore of {journal.backup} is committed and its old data is being dropped.",
                hint="Run restore-node with the same backup to finish it.",
                operation="undo",
            )
        _Steps(site, machine, progress, verify=False).back(journal)
        return journal


@dataclass(frozen=True, slots=True)
class _Restore:
    site: Site
    machine: Machine
    request: Request
    progress: Progress

    def run(self) -> Report:
        began = self.site.clock.running()
        journal = self._open_journal()
        steps = _Steps(self.site, self.machine, self.progress, verify=self.request.verify)
        files = size = 0
        if journal is None or journal.phase in journals.BEFORE_STOP:
            journal, (files, size) = self._prepare(journal)
        steps.forward(journal)
        witness = self.machine.peers.witness()
        return Report(
            self.request.backup, files, size, self.site.clock.running() - began, len(witness.members) if witness else 0
        )

    def _open_journal(self) -> Journal | None:
        journal = journals.load(self.site.state)
        if journal is None:
            return None
        if journal.phase in journals.BACKWARDS:
            raise Refused(
                "A restore is being undone.", hint="Run restore-node --undo to finish that first.", operation="restore"
            )
        if journal.backup == self.request.backup:
            return journal
        if journal.phase in journals.BEFORE_STOP:
            _Steps(self.site, self.machine, self.progress, verify=False).back(journal)
            return None
        raise Refused(
            f"The restore of {journal.backup} is not over.",
            hint=f"Finish it with restore-node --backup-name {journal.backup}, or take it back with restore-node --undo.",
            operation="restore",
        )

    def _prepare(self, earlier: Journal | None) -> tuple[Journal, tuple[int, int]]:
        """Everything that leaves the node as it is: hold, checks, download."""
        site, request = self.site, self.request
        self.progress.step(f"checking {request.backup}")
        backup = look.read_backup(site, request.backup)
        look.hold(site, request.backup, self.machine.new_id(), without=request.without_hold, progress=self.progress)
        here = look.look_here(site, in_place=request.in_place)
        witness = self.machine.peers.witness()
        self._check(backup, here, witness)
        directories = self.machine.directories
        own = tuple(place_of(path, holds_data=True) for path in directories.data)
        own += tuple(place_of(path, holds_data=False) for path in directories.others)
        journal = Journal(
            phase="fetching",
            backup=request.backup,
            host_id=backup.host_id,
            places=tuple((str(p.directory), str(p.work), p.holds_data) for p in own),
            was_up=here.live is not None or (earlier is not None and earlier.was_up),
            boot_id=site.clock.boot_id(),
            quiet_peers=self._peers_of(here, witness),
        )
        # Opened first: it may be refused for a manifest that nobody should restore, and then nothing has been made.
        with closing(
            read_plan(site.state.path / "fetch.sqlite", site.store, site.layout, site.name, request.backup)
        ) as wanted:
            look.check_sound(wanted, request.backup, accept_corrupt=request.accept_corrupt)
            journals.save(site.state, journal)
            places.prepare(own)
            wanted.place([look.free_bytes(place) for place in own if place.holds_data])
            look.check_space(wanted, own)
            self._fetch(wanted, own, same_boot=earlier is not None and earlier.boot_id == journal.boot_id)
            files, size, _ = wanted.totals()
        return journal, (files, size)

    def _check(self, backup: Backup, here: Here, witness: Witness | None) -> None:
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
        warnings = [plan.check_version(backup, here.live), plan.gc_grace_warning(backup, self.site.clock.now())]
        warnings += plan.check_ring(backup, witness, alone=self.request.ignore_ring_changes)
        for warning in warnings:
            if warning:
                self.progress.warn(warning)

    def _peers_of(self, here: Here, witness: Witness | None) -> tuple[str, ...]:
        own = here.live.host_id if here.live else here.remembered_host_id
        return tuple(m.address for m in witness.members if m.host_id != own) if witness else ()

    def _fetch(self, wanted: FetchPlan, own: tuple[Place, ...], *, same_boot: bool) -> None:
        data = [place for place in own if place.holds_data]
        owners = [place.owner for place in data]
        downloader = Downloader(
            self.site.store,
            lambda disk: data[disk].incoming,
            workers=self.machine.workers,
            owner=lambda disk: owners[disk],
        )
        downloader.fetch(wanted, self.progress, trust_present=same_boot)
        for keyspace, table in wanted.tables():
            # A table without SSTables is a directory all the same.
            make_directories(data[0].incoming, data[0].incoming / keyspace / table, owners[0])


@dataclass(frozen=True, slots=True)
class _Steps:
    """The steps that touch the node, each from the journal, forwards and back."""

    site: Site
    machine: Machine
    progress: Progress
    verify: bool

    def forward(self, journal: Journal) -> None:
        """From wherever the journal stands to the end. Any error before the commit takes everything back."""
        try:
            journal = self._to_commit(journal)
        except BackupError as error:
            self.progress.warn(f"{error.message}: putting everything back")
            try:
                self.back(journals.load(self.site.state) or journal)
            except BackupError as second:
                error.hint = (
                    f"{error.hint}\n  → Putting the old data back failed too: {second.message} Run restore-node --undo."
                )
            else:
                error.hint = f"The old data is back in place. {error.hint}"
            raise
        own = _places(journal)
        self.progress.step("dropping the old data")
        places.keep_snapshots(own)
        places.drop(own)
        self._release(journal)
        journals.close(self.site.state)

    def _to_commit(self, journal: Journal) -> Journal:
        own = _places(journal)
        if journal.phase == "fetching":
            journal = self._enter(journal, "stopping")
        if journal.phase == "stopping":
            self._hold_hints(journal)
            self.progress.step("stopping Cassandra")
            self.machine.service.stop()
            journal = self._enter(journal, "setting-aside")
        if journal.phase == "setting-aside":
            self.machine.service.stop()
            self.progress.step("setting the old data aside")
            places.set_aside(own)
            journal = self._enter(journal, "placing")
        if journal.phase == "placing":
            self.progress.step("placing the restored data")
            places.put_in(own)
            journal = self._enter(journal, "starting")
        if journal.phase == "starting":
            self.progress.step("starting Cassandra")
            self.machine.service.start()
            self._check_health(journal)
            # The old data is dropped next: what replaces it must be on the disk by then.
            os.sync()
            journal = self._enter(journal, "committed")
        return journal

    def _check_health(self, journal: Journal) -> None:
        host_id = self.site.cassandra.identity().host_id
        if journal.host_id and host_id != journal.host_id:
            raise NodeTrouble(
                f"The restored node came up with host id {host_id} instead of {journal.host_id}.",
                hint="Look into Cassandra's system.log.",
                operation="restore",
            )
        if self.verify:
            self.progress.step("checking the node")
            self.machine.service.check()

    def back(self, journal: Journal) -> None:
        """Undo from wherever the journal stands."""
        own = _places(journal)
        if journal.phase in journals.BEFORE_STOP:
            places.drop(own)
            journals.close(self.site.state)
            return
        if journal.phase == "stopping":
            journal = self._enter(journal, "restarting")
        if journal.phase in {"setting-aside", "placing", "starting"}:
            self.progress.step("stopping Cassandra")
            self.machine.service.stop()
            # What is in the directories is new only once all of the old is aside.
            journal = self._enter(journal, "returning" if journal.phase == "setting-aside" else "undoing")
        if journal.phase == "undoing":
            self.progress.step("taking the restored data out")
            places.take_out(own)
            journal = self._enter(journal, "returning")
        if journal.phase == "returning":
            self.progress.step("putting the old data back")
            places.put_back(own)
            journal = self._enter(journal, "restarting")
        if journal.was_up:
            self.progress.step("starting Cassandra")
            self.machine.service.start()
        places.drop(own)
        self._release(journal)
        journals.close(self.site.state)

    def _enter(self, journal: Journal, phase: journals.Phase) -> Journal:
        return journals.save(self.site.state, journal.at(phase))

    def _hold_hints(self, journal: Journal) -> None:
        for address in journal.quiet_peers:
            if not self.machine.peers.hold_hints(address):
                self.progress.warn(
                    f"{address} may replay hints into this node when it is back; to prevent it, run there: nodetool disablehandoff"
                )

    def _release(self, journal: Journal) -> None:
        for address in journal.quiet_peers:
            if not self.machine.peers.release_hints(address):
                self.progress.warn(f"if hints were held back at {address}, run there: nodetool enablehandoff")


def _places(journal: Journal) -> tuple[Place, ...]:
    return tuple(Place(Path(directory), Path(work), holds_data) for directory, work, holds_data in journal.places)
