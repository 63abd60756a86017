"""The phases of a job: in which order they come, who has to do what in each, and where nothing leads back any more.

A phase ends when everybody who has to do something in it has done it. The next one's commands follow from the job as it is
stored then, so that no command of a phase exists before the phase does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from backupstore.core.job_documents import Job, Phase, Request, Verb

Who = Callable[[Job, Request], tuple[str, ...]]


def planned(request: Request) -> tuple[str, ...]:
    """All nodes that have a part in it as it was asked for. By sstableloader a node may have nothing to load."""
    loads = request.kind == "restore" and request.method == "sstableloader"
    return tuple(each.target for each in request.assignments if each.sources or not loads)


def everybody(job: Job, request: Request) -> tuple[str, ...]:
    """All of these but those that were given up."""
    return tuple(node for node in planned(request) if node not in job.without)


def seeds(job: Job, request: Request) -> tuple[str, ...]:
    """The nodes without which the others cannot start."""
    return tuple(node for node in everybody(job, request) if node in request.seeds)


def others(job: Job, request: Request) -> tuple[str, ...]:
    """The nodes that are no seeds."""
    return tuple(node for node in everybody(job, request) if node not in request.seeds)


def one(job: Job, request: Request) -> tuple[str, ...]:
    """A node that does something for all, each time the same: a seed, if there is any."""
    return (seeds(job, request) or everybody(job, request))[:1]


def touched(job: Job, request: Request) -> tuple[str, ...]:
    """Who may have something to put back: the nodes that were told to stop, and those that have answered anything.

    Of the others nothing was ever heard. At most they hold data that they fetched, and every command of before is refused.
    """
    return tuple(
        node for node in everybody(job, request) if (part := job.nodes.get(node)) and (part.stopped or part.known)
    )


def stopped_seeds(job: Job, request: Request) -> tuple[str, ...]:
    """The seeds that are down because of this job."""
    return tuple(node for node in seeds(job, request) if _was_stopped(job, node))


def stopped_others(job: Job, request: Request) -> tuple[str, ...]:
    """The other nodes that are down because of this job."""
    return tuple(node for node in others(job, request) if _was_stopped(job, node))


def _was_stopped(job: Job, node: str) -> bool:
    part = job.nodes.get(node)
    return part is not None and part.stopped


@dataclass(frozen=True, slots=True)
class Stage:
    """What a phase asks of whom, and which phase follows. ``limited``: of at most ``Request.parallel`` nodes at once."""

    verb: Verb
    who: Who
    then: Phase
    limited: bool = False


Course = Mapping[Phase, Stage]

REPLACE: Course = MappingProxyType(
    {
        "preparing": Stage("prepare", everybody, "stopping", limited=True),
        "stopping": Stage("stop", everybody, "placing"),
        "placing": Stage("place", everybody, "starting-seeds"),
        "starting-seeds": Stage("start", seeds, "starting"),
        "starting": Stage("start", others, "checking"),
        "checking": Stage("check", everybody, "committing"),
        "committing": Stage("commit", everybody, "committed"),
    }
)
LOADING: Course = MappingProxyType(
    {
        "preparing": Stage("prepare", everybody, "schema", limited=True),
        "schema": Stage("schema", one, "loading"),
        "loading": Stage("load", everybody, "indexing", limited=True),
        "indexing": Stage("index", one, "committed"),
    }
)
BACKUP: Course = MappingProxyType({"backing-up": Stage("backup", everybody, "done", limited=True)})
BACK: Course = MappingProxyType(
    {
        "rolling-back": Stage("put-back", touched, "restarting-seeds"),
        "restarting-seeds": Stage("start", stopped_seeds, "restarting"),
        "restarting": Stage("start", stopped_others, "rolled-back"),
    }
)


def course_of(request: Request) -> Course:
    """The phases of this job, those of the way back among them."""
    if request.kind == "backup":
        return BACKUP
    if request.method == "sstableloader":
        return MappingProxyType({**LOADING, **BACK})
    # With the old data deleted first, the nodes fetch when they place.
    placing = replace(REPLACE["placing"], limited=request.stop_first)
    return MappingProxyType({**REPLACE, "placing": placing, **BACK})


def first_of(request: Request) -> Phase:
    """The phase with which it begins."""
    return "backing-up" if request.kind == "backup" else "preparing"


def is_decision(phase: Phase, request: Request) -> bool:
    """Whether nothing leads back from this phase: old data is given up in it, or the schema of a running cluster changed."""
    return phase in {"committing", "schema"} or (phase == "stopping" and request.stop_first)
