"""Worlds that differ by nothing but the names of nodes: what follows from one of them follows from the other as well.

So one of them stands for all. Which nodes can be exchanged follows from the request: seeds for seeds and others for others, and
none where something goes by their order (who is next where only some may be at work; who does it for all).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import permutations

from backupstore.core.job_documents import Job, Request
from tests.model.parts import Letter, Wished, World
from tests.model.world import Protocol

_NAME = re.compile(r"\bn[0-9]+\b")


def orders_of(request: Request) -> tuple[tuple[int, ...], ...]:
    """In which other orders the nodes may stand: who comes to each place."""
    if request.parallel or request.method != "replace":
        return ()
    seeds = [each.seed for each in request.assignments]
    as_it_is, *others = permutations(range(len(seeds)))
    return tuple(order for order in others if [seeds[at] for at in order] == [seeds[at] for at in as_it_is])


@dataclass
class Exchange:
    """Nodes in another order. ``order``: who comes to each place."""

    protocol: Protocol
    order: tuple[int, ...]
    _jobs: dict[int, int] = field(default_factory=dict)
    _wishes: dict[int, int] = field(default_factory=dict)
    _hands: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = self.protocol.names
        self._renamed: Mapping[str, str] = {names[was]: names[at] for at, was in enumerate(self.order)}
        self._place = {was: at for at, was in enumerate(self.order)}

    def of(self, world: World) -> World:
        """The same world with its nodes in that order."""
        job, nodes, wishes, hand, left = world
        if job not in self._jobs:
            self._jobs[job] = self.protocol.known(self._job(self.protocol.jobs[job]))
        if wishes not in self._wishes:
            made = self.protocol.wishes[wishes]
            self._wishes[wishes] = self.protocol.wishes.number(
                tuple(Wished(each.wish, self._renamed.get(each.without, "")) for each in made)
            )
        if hand not in self._hands:
            letters = self.protocol.hands[hand]
            self._hands[hand] = self.protocol.hands.number(
                tuple(sorted(Letter(each.round, self._place[each.at], each.order) for each in letters))
            )
        return World(
            self._jobs[job], tuple([nodes[at] for at in self.order]), self._wishes[wishes], self._hands[hand], left
        )

    def _job(self, job: Job) -> Job:
        """Wherever a node is named, in texts as well; what stands in the order of the request stands in it again."""
        text = _NAME.sub(lambda name: self._renamed[name[0]], job.model_dump_json())
        other, names = Job.model_validate_json(text), self.protocol.names
        nodes = {name: other.nodes[name] for name in names if name in other.nodes}
        waiting = tuple(sorted(other.waiting, key=lambda wait: names.index(wait.node)))
        return other.model_copy(update={"nodes": nodes, "waiting": waiting})


class Exchanges:
    """Finds the world that stands for all that differ by names only."""

    def __init__(self, protocol: Protocol) -> None:
        self._exchanges = tuple(Exchange(protocol, order) for order in orders_of(protocol.request))

    def same(self, world: World) -> World:
        """That one."""
        return min([world, *[each.of(world) for each in self._exchanges]]) if self._exchanges else world
