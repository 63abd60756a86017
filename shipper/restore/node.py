"""Restoring this node from its own backup, all or nothing.

    hold → check everything → fetch and check every byte → stop → set old data, commit log, hints, caches, cdc aside
    → place the new → start → health check → commit → drop the old data

Until the commit every failure puts everything back and starts the node again. A killed restore is finished by the same
command, or taken back with ``--undo``: the journal says which step it had reached, and every step can be repeated. With
``--stop-first`` there is no way back from the moment the old data is deleted: what fails is done again.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType

from backupstore.errors import BackupError, Refused
from shipper.progress import Progress
from shipper.restore import journal as journals
from shipper.restore.journal import Journal
from shipper.restore.preparing import Request, plan_restore, prepare_restore
from shipper.restore.steps import Machine, Steps, check_can_go_back
from shipper.site import Site

__all__ = ["Machine", "Report", "Request", "plan_node", "restore_node", "undo"]


@dataclass(frozen=True, slots=True)
class Report:
    """What a restore came to. ``members``: how many nodes the ring has, 0 when nobody knows.

    ``found``: what a look into the restored tables showed, for people.
    """

    backup: str
    files: int
    size: int
    seconds: float
    members: int
    found: str


def restore_node(site: Site, machine: Machine, request: Request, progress: Progress) -> Report:
    """Restore, or go on with a restore that was killed."""
    with site.state.locked(f"restore-node {request.backup}"):
        return _Restore(site, machine, request, progress).run()


def plan_node(site: Site, machine: Machine, request: Request, progress: Progress) -> tuple[str, ...]:
    """What ``restore_node`` would change, one line each, or the reason why it would not. Nothing is written."""
    journals.check_untouched(site.state)
    return plan_restore(site, machine, request, progress)


def undo(site: Site, machine: Machine, progress: Progress, *, leave_job: bool = False) -> Journal:
    """Take back a restore that is not over: the old data is put back and Cassandra started. Refused if there is none.

    One that is part of a job goes back with the others, unless told to ``leave_job``: the job then fails on this node.
    """
    with site.state.locked("restore-node --undo"):
        journal = journals.load(site.state)
        if journal is None:
            raise Refused(
                "There is no restore to undo.",
                hint="A restore that ended well cannot be taken back: restore another backup.",
                operation="undo",
            )
        check_can_go_back(journal)
        if journal.job and not leave_job:
            raise Refused(
                f"This restore is part of {journal.job}: one node taken back alone would be older than the others.",
                hint=f"Run restore-rollback {journal.job}: it takes all nodes back. If nobody can reach the bucket any"
                " more, take this node out of it with restore-node --undo --leave-job.",
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
            journal = prepare_restore(self.site, self.machine, self.request, self.progress, journal)
        found = self._forward(steps, journal)
        witness = self.machine.peers.witness()
        members = len(witness.members) if witness else 0
        seconds = self.site.clock.running() - began
        return Report(self.request.backup, journal.files, journal.size, seconds, members, found)

    def _open_journal(self, steps: Steps) -> Journal | None:
        """The restore to go on with. One of another backup is ended first where that loses nothing, else Refused."""
        journal = journals.load(self.site.state)
        if self.request.leave_job and (journal is None or not journal.job):
            raise Refused(
                "No restore of this node is part of a job.",
                hint="Leave out --leave-job to restore this node alone.",
                operation="restore",
            )
        if journal is None:
            return None
        self._check_ours(journal)
        asked = (self.site.bucket, self.request.source or self.site.name, self.request.backup)
        if (journal.bucket, journal.node, journal.backup) == asked:
            if journal.flags != self.request.flags and journal.phase not in journals.BEFORE_STOP:
                raise Refused(
                    f"The restore of {journal.backup} that is not over was begun for another part of the node"
                    f" ({journal.flags.strip() or 'all of it'}).",
                    hint=f"{journal.how_to_finish} {journal.how_to_go_back}",
                    operation="restore",
                )
            return journal
        if journal.phase in journals.BEFORE_STOP:
            steps.back(journal)
        elif journal.phase == "committed":
            steps.end(journal)
        else:
            raise Refused(
                f"The restore of {journal.backup} of {journal.node} ({journal.bucket}) is not over.",
                hint=f"Finish it with restore-node --backup-name {journal.backup} and the settings it was begun with."
                f" {journal.how_to_go_back}",
                operation="restore",
            )
        return None

    def _check_ours(self, journal: Journal) -> None:
        """Refused when it is a job's to go on with, or is being taken back."""
        if journal.job and not self.request.leave_job:
            raise Refused(
                f"This node is being restored to {journal.backup} by {journal.job}.",
                hint=f"{journal.how_to_finish} {journal.how_to_go_back} If that job has ended without this node, its"
                " restore-status says what to do here (--leave-job).",
                operation="restore",
            )
        if journal.phase in journals.BACKWARDS:
            raise Refused(
                f"The restore of {journal.backup} is being undone.",
                hint="Run restore-node --undo to finish that first.",
                operation="restore",
            )

    def _forward(self, steps: Steps, journal: Journal) -> str:
        """From wherever the journal stands to the end; what the tables look like then.

        Whatever goes wrong before the commit takes everything back.

        Nobody else is left to do that: a defect of ours must not leave the node stopped with its data aside. An
        operator's signal (no ``Exception``) is obeyed at once: the journal stays, for the same command or ``--undo``.
        """
        with ExitStack() as failure:
            failure.push(self._take_back)
            if journal.phase != "committed":
                steps.keep_down(journal)
                journal = steps.place(steps.stop(journal))
                steps.start(journal)
                journal = steps.decide(steps.check(journal))
        steps.end(journal)
        return journal.found

    def _take_back(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if not isinstance(error, Exception):
            return
        stands: Journal | None = None
        try:
            stands = journals.load(self.site.state)
            if stands is not None and stands.job:
                return  # the other nodes of the job do not go back
            how = self._way_back(stands, str(error))
        except BackupError as second:
            how = (
                f"Putting the old data back failed too: {second.message} {second.hint}"
                " Do not start Cassandra by hand; run restore-node --undo."
            )
        self.progress.warn(how)
        if isinstance(error, BackupError):
            error.hint = f"{how} {error.hint}"

    def _way_back(self, stands: Journal | None, why: str) -> str:
        if stands is None or stands.phase == "committed":
            return "The restore is good all the same: run the same command again to finish it."
        if stands.is_one_way:
            return "The old data was deleted first, so there is no way back: run the same command again to go on."
        self.progress.warn(f"{why}: putting everything back" if why else "putting everything back")
        Steps(self.site, self.machine, self.progress, verify=False).back(stands)
        return "The old data is back in place."
