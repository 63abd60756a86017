"""What lies in the bucket about jobs, read as a coordinator and those who follow a job need it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from backupstore.core.documents import decode
from backupstore.core.job_answers import answers
from backupstore.core.job_commands import is_open
from backupstore.core.job_documents import Job, NodeState, Request, Wish
from backupstore.core.job_ids import in_order
from backupstore.core.key_parsing import job_key, parse_in
from backupstore.core.layout import Layout
from backupstore.errors import Corrupt, NotFound
from backupstore.operations.documents import D, read_own
from backupstore.operations.each import Each
from backupstore.ports import ObjectStore

Tell = Callable[[Corrupt], None]
_MOST_STATES = 32
"""The last so many answers to a command are read. Of a longer list only the last one can be for good."""
_MOST_BYTES = 1 << 20
_MOST_ASKED = 4 << 20
"""Bytes of a request: thousands of nodes, and no more than a function can hold."""


@dataclass(frozen=True, slots=True)
class Versioned:
    """A job as it is stored, and the version that ``replace`` wants."""

    job: Job
    version: str


def open_jobs(store: ObjectStore, layout: Layout) -> tuple[str, ...]:
    """The jobs that are not over, oldest first: two listings of names."""
    asked = layout.all_job_requests()
    over = layout.jobs_over()
    names = {folder[len(asked) : -1] for folder in store.entries(asked).folders}
    ended = {stored.key[len(over) :] for stored in store.entries(over).objects}
    return tuple(in_order(names - ended))


def read_request(store: ObjectStore, layout: Layout, job: str) -> Request | None:
    """What was asked; None where there is no request. Corrupt when it cannot be read, or is another job's."""
    key = layout.job_request(job)
    request = read_own(store, Request, key, limit=_MOST_ASKED)
    if request is not None and request.job != job:
        raise _strange(key, f"it speaks of {request.job}")
    return request


def read_job(store: ObjectStore, layout: Layout, job: str) -> Versioned | None:
    """Where a job stands; None before a coordinator saw it. Corrupt when it cannot be read."""
    key = layout.job(job)
    try:
        found = store.read(key)
    except NotFound:
        return None
    return Versioned(decode(Job, found.body, key), found.version)


def read_wishes(store: ObjectStore, layout: Layout, job: Job, tell: Tell) -> tuple[Wish, ...]:
    """The wishes that were not looked at yet. Those that cannot be read are told, and count for nothing."""
    known = {each.id for each in job.wishes}
    return tuple(_new_wishes(store, layout, job.job, known, tell))


def _new_wishes(store: ObjectStore, layout: Layout, job: str, known: set[str], tell: Tell) -> Iterator[Wish]:
    for stored in store.list(layout.job_wishes(job)):
        key = parse_in(layout, stored.key)
        says = job_key(key) if key else None
        if says is None or says.wish in known:
            continue
        wish = _read(store, Wish, stored.key, tell)
        if wish is None:
            continue
        if (wish.job, wish.id) != (job, says.wish):
            tell(_strange(stored.key, f"it speaks of wish {wish.id} for {wish.job}"))
            continue
        yield wish


def read_states(store: ObjectStore, layout: Layout, job: Job, tell: Tell, each: Each = map) -> tuple[NodeState, ...]:
    """What the nodes have answered since they were heard of last, to the command that each was given last.

    Nodes are not trusted: what cannot be read, or speaks for another node, is told, and counts for nothing.
    """

    def of(node: str) -> list[NodeState]:
        part = job.nodes[node]
        states = _states_of(store, layout, job.job, node, part.number, part.seq, tell)
        return [state for state in states if answers(state, job, part)]

    heard = each(of, [node for node, part in sorted(job.nodes.items()) if is_open(part)])
    return tuple(state for states in heard for state in states)


def _states_of(  # noqa: PLR0913, PLR0917 # where, whose, and which of them
    store: ObjectStore, layout: Layout, job: str, node: str, number: int, after: int, tell: Tell
) -> Iterator[NodeState]:
    listed = (parse_in(layout, stored.key) for stored in store.list(layout.job_states(job, node)))
    said = (job_key(key) for key in listed if key)
    new = sorted(each.seq for each in said if each and each.number == number and each.seq > after)
    for seq in new[-_MOST_STATES:]:
        key = layout.job_state(job, node, number, seq)
        state = _read(store, NodeState, key, tell)
        if state is None:
            continue
        if (state.node, state.job, state.number, state.seq) != (node, job, number, seq):
            tell(_strange(key, f"it speaks of {state.number}-{state.seq} of {state.node} in {state.job}"))
            continue
        yield state


def _read(store: ObjectStore, kind: type[D], key: str, tell: Tell) -> D | None:
    try:
        return decode(kind, store.read(key, limit=_MOST_BYTES).body, key)
    except NotFound:
        return None
    except Corrupt as error:
        tell(error)
        return None


def _strange(key: str, why: str) -> Corrupt:
    return Corrupt(
        f"{key} is not where it belongs: {why[:300]}",
        hint="Find out who wrote it; it was not medusa-shipper.",
        operation="job",
        key=key,
    )
