"""The steps of a restore that touch the node, each from the journal, forwards and back.

Each takes the journal as it stands, and does what of it is not done yet: a step that is over is none again. They are
what a restore of this node alone does in a row, and what a job on the whole cluster commands one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from backupstore.core.schema_statements import read_schema
from backupstore.errors import BackupError, Denied, NodeTrouble, Refused
from shipper.cassandra.port import Identity
from shipper.progress import Progress
from shipper.restore import creating, moves, partial, refill, remote, stays_down
from shipper.restore import journal as journals
from shipper.restore.journal import Journal
from shipper.restore.patience import patiently
from shipper.restore.port import Directories, Peers, Service
from shipper.restore.sampling import Sampling, look_into
from shipper.restore.seeds import wait_for_seeds
from shipper.restore.tables import TablesPlan
from shipper.site import Site
from shipper.transfer.pool import in_parallel

_PEERS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Machine:
    """The node as something that is stopped, moved and started. ``yaml``: its cassandra.yaml."""

    directories: Directories
    service: Service
    peers: Peers
    workers: int
    new_id: Callable[[], str]
    yaml: Path


@dataclass(frozen=True, slots=True)
class Steps:
    """``verify``: whether the node must prove healthy before the commit."""

    site: Site
    machine: Machine
    progress: Progress
    verify: bool

    def keep_down(self, journal: Journal) -> None:
        """Going on after a pause: somebody, or a service manager, may have started Cassandra while its files move."""
        if journal.phase in journals.DOWN:
            stays_down.mark(self.site.state, journal)
            self.machine.service.stop()

    def stop(self, journal: Journal) -> Journal:
        """From ``prepared`` until Cassandra is down and its old data aside, or deleted."""
        own, service = journal.places, self.machine.service
        if journal.phase in journals.BEFORE_STOP:
            if journal.part:
                creating.check_absent(service, journal.part.creations)
            journal = self._enter(journal, "stopping")
        if journal.phase == "stopping":
            journal = self._hold_hints(self._drain(self._create(journal)))
            self.progress.step("stopping Cassandra")
            service.stop()
            journal = self._enter(journal, "emptying" if journal.stop_first else "setting-aside")
        if journal.phase == "setting-aside":
            self.progress.step("setting the old data aside")
            moves.set_aside(own)
            journal = self._enter(journal, "placing")
        if journal.phase == "emptying":
            self.progress.step("deleting the old data")
            moves.empty(own)
            journal = self._enter(journal, "refilling")
        return journal

    def place(self, journal: Journal) -> Journal:
        """Until the new data is in place."""
        if journal.phase == "refilling":
            refill.fetch(self.site, journal, self.machine, self.progress)
            journal = self._enter(journal, "placing")
        if journal.phase == "placing":
            self.progress.step("placing the restored data")
            moves.put_in(journal.places)
            if journal.tokens:
                journal = remote.write_tokens(self.site.state, journal, self.machine.yaml)
            journal = self._enter(journal, "starting")
        return journal

    def start(self, journal: Journal) -> None:
        """Until Cassandra answers on the new data. One that runs is fine."""
        if journal.seeds:
            wait_for_seeds(journal.seeds, self.machine.peers, self.site.clock, self.progress)
        self.progress.step("starting Cassandra")
        stays_down.unmark(self.site.state)
        self.machine.service.start()

    def check(self, journal: Journal) -> Journal:
        """Until the new data has proved good. What proved good before is looked at again, and forgotten if it is not."""
        if journal.phase == "checked":
            journal = self._enter(journal, "starting")
        self._check_health(journal)
        found = self._look_into_part(journal.part) if journal.part else self._look_into_all()
        journal = journal.model_copy(update={"found": found})
        # The old data is dropped next: what replaces it must be on the disk by then.
        moves.flush(journal.places)
        return self._enter(journal, "checked")

    def decide(self, journal: Journal) -> Journal:
        """From here on there is no way back."""
        return self._enter(journal, "committed")

    def end(self, journal: Journal) -> None:
        """After the commit: nothing can be taken back any more, and everything can be repeated."""
        self._release_hints(journal)
        try:
            remote.put_yaml_back(journal, self.progress)
            self.progress.step("dropping the old data")
            for path in moves.keep_snapshots(journal.places):
                self.progress.step(f"kept your snapshot {path}")
            moves.drop(journal.places)
        except BackupError as error:
            error.hint = (
                f"The restore is good and the node runs; only its old data could not be dropped. {error.hint} Then run"
                " the same command again."
            )
            raise
        journals.close(self.site.state, journal)

    def put_back(self, journal: Journal) -> Journal | None:
        """Undo from wherever the journal stands, and leave Cassandra stopped. None when the node had not been touched."""
        own, service = journal.places, self.machine.service
        check_can_go_back(journal)
        if journal.phase in journals.BEFORE_STOP:
            moves.drop_new(own)
            journals.close(self.site.state, journal)
            return None
        if journal.phase == "stopping":
            if journal.drains:
                # A drained node takes no more writes: only a new start makes it what it was.
                service.stop()
            return self._enter(journal, "restarting")
        stays_down.mark(self.site.state, journal)
        if journal.phase in {"setting-aside", "placing", "starting", "checked"}:
            self.progress.step("stopping Cassandra")
            service.stop()
            # What is in the directories is new only once all of the old is aside.
            journal = self._enter(journal, "returning" if journal.phase == "setting-aside" else "undoing")
        elif journal.phase in {"undoing", "returning"}:
            service.stop()
        if journal.phase == "undoing":
            self.progress.step("taking the restored data out")
            moves.take_out(own)
            remote.put_yaml_back(journal, self.progress)
            journal = self._enter(journal, "returning")
        if journal.phase == "returning":
            self.progress.step("putting the old data back")
            moves.put_back(own)
            journal = self._enter(journal, "restarting")
        return journal

    def restart(self, journal: Journal) -> None:
        """Start the old data, if the node ran when all began, and end the restore."""
        clock = self.site.clock
        stays_down.unmark(self.site.state)
        if journal.was_up:
            self.progress.step("starting Cassandra")
            self.machine.service.start()
            if journal.part:
                created = journal.part.creations
                patiently(clock, lambda: creating.drop(self.machine.service, self.site.cassandra, created))
        moves.drop_new(journal.places)
        self._release_hints(journal)
        journals.close(self.site.state, journal)

    def back(self, journal: Journal) -> None:
        """All of the way back."""
        returned = self.put_back(journal)
        if returned is not None:
            self.restart(returned)

    def _check_health(self, journal: Journal) -> None:
        identity = self._identity()
        if identity is None:
            return
        if journal.tokens:
            remote.check_tokens(journal, identity)
        elif journal.host_id and identity.host_id != journal.host_id:
            raise NodeTrouble(
                f"The restored node came up with host id {identity.host_id} instead of {journal.host_id}.",
                hint="The backup may lack the system keyspace. Look into Cassandra's system.log.",
                operation="restore",
            )
        if self.verify:
            self.progress.step("checking the node")
            patiently(self.site.clock, self.machine.service.check)

    def _look_into_part(self, part: TablesPlan) -> str:
        service = self.machine.service
        with service.asking():
            schema = read_schema(self.site.cassandra.schema().described)
            sampling = Sampling(service, self.site.clock, schema, self.progress)
            partial.check(part, sampling, verify=self.verify)
            return sampling.tell() if self.verify else ""

    def _look_into_all(self) -> str:
        """All files are as they were backed up: what is not good in them takes nothing back, but has to be known."""
        return look_into(self.site, self.machine.service, self.progress) if self.verify else ""

    def _identity(self) -> Identity | None:
        """Who came up; None when it may not be asked and nobody insists."""
        try:
            return patiently(self.site.clock, self.site.cassandra.identity)
        except Denied as error:
            if self.verify:
                error.hint = (
                    "The restored node has the roles and passwords of the backup: set cql_username and cql_password as"
                    " they were then, or leave the checks out with --no-verify."
                )
                raise
            self.progress.warn(f"the node is up and was not checked: {error.message}")
            return None

    def _create(self, journal: Journal) -> Journal:
        """Tables that were dropped since, for their files to go to."""
        if journal.part is None or journal.created:
            return journal
        creating.create(self.machine.service, self.site.cassandra, journal.part.creations, self.progress)
        return journals.save(self.site.state, journal.model_copy(update={"created": True}))

    def _drain(self, journal: Journal) -> Journal:
        """Nothing of what stays may be in the commit log only. Once stopped, the node needs it no more."""
        if not journal.drains or (journal.drained and not self.site.cassandra.is_up()):
            return journal
        self.progress.step("draining Cassandra")
        self.machine.service.drain()
        return journals.save(self.site.state, journal.model_copy(update={"drained": True}))

    def _enter(self, journal: Journal, phase: journals.Phase) -> Journal:
        begun = journal.at(phase)
        stays_down.mark(self.site.state, begun)
        return journals.save(self.site.state, begun)

    def _hold_hints(self, journal: Journal) -> Journal:
        """Peers would replay what this node missed into restored data. Only those that obeyed are told again later."""
        deaf = self._tell_peers(journal, self.machine.peers.hold_hints)
        if not deaf:
            return journal
        self.progress.warn(
            f"{', '.join(deaf)} may replay hints into this node when it is back;"
            " to prevent it, run there now: nodetool disablehandoff"
        )
        told = tuple(address for address in journal.quiet_peers if address not in deaf)
        return journals.save(self.site.state, journal.model_copy(update={"quiet_peers": told}))

    def _release_hints(self, journal: Journal) -> None:
        deaf = self._tell_peers(journal, self.machine.peers.release_hints)
        if deaf:
            self.progress.warn(f"hints may still be held back at {', '.join(deaf)}; run there: nodetool enablehandoff")

    def _tell_peers(self, journal: Journal, tell: Callable[[str], bool]) -> tuple[str, ...]:
        """Those that could not be told. Each call is a process of its own and takes a second."""
        told = in_parallel(journal.quiet_peers, lambda peer: (peer, tell(peer)), workers=_PEERS_AT_ONCE)
        return tuple(sorted(peer for peer, obeys in told if not obeys))


def check_can_go_back(journal: Journal) -> None:
    """Refused when there is nothing to go back to."""
    if journal.phase == "committed":
        raise Refused(
            f"The restore of {journal.backup} has proved good, and its old data is being dropped.",
            hint=journal.how_to_finish,
            operation="undo",
        )
    if journal.is_one_way:
        raise Refused(
            f"The restore of {journal.backup} deleted the old data first (--stop-first): there is nothing to go back to.",
            hint=journal.how_to_finish,
            operation="undo",
        )
