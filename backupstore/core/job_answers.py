"""What nodes have answered, taken into the job.

Only a state that answers the command which a node was given last counts: same job, same epoch, same number, same verb. An
outcome that is for good stays, whatever comes later: what followed from it may be under way.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone

from backupstore.core.job_commands import is_open
from backupstore.core.job_documents import EXPIRED, Job, NodeJob, NodeState, Outcome, Wait

_WORST: dict[Outcome, int] = {"failed": 3, "done": 2, "refused": 1, "doing": 0}
"""What counts where a node has answered twice. It refuses what it has done already when it is told once more."""


def with_answers(job: Job, states: Iterable[NodeState], now: float) -> Job:
    """The job after these states were read."""
    found: dict[str, list[NodeState]] = {}
    for state in states:
        part = job.nodes.get(state.node)
        if part is not None and is_open(part) and answers(state, job, part):
            found.setdefault(state.node, []).append(state)
    heard = {node: _heard(job.nodes[node], said, now) for node, said in found.items()}
    nodes = {**job.nodes, **heard}
    return job if nodes == job.nodes else job.model_copy(update={"nodes": nodes})


def answers(state: NodeState, job: Job, part: NodeJob) -> bool:
    """Whether the state is about the command that the node was given last."""
    return (state.job, state.epoch, state.number, state.verb) == (job.job, part.epoch, part.number, part.verb)


def _heard(part: NodeJob, states: list[NodeState], now: float) -> NodeJob:
    counts = max(states, key=lambda each: (_WORST[each.outcome], each.seq))
    last = max(each.seq for each in states)
    if counts.outcome == "doing" and last <= part.seq:
        return part
    return part.model_copy(
        update={
            "outcome": counts.outcome,
            "code": counts.code,
            "why": counts.why,
            "hint": counts.hint,
            "step": counts.step,
            "bytes": counts.bytes,
            "of": counts.of,
            "seq": max(last, part.seq),
            "heard": now,
            "known": part.known or counts.outcome != "refused",
        }
    )


def came_too_late(part: NodeJob) -> bool:
    """Whether the node did nothing because its command had expired: no failure, it can be told again."""
    return part.outcome == "refused" and part.code == EXPIRED


def has_failed(part: NodeJob) -> bool:
    """Whether the node has tried and failed, or will not try."""
    return part.outcome in {"failed", "refused"} and not came_too_late(part)


def is_silent(part: NodeJob, now: float, patience: float) -> bool:
    """Whether nothing was heard of an open command for too long."""
    return is_open(part) and now - max(part.issued, part.heard) >= patience


def trouble_of(node: str, part: NodeJob, now: float, patience: float) -> Wait | None:
    """Why a job cannot go on because of this node; None when it can, or may soon."""
    if has_failed(part):
        return Wait(node=node, why=f"{part.verb} {part.outcome}: {part.why or 'no reason was given'}", hint=part.hint)
    if came_too_late(part):
        return Wait(
            node=node,
            why=f"the command {part.verb} had expired when this node read it",
            hint="The node was away for a while, or its clock is ahead: put that right first. Then let the job issue its"
            " commands again (restore-resume).",
        )
    if is_silent(part, now, patience):
        heard = datetime.fromtimestamp(max(part.issued, part.heard), timezone.utc)
        return Wait(
            node=node,
            why=f"no answer to {part.verb} since {heard:%Y-%m-%d %H:%M:%S} UTC",
            hint="Look whether the machine is up and its agent runs. Then let the job issue its commands again"
            " (restore-resume), or take everything back (restore-rollback).",
        )
    return None
