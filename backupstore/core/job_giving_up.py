"""Nodes that are given up: an operator says that they are gone for good, and the job goes on without them.

Only a decided job does so, or one that goes back by the same wish: before the decision nobody has to be left behind. Only a node
for which the job waits can be given up, only by its name, and the job says for ever that it was, and what has to be done there.

Whoever was given up may come back all the same, in the middle of what it was told last. So on the way back, and by
sstableloader, it is told at once to put everything back: that takes the place of whatever it was told before, starts nothing, and
makes no schema and loads no rows. After a decision to commit nothing has to be taken from it: what it was told leads to the
data that the others have.
"""

from __future__ import annotations

from collections.abc import Collection

from backupstore.core.job_commands import give
from backupstore.core.job_documents import GivenUp, Job, NodeJob, Request, Wish, WishKind
from backupstore.core.job_phases import planned


def why_not(job: Job, request: Request, wish: WishKind, nodes: Collection[str], waited_for: Collection[str]) -> str:
    """Why a wish to go on, or back, without these nodes is not obeyed; empty when it is. ``waited_for``: by the job, now."""
    named, part = set(nodes), set(planned(request))
    rules = (
        (request.kind == "backup", "a backup goes on without the nodes that fail"),
        (job.phase == "queued", "it had not begun"),
        (wish == "rollback" and job.decision == "commit", f"too late: nothing leads back from {job.phase}"),
        (
            wish == "resume" and job.decision is None,
            "all can still go back (restore-rollback): nobody is left forwards",
        ),
        (not named <= part, f"{_names(named - part)} has no part in it"),
        (bool(named & job.without), f"{_names(named & job.without)} was given up before"),
        (not named <= set(waited_for), f"it does not wait for {_names(named.difference(waited_for))}"),
    )
    return next((why for broken, why in rules if broken), "")


def _names(nodes: Collection[str]) -> str:
    return ", ".join(sorted(nodes))


def given_up(job: Job, request: Request, wish: Wish, now: float) -> Job:
    """The job without the nodes that the wish names; what they were told before counts no more where it could do harm."""
    told = tuple(
        GivenUp(node=node, by=wish.by, at=now, phase=job.phase) for node in sorted(set(wish.without) - job.without)
    )
    job = job.model_copy(update={"given_up": (*job.given_up, *told)})
    if job.decision != "rollback" and request.method != "sstableloader":
        return job
    job = job.model_copy(update={"epoch": job.epoch + 1})
    return give(job, request, [each.node for each in told], "put-back", now)


def left_behind(job: Job, request: Request) -> tuple[str, ...]:
    """What has to be known of each node that was given up, and done there. Nothing where none was."""
    return tuple(
        f"{each.node} was given up by {each.by} in {each.phase}: {_what_to_do(each, job, request)}"
        for each in job.given_up
    )


def _what_to_do(given: GivenUp, job: Job, request: Request) -> str:
    own = request.by_target[given.node]
    if request.method == "sstableloader":
        if given.phase == "preparing":
            return "nothing has to be done there"
        if given.phase == "indexing":
            return "what it had to load is loaded"
        return f"rows of {', '.join(own.sources)} may be missing (restore-node --use-sstableloader loads them)"
    if job.decision == "rollback":
        if not job.nodes.get(given.node, NodeJob()).stopped:
            return "it was never told to stop, and has the old data; at most it holds files that it fetched"
        return (
            "it may hold its old data aside, and must not be started before 'restore-node --undo --leave-job' has"
            " come to its end there"
        )
    data = "its old data is deleted, or about to be" if request.stop_first else "it may hold its old data aside"
    return (
        f"{data}, and it must not be started before 'restore-node --backup-name {job.backup} --leave-job' has come to"
        " its end there"
    )
