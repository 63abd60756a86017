"""How a job goes on: a pure step from the job, what the nodes answered and what operators wish to the job as it is next.

    queued → preparing → stopping → placing → starting-seeds → starting → checking → committing → committed
                 └───────────┴─────────┴────────────┴─────────────┴──────────┴──► rolling-back → restarting-seeds
                                                                                     → restarting → rolled-back
    queued → preparing → schema → loading → indexing → committed    by sstableloader; back from ``preparing`` only
    queued → backing-up → done, or ended-with-failures

The decision to commit, or to go back, stands in the job before any command says so, and is never changed. Whatever fails before
it takes the job back; whatever fails after it makes the job wait for an operator. A node that says nothing makes it wait as well,
with a backup for an exception: there is nothing to put back, and its silence is a failure like others. Whoever is gone for
good is given up by name (``job_giving_up``), and stands in the job's end.
Taking a step again with the same arguments changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from backupstore.core.job_answers import has_failed, is_silent, trouble_of, with_answers
from backupstore.core.job_commands import give, is_open
from backupstore.core.job_documents import Job, Kind, NodeJob, NodeState, Phase, Request, Wait, Wish
from backupstore.core.job_giving_up import given_up, left_behind, why_not
from backupstore.core.job_phases import BACK, Stage, course_of, first_of, is_decision
from backupstore.core.job_wishes import with_wishes
from backupstore.core.shown import some_of

_NOBODY = NodeJob()


def begin(request: Request, now: float) -> Job:
    """The job of a request, of which nothing was done yet."""
    return Job(
        revision="",
        job=request.job,
        kind=request.kind,
        backup=request.backup,
        method=request.method,
        phase="queued",
        created=request.created,
        since=now,
    )


def queue(job: Job, wishes: Iterable[Wish], why: str, now: float) -> Job:
    """The step of a job whose turn has not come, because of ``why``: it waits, or is called off."""

    def obey(queued: Job, wish: Wish) -> tuple[Job, str]:
        if wish.wish == "resume":
            return queued, "its turn had not come"
        return _over(queued, _called_off(queued), now, f"called off by {wish.by}"), "it was called off"

    job = with_wishes(job, wishes, now, obey)
    return job if job.is_over else _waiting(job, (Wait(why=why),))


def refuse(job: Job, why: str, now: float) -> Job:
    """The job ends before anything was told to anybody."""
    return _over(job, "refused", now, why)


def unreadable(job: str, now: float) -> Job:
    """The job of a request that cannot be read; its id is all that is known of it."""
    kind: Kind = "backup" if job.startswith("backup-") else "restore"
    return Job(revision="", job=job, kind=kind, backup="", phase="queued", created=now, since=now)


def without_request(job: Job, why: str, now: float) -> Job:
    """The step of a job whose request cannot be read: before anything was begun it is refused, after that it waits."""
    if job.is_over:
        return job
    if job.phase == "queued":
        return refuse(job, why, now)
    return _waiting(job, (Wait(why=why, hint="Restore the request from the bucket's history."),))


def step(job: Job, request: Request, states: Iterable[NodeState], wishes: Iterable[Wish], now: float) -> Job:
    """The job as it is next. ``revision`` is left to whoever writes it; equal means that there is nothing to write."""
    if job.is_over:
        return job
    said = tuple(states)
    job = with_answers(job, said, now)
    job = with_wishes(job, wishes, now, lambda each, wish: _obey(each, request, wish, now))
    while not job.is_over:
        job = with_answers(job, said, now)  # also to what was commanded only now: nothing is left for the next look
        further = _further(job, request, now)
        if further == job:
            break
        job = further
    return _waiting(job, troubles(job, request, now))


def troubles(job: Job, request: Request, now: float) -> tuple[Wait, ...]:
    """Why the job does not go on by itself; empty while it does, and when it is over."""
    stage = course_of(request).get(job.phase)
    if stage is None:
        return ()
    found = (trouble_of(node, part, now, request.patience) for node, part in _parts(job, request, stage))
    return tuple(trouble for trouble in found if trouble)


# --- forwards ---
def _further(job: Job, request: Request, now: float) -> Job:
    """At most one thing further: into the next phase, back, or with a few more commands."""
    if job.phase == "queued":
        return _enter(job, request, first_of(request), now)
    stage = course_of(request)[job.phase]
    parts = _parts(job, request, stage)
    if request.kind == "backup":
        return _backed_up(job, request, stage, now)
    failed = _failures(parts)
    if failed and job.decision is None:
        return _go_back(job, request, _told(failed), now)
    if all(part.verb == stage.verb and part.outcome == "done" for _, part in parts):
        return _enter(job, request, stage.then, now)
    return _told_more(job, request, stage, now)


def _enter(job: Job, request: Request, phase: Phase, now: float) -> Job:
    if phase not in course_of(request):
        return _over(job, phase, now, "; ".join(filter(None, (job.why, *left_behind(job, request)))))
    decision = "commit" if is_decision(phase, request) else job.decision
    job = job.model_copy(update={"phase": phase, "since": now, "decision": decision})
    return _told_more(job, request, course_of(request)[phase], now)


def _told_more(job: Job, request: Request, stage: Stage, now: float) -> Job:
    """With commands for those that were told nothing in this phase yet, as many as may be at work at once."""
    parts = _parts(job, request, stage)
    idle = [node for node, part in parts if part.verb != stage.verb]
    if stage.limited and request.parallel:
        at_work = sum(part.verb == stage.verb and is_open(part) for _, part in parts)
        idle = idle[: max(0, request.parallel - at_work)]
    return give(job, request, idle, stage.verb, now) if idle else job


def _backed_up(job: Job, request: Request, stage: Stage, now: float) -> Job:
    """Nobody's failure, or silence, keeps others from being backed up."""
    ended = []
    for node, part in _parts(job, request, stage):
        if is_silent(part, now, request.patience):
            trouble = trouble_of(node, part, now, request.patience)
            part = part.model_copy(update={"outcome": "failed", "why": trouble.why if trouble else ""})  # noqa: PLW2901
        ended.append((node, part))
    job = job.model_copy(update={"nodes": {**job.nodes, **{node: part for node, part in ended if part.number}}})
    if all(part.number and not is_open(part) for _, part in ended):
        failed = [(node, part) for node, part in ended if part.outcome != "done"]
        return _over(job, "ended-with-failures" if failed else "done", now, _told(failed))
    return _told_more(job, request, stage, now)


# --- backwards ---
def _go_back(job: Job, request: Request, why: str, now: float) -> Job:
    """The decision. All that were told anything are told to put everything back, with an epoch of its own.

    Those of which nothing was heard are told as well, and not waited for.
    """
    told = [node for node, part in job.nodes.items() if part.number]
    changed = {"epoch": job.epoch + 1, "phase": "rolling-back", "decision": "rollback", "since": now, "why": why}
    job = job.model_copy(update=changed)
    return give(job, request, told, BACK["rolling-back"].verb, now)


def _obey(job: Job, request: Request, wish: Wish, now: float) -> tuple[Job, str]:
    if job.phase == "queued":
        if wish.wish == "resume":
            return job, "it had not begun"
        return _over(job, _called_off(job), now, f"called off by {wish.by}"), "it was called off"
    if wish.without:
        return _without(job, request, wish, now)
    return _again(job, request, now) if wish.wish == "resume" else _back(job, request, wish, now)


def _back(job: Job, request: Request, wish: Wish, now: float) -> tuple[Job, str]:
    """As far as anything leads back from here; what goes back already is told again."""
    if job.kind == "backup":
        return _end_backup(job, request, wish, now), "what was under way was left"
    if job.decision is None:
        return _go_back(job, request, f"{wish.by} rolled it back", now), "everything goes back"
    if job.decision == "commit":
        return job, f"too late: nothing leads back from {job.phase}"
    return _again(job, request, now)


def _again(job: Job, request: Request, now: float) -> tuple[Job, str]:
    """The commands of those that the job waits for, with a new epoch."""
    waiting = [wait.node for wait in troubles(job, request, now)]
    if not waiting:
        return job, "it did not wait for anybody"
    job = job.model_copy(update={"epoch": job.epoch + 1})
    return give(job, request, waiting, course_of(request)[job.phase].verb, now), f"told again: {', '.join(waiting)}"


def _without(job: Job, request: Request, wish: Wish, now: float) -> tuple[Job, str]:
    """As if those nodes had no part in it from here on; the others go on, or back."""
    waited_for = {wait.node for wait in troubles(job, request, now)}
    refused = why_not(job, request, wish.wish, wish.without, waited_for)
    if refused:
        return job, f"nothing was done: {refused}"
    goes_back = job.decision is None
    job = given_up(job, request, wish, now)
    if goes_back:
        job, came = _go_back(job, request, f"{wish.by} rolled it back", now), "everything else goes back"
    else:
        job, came = _again(job, request, now)
    return job, f"given up: {', '.join(sorted(wish.without))}; {came}"


def _end_backup(job: Job, request: Request, wish: Wish, now: float) -> Job:
    parts = _parts(job, request, course_of(request)[job.phase])
    left = ", ".join(node for node, part in parts if part.outcome != "done")
    return _over(job, "ended-with-failures", now, f"called off by {wish.by}; without {left}")


# --- what is said of it ---
def _parts(job: Job, request: Request, stage: Stage) -> list[tuple[str, NodeJob]]:
    return [(node, job.nodes.get(node, _NOBODY)) for node in stage.who(job, request)]


def _failures(parts: Sequence[tuple[str, NodeJob]]) -> list[tuple[str, NodeJob]]:
    return [(node, part) for node, part in parts if has_failed(part)]


def _told(failed: Sequence[tuple[str, NodeJob]]) -> str:
    """With what to do: the next command leaves nothing of what a node said. What many nodes say is said once."""
    alike: dict[str, list[str]] = {}
    for node, part in failed:
        hint = f" → {part.hint}" if part.hint else ""
        alike.setdefault(f"{part.verb} {part.outcome}: {part.why or 'no reason was given'}{hint}", []).append(node)
    return "; ".join(f"{some_of(sorted(nodes))}: {said}" for said, nodes in alike.items())


def _called_off(job: Job) -> Phase:
    return "ended-with-failures" if job.kind == "backup" else "rolled-back"


def _over(job: Job, phase: Phase, now: float, why: str) -> Job:
    changed = {"phase": phase, "since": now, "finished": now, "why": why, "waiting": ()}
    return job.model_copy(update=changed)


def _waiting(job: Job, waits: tuple[Wait, ...]) -> Job:
    return job if job.waiting == waits else job.model_copy(update={"waiting": waits})
