"""Every history of the model, and what must hold in all of them.

A history never comes back to a world where it was before: everything that happens spends something. So each one ends, and where
it ends the job must be over, or wait for an operator and say for whom and why.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from backupstore.core.job_documents import Job
from tests.model.exchange import Exchanges
from tests.model.nodes import Order
from tests.model.parts import Happened, World
from tests.model.world import Protocol

_HARMLESS = frozenset({"prepare", "stop", "check", "load", "backup"})
"""Verbs that may begin at any time, as far as others are concerned."""
_STUCK = "nothing more happens, and the job neither is over nor says for whom it waits"


@dataclass(frozen=True, slots=True)
class Violation:
    """What was broken, and by which history."""

    why: str
    history: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.why}, after: {'; '.join(self.history)}"


@dataclass
class Explored:
    """``ends``: in how many ways histories ended, by the phase of the job, and whether it waits. ``worlds``: all of them."""

    states: int = 0
    transitions: int = 0
    jobs: int = 0
    worlds: set[World] = field(default_factory=set, repr=False)
    ends: dict[str, int] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)


def explore(protocol: Protocol, adversities: int, *, most_violations: int = 1, exchanging: bool = True) -> Explored:
    """Go through every world that can be reached with so many adversities.

    ``exchanging``: of those that differ by the names of nodes only through one. In a history names may change then.
    """
    found = Explored()
    exchanges = Exchanges(protocol) if exchanging else None
    start = protocol.start(adversities)
    open_worlds, closed = {start}, found.worlds
    path: list[tuple[World, Iterator[Happened], str]] = [(start, _follows(protocol, start, found), "asked for")]
    while path:
        world, following, _ = path[-1]
        happened = next(following, None)
        if happened is None:
            path.pop()
            open_worlds.discard(world)
            closed.add(world)
            continue
        found.transitions += 1
        broken = list(_broken(protocol, world, happened.world))
        after = exchanges.same(happened.world) if exchanges else happened.world
        if after in open_worlds:
            same = "nothing is gained: this world was there before"
            broken.append(happened.what if happened.world is world else same)
        if broken:
            history = (*(what for _, _, what in path), happened.what)
            found.violations += [Violation(each, history) for each in broken]
            if len(found.violations) >= most_violations:
                break
        if after not in closed and after not in open_worlds:
            open_worlds.add(after)
            path.append((after, _follows(protocol, after, found), happened.what))
    found.states, found.jobs = len(closed) + len(open_worlds), len(protocol.jobs)
    return found


def _follows(protocol: Protocol, world: World, found: Explored) -> Iterator[Happened]:
    """What may happen next. Where nothing does but what needs bad luck or an operator, time passes."""
    quiet = True
    for happened in protocol.follows(world):
        by_itself = happened.world.left == world.left
        quiet = quiet and not by_itself
        if by_itself or happened.what.endswith(protocol.only):
            yield happened
    yield from protocol.returned(world)
    if quiet:
        aged = list(protocol.aged(world))
        yield from aged
        if not aged:
            job = protocol.jobs[world.job]
            end = f"{job.phase}{', waiting' if job.waiting else ''}{', without somebody' if job.given_up else ''}"
            found.ends[end] = found.ends.get(end, 0) + 1
            if not _is_told(job):
                yield Happened(_STUCK, world)
            for wrong in _wrong_in_the_end(protocol, world):
                yield Happened(wrong, world)
            if not job.is_over:
                yield from protocol.given_up(world)
    elif world.left:
        for happened in protocol.aged(world):
            yield Happened(happened.what, happened.world._replace(left=world.left - 1))


def _is_told(job: Job) -> bool:
    """Whether the job is over, or says for whom it waits, and why."""
    return job.is_over or (bool(job.waiting) and all(wait.node and wait.why for wait in job.waiting))


def _broken(protocol: Protocol, before: World, after: World) -> Iterator[str]:
    """The rules that this transition breaks."""
    was, job = protocol.jobs[before.job], protocol.jobs[after.job]
    if was is not job:
        yield from _broken_by_the_job(was, job)
        if was.given_up or job.given_up:
            yield from _broken_by_giving_up(protocol, was, job, after)
    for at, (number, then) in enumerate(zip(before.nodes, after.nodes, strict=True)):
        if number != then and (order := protocol.begun(number, then)) and order.verb not in _HARMLESS:
            yield from _broken_by_beginning(protocol, after.job, before, protocol.names[at], order)
    if job.is_over and (job is not was or before.nodes != after.nodes):
        yield from _broken_by_the_end(protocol, job, after)


def _broken_by_the_end(protocol: Protocol, job: Job, world: World) -> Iterator[str]:
    without = protocol.without(world.job)
    left = [node for name, node in zip(protocol.names, protocol.nodes_of(world), strict=True) if name not in without]
    if job.phase == "committed" and not all(node.data == "kept" and node.up for node in left):
        yield f"the job says committed, and the nodes are {_told(protocol, world)}"
    indexed = protocol.request.method == "replace" or not left or any(node.indexed for node in protocol.nodes_of(world))
    if job.phase == "committed" and not indexed:
        yield "the job says committed, and nobody has made the indexes"
    if job.phase == "rolled-back" and not all(node.data == "old" and node.up for node in left):
        yield f"the job says rolled-back, and the nodes are {_told(protocol, world)}"


def _broken_by_the_job(was: Job, job: Job) -> Iterator[str]:
    if was.decision and job.decision != was.decision:
        yield f"the decision {was.decision} became {job.decision}"
    if was.is_over:
        yield "a job that was over went on"
    if job.epoch < was.epoch or any(part.number > job.nodes[name].number for name, part in was.nodes.items()):
        yield "an epoch or a number was counted back"
    if len({wish.id for wish in job.wishes}) != len(job.wishes):
        yield "a wish was obeyed twice"


def _broken_by_giving_up(protocol: Protocol, was: Job, job: Job, world: World) -> Iterator[str]:
    if was.given_up != job.given_up[: len(was.given_up)]:
        yield "who was given up is forgotten"
    for each in job.given_up[len(was.given_up) :]:
        if each.node not in {wished.without for wished in protocol.wishes[world.wishes]}:
            yield f"{each.node} is given up, and nobody wished it"
        if was.nodes[each.node].outcome == "done":
            yield f"{each.node} is given up, and had done what it was told"
        if was.decision is None and job.decision != "rollback":
            yield f"{each.node} is given up forwards, and nothing is decided"
    if job.is_over and not all(name in job.why for name in job.without):
        yield f"the job is over without {', '.join(sorted(job.without))}, and does not say so"


def _wrong_in_the_end(protocol: Protocol, world: World) -> Iterator[str]:
    """Who was given up, and came back in time to read what it is told, runs with no other data than the others."""
    job, request = protocol.jobs[world.job], protocol.request
    if not job.is_over or request.method == "sstableloader" or request.stop_first:
        return
    meant = {"old"} if job.phase == "rolled-back" else {"new", "kept"}
    for name, node in zip(protocol.names, protocol.nodes_of(world), strict=True):
        if name in job.without and node.up and not (node.dead or node.expired) and node.data not in meant:
            yield f"{name} was given up, the job is {job.phase}, and it runs with {node.data} data"


def _broken_by_beginning(protocol: Protocol, number: int, world: World, name: str, order: Order) -> Iterator[str]:
    """A command that was overtaken meanwhile may still be begun: its node does not know yet. Not so where a decision is."""
    job, without = protocol.jobs[number], protocol.without(number)
    nodes = dict(zip(protocol.names, protocol.nodes_of(world), strict=True))
    left = [node for node_name, node in nodes.items() if node_name not in without]
    is_current = name in job.nodes and job.nodes[name].number == order.number
    if order.verb == "commit" and not (job.decision == "commit" and all(node.checked for node in left)):
        yield f"{name} commits, the decision is {job.decision}, and the nodes are {_told(protocol, world)}"
    leaves = name in without and protocol.request.method == "sstableloader"
    if order.verb == "put-back" and job.decision != "rollback" and not leaves:
        yield f"{name} puts back, and the decision is {job.decision}"
    if order.verb == "put-back" and protocol.request.stop_first and nodes[name].data != "old":
        yield f"{name} puts back, and its old data is deleted"
    if order.verb == "schema" and any(node.data == "kept" for node in left):
        yield f"{name} makes the schema, and the nodes are {_told(protocol, world)}"
    if order.verb == "index" and any(node.data != "kept" for node in left):
        yield f"{name} makes the indexes, and the nodes are {_told(protocol, world)}"
    if order.verb == "place" and is_current and name not in without and any(node.up for node in left):
        yield f"{name} places, and the nodes are {_told(protocol, world)}"
    seeds = [node for seed, node in nodes.items() if seed in protocol.request.seeds - without]
    if order.verb == "start" and is_current and name not in protocol.request.seeds and not all(n.up for n in seeds):
        yield f"{name} starts before its seeds: {_told(protocol, world)}"
    if order.verb == "start" and is_current and nodes[name].data not in {"old", "new"}:
        yield f"{name} starts with {nodes[name].data} data"


def _told(protocol: Protocol, world: World) -> str:
    return ", ".join(f"{node.data}{'' if node.up else ' and down'}" for node in protocol.nodes_of(world))
