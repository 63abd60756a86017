"""The steps of a restore that touch the node, each from the journal, forwards and back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

from backupstore.errors import BackupError, Denied, NodeTrouble
from shipper.cassandra.port import Identity
from shipper.progress import Progress
from shipper.restore import journal as journals
from shipper.restore import moves
from shipper.restore.journal import Journal
from shipper.restore.port import Directories, Peers, Service
from shipper.site import Site
from shipper.transfer.pool import in_parallel

T = TypeVar("T")

_PATIENCE = 30.0
"""So many seconds after it opened its port, a node may still refuse logins and miss its replicas."""
_PEERS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Machine:
    """The node as something that is stopped, moved and started."""

    directories: Directories
    service: Service
    peers: Peers
    workers: int
    new_id: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Steps:
    """``verify``: whether the node must prove healthy before the commit."""

    site: Site
    machine: Machine
    progress: Progress
    verify: bool

    def forward(self, journal: Journal) -> None:
        """From wherever the journal stands to the end. Whatever goes wrong before the commit takes everything back.

        Nobody else is left to do that: a defect of ours must not leave the node stopped with its data aside. An
        operator's signal (no ``Exception``) is obeyed at once: the journal stays, for the same command or ``--undo``.
        """
        with ExitStack() as failure:
            failure.push(self._take_back)
            journal = self._to_commit(journal)
        self._end(journal)

    def _to_commit(self, journal: Journal) -> Journal:
        own, service = journal.places, self.machine.service
        if journal.phase in {"setting-aside", "placing"}:
            # Going on after a kill: somebody, or a service manager, may have started it meanwhile.
            service.stop()
        if journal.phase == "fetching":
            journal = self._enter(journal, "stopping")
        if journal.phase == "stopping":
            journal = self._hold_hints(journal)
            self.progress.step("stopping Cassandra")
            service.stop()
            journal = self._enter(journal, "setting-aside")
        if journal.phase == "setting-aside":
            self.progress.step("setting the old data aside")
            moves.set_aside(own)
            journal = self._enter(journal, "placing")
        if journal.phase == "placing":
            self.progress.step("placing the restored data")
            moves.put_in(own)
            journal = self._enter(journal, "starting")
        if journal.phase == "starting":
            self.progress.step("starting Cassandra")
            service.start()
            self._check_health(journal)
            # The old data is dropped next: what replaces it must be on the disk by then.
            moves.flush(own)
            journal = self._enter(journal, "committed")
        return journal

    def _check_health(self, journal: Journal) -> None:
        identity = self._identity()
        if identity is None:
            return
        if journal.host_id and identity.host_id != journal.host_id:
            raise NodeTrouble(
                f"The restored node came up with host id {identity.host_id} instead of {journal.host_id}.",
                hint="The backup may lack the system keyspace. Look into Cassandra's system.log.",
                operation="restore",
            )
        if self.verify:
            self.progress.step("checking the node")
            self._patiently(self.machine.service.check)

    def _identity(self) -> Identity | None:
        """Who came up; None when it may not be asked and nobody insists."""
        try:
            return self._patiently(self.site.cassandra.identity)
        except Denied as error:
            if self.verify:
                error.hint = (
                    "The restored node has the roles and passwords of the backup: set cql_username and cql_password as"
                    " they were then, or leave the checks out with --no-verify."
                )
                raise
            self.progress.warn(f"the node is up and was not checked: {error.message}")
            return None

    def _patiently(self, question: Callable[[], T]) -> T:
        clock = self.site.clock
        end = clock.running() + _PATIENCE
        while True:
            try:
                return question()
            except (NodeTrouble, Denied):
                if clock.running() >= end:
                    raise
            clock.sleep(1.0)

    def _end(self, journal: Journal) -> None:
        """After the commit: nothing can be taken back any more, and everything can be repeated."""
        self._release_hints(journal)
        try:
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
        journals.close(self.site.state)

    def _take_back(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if not isinstance(error, Exception):
            return
        self.progress.warn(f"{error}: putting everything back" if str(error) else "putting everything back")
        try:
            stands = journals.load(self.site.state)
            if stands is None or stands.phase == "committed":
                how = "The restore is good all the same: run the same command again to finish it."
            else:
                self.back(stands)
                how = "The old data is back in place."
        except BackupError as second:
            how = (
                f"Putting the old data back failed too: {second.message} {second.hint}"
                " Do not start Cassandra by hand; run restore-node --undo."
            )
        self.progress.warn(how)
        if isinstance(error, BackupError):
            error.hint = f"{how} {error.hint}"

    def back(self, journal: Journal) -> None:
        """Undo from wherever the journal stands, but not from a commit."""
        own, service = journal.places, self.machine.service
        if journal.phase in journals.BEFORE_STOP:
            moves.drop_new(own)
            journals.close(self.site.state)
            return
        if journal.phase == "stopping":
            journal = self._enter(journal, "restarting")
        if journal.phase in {"setting-aside", "placing", "starting"}:
            self.progress.step("stopping Cassandra")
            service.stop()
            # What is in the directories is new only once all of the old is aside.
            journal = self._enter(journal, "returning" if journal.phase == "setting-aside" else "undoing")
        elif journal.phase in {"undoing", "returning"}:
            service.stop()
        if journal.phase == "undoing":
            self.progress.step("taking the restored data out")
            moves.take_out(own)
            journal = self._enter(journal, "returning")
        if journal.phase == "returning":
            self.progress.step("putting the old data back")
            moves.put_back(own)
            journal = self._enter(journal, "restarting")
        if journal.was_up:
            self.progress.step("starting Cassandra")
            service.start()
        moves.drop_new(own)
        self._release_hints(journal)
        journals.close(self.site.state)

    def _enter(self, journal: Journal, phase: journals.Phase) -> Journal:
        return journals.save(self.site.state, journal.at(phase))

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
