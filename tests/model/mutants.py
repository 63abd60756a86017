"""The rules of cluster jobs, each broken: every one of these must do harm in some history.

Each takes a patch, and says what to explore, with how many adversities, and which words tell the harm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import pytest

from backupstore.core import job_answers, job_commands, job_giving_up, job_phases, job_steps
from backupstore.core.commands import Payload
from backupstore.core.job_documents import Job, NodeJob, NodeState, Phase, Request, Wish
from backupstore.core.job_phases import BACK, LOADING, REPLACE, Stage, everybody
from tests.model.clusters import request
from tests.model.world import Protocol

_WHY_NOT, _GIVEN_UP = job_giving_up.why_not, job_giving_up.given_up
Patch = pytest.MonkeyPatch
Mutant = Callable[[Patch], "Broken"]
States = tuple[NodeState, ...]
Wishes = tuple[Wish, ...]


@dataclass(frozen=True, slots=True)
class Broken:
    """A protocol with a broken rule; ``harm``: what the violation says."""

    protocol: Protocol
    adversities: int
    harm: str


def _restage(course: Mapping[Phase, Stage], phase: Phase, **changed: object) -> Mapping[Phase, Stage]:
    return MappingProxyType({**course, phase: replace(course[phase], **changed)})  # type: ignore[arg-type] # by name


def start_does_not_wait_for_seeds(patch: Patch) -> Broken:
    """All are started at once."""
    patch.setattr(job_phases, "REPLACE", _restage(REPLACE, "starting-seeds", who=everybody))
    return Broken(Protocol(request()), 0, "n2 starts before its seeds")


def restart_does_not_wait_for_seeds(patch: Patch) -> Broken:
    """The same on the way back."""

    def all_stopped(job: Job, asked: Request) -> tuple[str, ...]:
        return job_phases.stopped_seeds(job, asked) + job_phases.stopped_others(job, asked)

    patch.setattr(job_phases, "BACK", _restage(BACK, "restarting-seeds", who=all_stopped))
    return Broken(Protocol(request()), 1, "starts before its seeds")


def placing_does_not_wait_for_all_to_stop(patch: Patch) -> Broken:
    """It begins when the seeds are down."""
    patch.setattr(job_phases, "REPLACE", _restage(REPLACE, "stopping", who=job_phases.seeds))
    return Broken(Protocol(request()), 0, "n1 places, and the nodes are")


def commit_with_a_failed_node(patch: Patch) -> Broken:
    """A check that failed counts like one that did not."""
    del patch

    def step(job: Job, asked: Request, states: States, wishes: Wishes, now: float) -> Job:
        good = tuple(
            state.model_copy(update={"outcome": "done"}) if state.verb == "check" else state for state in states
        )
        return job_steps.step(job, asked, good, wishes, now)

    return Broken(Protocol(request(), step=step), 1, "n1 commits, the decision is commit")


def commit_without_a_check(patch: Patch) -> Broken:
    """What is up is taken for good."""
    patch.setattr(job_phases, "REPLACE", _restage(REPLACE, "starting", then="committing"))
    return Broken(Protocol(request()), 0, "n1 commits, the decision is commit")


def rollback_after_the_decision(patch: Patch) -> Broken:
    """An operator's wish counts for more than what was decided."""
    del patch

    def step(job: Job, asked: Request, states: States, wishes: Wishes, now: float) -> Job:
        new = {wish.id for wish in wishes if wish.wish == "rollback"} - {wish.id for wish in job.wishes}
        if new and not job.is_over:
            job = job.model_copy(update={"decision": None})
        return job_steps.step(job, asked, states, wishes, now)

    return Broken(Protocol(request(), step=step), 1, "the decision commit became rollback")


def failure_after_the_decision_takes_back(patch: Patch) -> Broken:
    """A commit that failed is taken for a reason to go back."""
    del patch

    def step(job: Job, asked: Request, states: States, wishes: Wishes, now: float) -> Job:
        if job.phase == "committing" and any(state.outcome == "failed" for state in states):
            job = job.model_copy(update={"decision": None})
        return job_steps.step(job, asked, states, wishes, now)

    return Broken(Protocol(request(), step=step), 1, "the decision commit became rollback")


def states_of_old_epochs_are_believed(patch: Patch) -> Broken:
    """Whoever has ever started counts as started."""

    def answers(state: NodeState, job: Job, part: NodeJob) -> bool:
        return (state.job, state.verb) == (job.job, part.verb)

    patch.setattr(job_answers, "answers", answers)
    return Broken(Protocol(request(nodes=2)), 2, "the job says rolled-back")


def commands_before_the_job_is_stored(patch: Patch) -> Broken:
    """A coordinator that dies in between has told nodes what no job knows of."""
    del patch
    return Broken(Protocol(request(nodes=2), commands_first=True), 2, "commits, the decision is None")


def stopped_nodes_are_not_waited_for(patch: Patch) -> Broken:
    """A node that was told to stop and says nothing is left as it is."""

    def silent_ones_left_out(job: Job, asked: Request) -> tuple[str, ...]:
        return tuple(node for node in job_phases.everybody(job, asked) if job.nodes[node].outcome == "done")

    patch.setattr(job_phases, "BACK", _restage(BACK, "rolling-back", who=silent_ones_left_out))
    return Broken(Protocol(request(nodes=2)), 2, "starts with aside data")


def an_expired_command_is_a_failure_of_nobody(patch: Patch) -> Broken:
    """A node that came too late is neither waited for nor told again."""
    patch.setattr(job_steps, "trouble_of", lambda *_: None)
    return Broken(Protocol(request(nodes=2)), 1, "nothing more happens")


def loading_ends_without_indexes(patch: Patch) -> Broken:
    """When all rows are loaded nothing more is done."""
    patch.setattr(job_phases, "LOADING", _restage(LOADING, "loading", then="committed"))
    return Broken(Protocol(request(nodes=2, method="sstableloader")), 0, "nobody has made the indexes")


def indexes_do_not_wait_for_the_load(patch: Patch) -> Broken:
    """They are made as soon as there are tables."""
    patch.setattr(job_phases, "LOADING", _restage(LOADING, "schema", then="indexing"))
    return Broken(Protocol(request(nodes=2, method="sstableloader")), 0, "n1 makes the indexes, and the nodes are")


def deleted_data_is_put_back(patch: Patch) -> Broken:
    """That the old data is deleted first decides nothing."""
    patch.setattr(job_steps, "is_decision", lambda phase, _: phase in {"committing", "schema"})
    return Broken(Protocol(request(nodes=2, stop_first=True)), 1, "puts back, and its old data is deleted")


def anybody_is_given_up(patch: Patch) -> Broken:
    """An operator's word is enough, also for a node that answers."""
    patch.setattr(job_steps, "why_not", lambda job, asked, wish, nodes, _: _WHY_NOT(job, asked, wish, nodes, nodes))
    return Broken(Protocol(request(nodes=2)), 2, "is given up, and had done what it was told")


def somebody_is_given_up_forwards(patch: Patch) -> Broken:
    """The restore goes on without a node although nothing is decided."""

    def without(job: Job, asked: Request, wish: Wish, now: float) -> tuple[Job, str]:
        return _GIVEN_UP(job, asked, wish, now), "on it goes"

    patch.setattr(job_steps, "_without", without)
    return Broken(Protocol(request(nodes=2)), 1, "is given up forwards, and nothing is decided")


def giving_up_is_not_told(patch: Patch) -> Broken:
    """The job ends as if all were well."""
    patch.setattr(job_steps, "left_behind", lambda *_: ())
    return Broken(Protocol(request(nodes=2)), 1, "and does not say so")


def who_is_given_up_hears_nothing(patch: Patch) -> Broken:
    """It comes back, and makes the schema while others load."""

    def given_up(job: Job, asked: Request, wish: Wish, now: float) -> Job:
        after = _GIVEN_UP(job, asked, wish, now)
        return after.model_copy(update={"nodes": job.nodes, "epoch": job.epoch})

    patch.setattr(job_steps, "given_up", given_up)
    return Broken(Protocol(request(nodes=2, method="sstableloader")), 1, "n1 makes the schema, and the nodes are")


def who_is_given_up_hears_it_with_the_others(patch: Patch) -> Broken:
    """A coordinator that dies has told others already, and it still finds what it was told before."""

    def at_once(_: Job, payloads: Sequence[Payload]) -> tuple[tuple[Payload, ...], ...]:
        return (tuple(payloads),)

    patch.setattr(job_commands, "in_rounds", at_once)
    protocol = Protocol(request(nodes=2, method="sstableloader"), only="dies")
    return Broken(protocol, 3, "n1 makes the schema, and the nodes are")


MUTANTS: tuple[Mutant, ...] = (
    start_does_not_wait_for_seeds,
    restart_does_not_wait_for_seeds,
    placing_does_not_wait_for_all_to_stop,
    commit_with_a_failed_node,
    commit_without_a_check,
    rollback_after_the_decision,
    failure_after_the_decision_takes_back,
    states_of_old_epochs_are_believed,
    commands_before_the_job_is_stored,
    stopped_nodes_are_not_waited_for,
    an_expired_command_is_a_failure_of_nobody,
    loading_ends_without_indexes,
    indexes_do_not_wait_for_the_load,
    deleted_data_is_put_back,
    anybody_is_given_up,
    somebody_is_given_up_forwards,
    giving_up_is_not_told,
    who_is_given_up_hears_nothing,
    who_is_given_up_hears_it_with_the_others,
)
