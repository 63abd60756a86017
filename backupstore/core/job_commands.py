"""The commands of a job: given to a node in the job first, and made from the stored job whenever they are to be written.

So whoever writes them after a crash, or a second time, writes the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypedDict

from backupstore.core.commands import (
    Arguments,
    BackupArguments,
    LoadArguments,
    Nothing,
    Payload,
    PrepareArguments,
    SchemaArguments,
)
from backupstore.core.job_documents import Job, NodeJob, Request, Verb
from backupstore.core.job_phases import planned

_UNHEARD = frozenset({None, "doing"})


class _What(TypedDict):
    backup: str
    keyspaces: tuple[str, ...]
    tables: tuple[str, ...]


def give(job: Job, request: Request, nodes: Iterable[str], verb: Verb, now: float) -> Job:
    """The job after these nodes were told something new."""
    told = dict(job.nodes)
    for node in nodes:
        before = told.get(node, NodeJob())
        told[node] = NodeJob(
            number=before.number + 1,
            epoch=job.epoch,
            verb=verb,
            issued=now,
            expires=now + request.patience,
            stopped=before.stopped or verb == "stop",
            known=before.known,
        )
    return job.model_copy(update={"nodes": told})


def is_open(part: NodeJob) -> bool:
    """Whether the node has a command that it has not answered for good."""
    return part.number > 0 and part.outcome in _UNHEARD


def commands(job: Job, request: Request, prefix: str, now: float) -> tuple[Payload, ...]:
    """What the nodes have to obey now. What has expired before anybody began it is not said any more, but to given up nodes.

    Of a job that is over only those are still told to put everything back that were not waited for.
    """
    return tuple(
        Payload(
            prefix=prefix,
            node=node,
            job=job.job,
            epoch=part.epoch,
            number=part.number,
            verb=part.verb,
            arguments=arguments(request, node, part.verb),
            issued=part.issued,
            expires=part.expires,
        )
        for node, part in sorted(job.nodes.items())
        if part.verb and is_open(part) and (part.outcome == "doing" or part.expires > now or node in job.without)
        if not job.is_over or part.verb == "put-back"
    )


def in_rounds(job: Job, payloads: Sequence[Payload]) -> tuple[tuple[Payload, ...], ...]:
    """In which order they are written: each round whole, before anything of the next one.

    Nodes that were given up come first. What they were told before must be gone from where they look, expired or not,
    before the others hear of anything that is done without them.
    """
    first = tuple(each for each in payloads if each.node in job.without)
    then = tuple(each for each in payloads if each.node not in job.without)
    return first, then


def arguments(request: Request, node: str, verb: Verb) -> Arguments:
    """What a verb needs to know at a node."""
    own = request.by_target[node]
    what: _What = {"backup": request.backup, "keyspaces": request.keyspaces, "tables": request.tables}
    match verb:
        case "backup":
            return BackupArguments(**what, mode=request.mode)
        case "prepare":
            return PrepareArguments(
                **what,
                method=request.method,
                sources=own.sources,
                remote=own.remote,
                targets=planned(request),
                keep_auth=request.keep_auth,
                verify=request.verify,
                stop_first=request.stop_first,
            )
        case "schema" | "index":
            sources = tuple(source for each in request.assignments for source in each.sources)
            return SchemaArguments(
                **what,
                sources=sources,
                verify=request.verify,
                datacenters=request.datacenters,
            )
        case "load":
            return LoadArguments(**what, sources=own.sources, keep_auth=request.keep_auth)
    return Nothing()
