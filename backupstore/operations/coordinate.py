"""Coordinating: whatever was asked for, wished or answered meanwhile becomes a step of the job, and then commands.

    whose turn it is → job, request, wishes, states → step → job, by compare-and-swap → commands, made from the stored job

The job is stored before any command that follows from it. Whoever dies in between loses nothing: the next call makes the same
commands from the job. Of two at once one is faster, and the other begins anew with what that one wrote; a command is never
written over by an earlier one. So a call may come at any time, twice, or beside another; without need it changes nothing.

One job is coordinated at a time; which one stands in ``turn.json``, and only changes when that job is over. A job that is over is
marked as that when nothing is left to do for it, and from then on costs a name in a listing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from backupstore.core import job_steps
from backupstore.core.documents import decode, encode
from backupstore.core.job_commands import commands, in_rounds
from backupstore.core.job_documents import OVER, Job, JobTurn, Phase, Request, Wait
from backupstore.core.layout import Layout
from backupstore.errors import Conflict, Corrupt, NotFound, Retryable
from backupstore.operations.dispatch import Dispatch
from backupstore.operations.each import Each
from backupstore.operations.job_holds import condemned_sources, held
from backupstore.operations.job_store import open_jobs, read_job, read_request, read_states, read_wishes
from backupstore.ports import ObjectStore, Signer

_TRIES = 20
"""So often somebody else may have been faster."""


@dataclass(frozen=True, slots=True)
class Coordinated:
    """What became of one job in a call. ``told``: the nodes that were given a command; ``strange``: what made no sense."""

    job: str
    before: Phase | None
    phase: Phase
    why: str
    waiting: tuple[Wait, ...] = ()
    told: tuple[str, ...] = ()
    strange: tuple[Corrupt, ...] = ()


@dataclass(frozen=True, slots=True)
class Coordinator:
    """Drives the jobs of one cluster. ``revision`` gives a new random text each time; ``each``: nodes one by one, or many at once."""

    store: ObjectStore
    layout: Layout
    signer: Signer
    revision: Callable[[], str]
    each: Each = map

    def coordinate(self, now: float) -> tuple[Coordinated, ...]:
        """Take every step that can be taken now, of the job whose turn it is and of those that wait for theirs.

        Retryable when others are faster again and again; Corrupt when a job itself cannot be read.
        """
        done: list[Coordinated] = []
        for _ in range(_TRIES):
            waiting = [job for job in open_jobs(self.store, self.layout) if job not in {each.job for each in done}]
            if not waiting:
                return tuple(done)
            turn = self._turn(waiting)
            if turn is None:
                continue  # somebody else has just given it
            call = _Call(self, turn, now)
            driven = call.drive()
            done.append(driven)
            if driven.phase not in OVER:
                return (*done, *(_Call(self, job, now).queue(turn) for job in waiting if job != turn))
        raise _too_often(self.layout.job_turn())

    def _turn(self, waiting: list[str]) -> str | None:
        """The job that is being coordinated, or is from now on; None when somebody else was faster."""
        key = self.layout.job_turn()
        body = encode(JobTurn(revision=self.revision(), job=waiting[0]))
        try:
            found = self.store.read(key)
        except NotFound:
            return waiting[0] if self._written(lambda: self.store.create(key, body)) else None
        turn = decode(JobTurn, found.body, key).job
        # What was listed is no proof that it is over: it may have been asked for after that.
        if turn in waiting or not self._is_closed(turn):
            return turn
        return waiting[0] if self._written(lambda: self.store.replace(key, body, found.version)) else None

    def _is_closed(self, job: str) -> bool:
        try:
            self.store.head(self.layout.job_over(job))
        except NotFound:
            return False
        return True

    @staticmethod
    def _written(write: Callable[[], object]) -> bool:
        try:
            write()
        except Conflict:
            return False
        return True


@dataclass(frozen=True, slots=True)
class _Call:
    """One job in one call."""

    by: Coordinator
    name: str
    now: float
    strange: list[Corrupt] = field(default_factory=list)

    def drive(self) -> Coordinated:
        """The job whose turn it is: a step, its commands, and its end."""

        def further(job: Job, request: Request) -> Job:
            if job.phase == "queued" and (gone := self._condemned(request)):
                return job_steps.refuse(job, gone, self.now)
            states = read_states(self.by.store, self.by.layout, job, self.strange.append, self.by.each)
            wishes = read_wishes(self.by.store, self.by.layout, job, self.strange.append)
            return job_steps.step(job, request, states, wishes, self.now)

        before, job, request = self._write(lambda job, request: further(held(*self._place, job, self.now), request))
        told: tuple[str, ...] = ()
        if request is not None:
            by = self.by
            payloads = commands(job, request, by.layout.prefix, self.now)
            dispatch = Dispatch(by.store, by.layout, by.signer, by.each)
            told = tuple(node for each in in_rounds(job, payloads) for node in dispatch.send(each))
        if job.is_over:
            self._close()
        return self._told(before, job, told)

    def queue(self, first: str) -> Coordinated:
        """A job whose turn has not come: it says so, and may be called off."""

        def wait(job: Job, _: Request) -> Job:
            if job.phase != "queued":
                return job  # its turn has come meanwhile
            wishes = read_wishes(self.by.store, self.by.layout, job, self.strange.append)
            return job_steps.queue(job, wishes, f"{first} is not over; only one job is carried out at a time", self.now)

        before, job, _ = self._write(wait)
        if job.is_over:
            self._close()
        return self._told(before, job, ())

    def _write(self, change: Callable[[Job, Request], Job]) -> tuple[Phase | None, Job, Request | None]:
        """The job as it was, and as it is stored after the change; the request, where it can be read."""
        store, key = self.by.store, self.by.layout.job(self.name)
        for _ in range(_TRIES):
            request, why = self._request()
            stored = read_job(*self._place, self.name)
            before = stored.job if stored else None
            start = before or (
                job_steps.begin(request, self.now) if request else job_steps.unreadable(self.name, self.now)
            )
            job = change(start, request) if request else job_steps.without_request(start, why, self.now)
            if job == before:
                return before.phase, before, request
            body = encode(job.model_copy(update={"revision": self.by.revision()}))
            try:
                if stored:
                    store.replace(key, body, stored.version)
                else:
                    store.create(key, body)
            except Conflict:
                continue
            return before.phase if before else None, job, request
        raise _too_often(key)

    @property
    def _place(self) -> tuple[ObjectStore, Layout]:
        return self.by.store, self.by.layout

    def _request(self) -> tuple[Request | None, str]:
        try:
            request = read_request(*self._place, self.name)
        except Corrupt as error:
            return None, error.message
        return request, "" if request else "its request is gone"

    def _condemned(self, request: Request) -> str:
        gone = condemned_sources(*self._place, request) if request.kind == "restore" else ()
        return f"{request.backup} is being deleted: {', '.join(gone)}" if gone else ""

    def _close(self) -> None:
        """Nothing is left to do."""
        try:
            self.by.store.create(self.by.layout.job_over(self.name), b"")
        except Conflict:
            return

    def _told(self, before: Phase | None, job: Job, told: tuple[str, ...]) -> Coordinated:
        return Coordinated(job.job, before, job.phase, job.why, job.waiting, told, tuple(self.strange))


def _too_often(key: str) -> Retryable:
    return Retryable(
        f"{key} was changed by others {_TRIES} times in a row",
        hint="Let fewer coordinators run for one cluster at the same time; the next call tries again.",
        operation="coordinate",
        key=key,
    )
