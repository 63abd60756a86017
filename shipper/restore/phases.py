"""The verbs of a restore that is part of a job on the whole cluster: what a node is commanded, one by one.

    prepare → stop → place → start → check → commit
    put_back → start                               from anywhere before the commit

Each takes the node's lock, reads the journal, does what is not done yet, and writes down how far it came; so each can be
repeated, after its own end or after a kill at any point. A verb that fails raises and leaves the journal where it is:
nothing rolls back by itself here, for the other nodes must go back with this one. ``start`` starts whatever is in place:
the restored data, or after ``put_back`` the old, if the node ran when all began.

A verb that comes once more after the end of the job does nothing; one that cannot be true any more (``start`` of a node
whose journal was lost, ``put_back`` of a committed one) is Refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from backupstore.errors import Refused
from shipper.progress import Progress
from shipper.restore import journal as journals
from shipper.restore.journal import Journal
from shipper.restore.preparing import Request, prepare_restore
from shipper.restore.steps import Machine, Steps
from shipper.site import Site

__all__ = ["Machine", "Prepared", "Request", "check", "commit", "place", "prepare", "put_back", "start", "stop"]

T = TypeVar("T")

_ORDER: tuple[journals.Phase, ...] = (
    "fetching",
    "prepared",
    "stopping",
    "setting-aside",
    "emptying",
    "refilling",
    "placing",
    "starting",
    "checked",
    "committed",
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What lies ready: files and bytes. ``was_up``: whether Cassandra ran; if not, no way back starts it."""

    backup: str
    files: int
    size: int
    was_up: bool


def prepare(site: Site, machine: Machine, request: Request, progress: Progress) -> Prepared:
    """Hold the backup, check everything, fetch and check every byte. The node runs on, untouched.

    ``request.job`` must be set. Refused, Corrupt, NoSpace, NotFound, Denied as for ``restore-node``. What another job has
    only prepared is dropped: that job has ended without this node.
    """
    job = request.job
    if job is None:
        raise ValueError("a request without a job")
    with _Part(site, machine, job, progress).locked("prepare") as part:
        if journals.ended(site.state, job):
            raise _over(job)
        journal = journals.load(site.state)
        if journal is not None and journal.job != job:
            _make_way(part.steps(journal), journal)
            journal = None
        if journal is not None and journal.phase not in _ORDER:
            raise _not_now(journal, "prepare")
        if journal is None or journal.phase == "fetching":
            journal = prepare_restore(site, machine, request, progress, journal)
        return Prepared(journal.backup, journal.files, journal.size, journal.was_up)


def stop(site: Site, machine: Machine, job: str, progress: Progress) -> None:
    """Have peers hold hints, stop Cassandra, set its old data aside; with ``stop_first``, delete it."""
    _Part(site, machine, job, progress).forward("stop", Steps.stop, after="prepared")


def place(site: Site, machine: Machine, job: str, progress: Progress) -> None:
    """Put the new data in place; with ``stop_first``, fetch it now. Cassandra stays down."""
    _Part(site, machine, job, progress).forward("place", Steps.place, after="refilling")


def start(site: Site, machine: Machine, job: str, progress: Progress) -> None:
    """Start what is in place and wait until it answers. After ``put_back`` this ends the job on this node."""

    def act(steps: Steps, journal: Journal) -> None:
        if journal.phase == "restarting":
            steps.restart(journal)
        else:
            steps.start(journal)

    _Part(site, machine, job, progress).forward("start", act, after="starting")


def check(site: Site, machine: Machine, job: str, progress: Progress) -> None:
    """Whether the restored node is who it should be, and healthy. NodeTrouble, Denied when not, or when it does not say."""
    _Part(site, machine, job, progress).forward("check", Steps.check, after="starting")


def commit(site: Site, machine: Machine, job: str, progress: Progress) -> str:
    """Drop the old data, and say what ``check`` had found in the tables. Refused unless that has ended well."""

    def act(steps: Steps, journal: Journal) -> str:
        steps.end(steps.decide(journal))
        return journal.found

    return _Part(site, machine, job, progress).forward("commit", act, after="checked") or ""


def put_back(site: Site, machine: Machine, job: str, progress: Progress) -> None:
    """Take the new data out and put the old back, Cassandra stopped. A node that was not stopped yet runs on."""
    with _Part(site, machine, job, progress).locked("put-back") as part:
        journal = journals.load(site.state)
        if journal is not None and journal.job == job:
            part.steps(journal).put_back(journal)
        elif journals.ended(site.state, job) == "committed":
            raise _over(job)
        else:
            # Never asked, or gone back already: a 'prepare' that comes late must not begin it again.
            journals.note_end(site.state, job, "rolled-back")


@dataclass(frozen=True, slots=True)
class _Part:
    """This node's part of a job."""

    site: Site
    machine: Machine
    job: str
    progress: Progress

    @contextmanager
    def locked(self, verb: str) -> Iterator[_Part]:
        with self.site.state.locked(f"{verb} of {self.job}"):
            yield self

    def steps(self, journal: Journal) -> Steps:
        return Steps(self.site, self.machine, self.progress, verify=journal.verify)

    def forward(self, verb: str, act: Callable[[Steps, Journal], T], *, after: journals.Phase) -> T | None:
        """Act on the journal, which must have come as far as ``after``. None for what is over, and not done again."""
        with self.locked(verb):
            journal = journals.load(self.site.state)
            if journal is None or journal.job != self.job:
                self._check_over(verb, journal)
                return None
            returned = verb == "start" and journal.phase == "restarting"
            if not returned and (journal.phase not in _ORDER or _ORDER.index(journal.phase) < _ORDER.index(after)):
                raise _not_now(journal, verb)
            if journal.phase != "committed" or verb == "commit":
                steps = self.steps(journal)
                steps.keep_down(journal)
                return act(steps, journal)
            return None

    def _check_over(self, verb: str, other: Journal | None) -> None:
        """Refused unless the job has ended here, so that the verb was obeyed long ago."""
        end = journals.ended(self.site.state, self.job)
        if end == "rolled-back" and verb != "start":
            raise _over(self.job)
        if end is None:
            found = (
                f"a restore to {other.backup} is open instead"
                if other
                else "it was never prepared, or its memory is lost"
            )
            raise Refused(
                f"Nothing of {self.job} is open on this node: {found}.",
                hint=f"restore-rollback {self.job} takes the other nodes back. If folders called .medusa-shipper-restore…"
                " lie beside this node's data, do not start Cassandra: they hold its old data.",
                operation=verb,
            )


def _make_way(steps: Steps, journal: Journal) -> None:
    """Another restore that is still open is ended where nothing is lost by that. Refused where something would be."""
    if journal.phase in journals.BEFORE_STOP:
        steps.back(journal)
    elif journal.phase == "committed":
        steps.end(journal)
    else:
        whose = f"of {journal.job} " if journal.job else ""
        raise Refused(
            f"Another restore of this node, {whose}to {journal.backup}, is not over.",
            hint=f"{journal.how_to_finish} {journal.how_to_go_back}",
            operation="prepare",
        )


def _over(job: str) -> Refused:
    return Refused(
        f"{job} is over on this node.",
        hint="Begin a new restore of the cluster (restore-cluster).",
        operation="restore",
    )


def _not_now(journal: Journal, verb: str) -> Refused:
    return Refused(
        f"'{verb}' does not fit: the restore to {journal.backup} is at '{journal.phase}'.",
        hint=f"{journal.how_to_finish} {journal.how_to_go_back}",
        operation=verb,
    )
