"""The world of the model: a job, its nodes, and all that may happen next.

Worlds are many, and what they are made of is little: so a world has numbers for its parts, and what follows from a part is
found out once.

By itself everything goes well: a state is seen when it is written, and a coordinator that has stored the job writes its
commands. What goes otherwise is an adversity, and a history has so many of them at most. Time stands still but for one thing:
a command grows old, so that its node counts as silent and nobody begins it any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from backupstore.core import job_commands, job_steps
from backupstore.core.job_commands import is_open
from backupstore.core.job_documents import Job, NodeJob, NodeState, Request, Wish, WishKind
from tests.model.nodes import PATIENCE, PREFIX, Node, Order, back, begun, by_itself, mailed, state, trouble
from tests.model.parts import Happened, Letter, Numbered, Wished, World, next_of, some_of

_KINDS: tuple[WishKind, ...] = ("resume", "rollback")
Locally = tuple[tuple[str, int], ...]
"""What may happen to a node alone, and its number after that."""
Step = Callable[[Job, Request, tuple[NodeState, ...], tuple[Wish, ...], float], Job]


@dataclass
class Protocol:
    """The rules under test: the step as it is, or broken. ``commands_first``: a coordinator writes before it stores.

    ``only``: there are no other adversities than those that end with this word.
    """

    request: Request
    step: Step = job_steps.step
    commands_first: bool = False
    only: str = ""
    jobs: list[Job] = field(default_factory=list)
    nodes: Numbered[Node] = field(default_factory=lambda: Numbered(Node()))
    wishes: Numbered[tuple[Wished, ...]] = field(default_factory=lambda: Numbered(()))
    hands: Numbered[tuple[Letter, ...]] = field(default_factory=lambda: Numbered(()))
    _numbers: dict[object, int] = field(default_factory=dict)
    _steps: dict[object, int] = field(default_factory=dict)
    _orders: dict[int, tuple[Letter, ...]] = field(default_factory=dict)
    _parts: dict[tuple[Letter, ...], tuple[tuple[Letter, ...], ...]] = field(default_factory=dict)
    _mailed: dict[tuple[int, Order], int] = field(default_factory=dict)
    _of_node: dict[tuple[int, int], Locally] = field(default_factory=dict)
    _trouble: dict[tuple[int, int], Locally] = field(default_factory=dict)
    _begun: dict[tuple[int, int], Order | None] = field(default_factory=dict)
    _without: dict[int, frozenset[str]] = field(default_factory=dict)
    _aged: dict[tuple[int, int], int | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.names = tuple(each.target for each in self.request.assignments)

    def start(self, adversities: int) -> World:
        """A request was made, and nobody has looked at it yet."""
        return World(self.known(job_steps.begin(self.request, 0.0)), (0,) * len(self.names), left=adversities)

    def without(self, job: int) -> frozenset[str]:
        """Who was given up."""
        if job not in self._without:
            self._without[job] = self.jobs[job].without
        return self._without[job]

    def nodes_of(self, world: World) -> list[Node]:
        """Its nodes themselves."""
        return [self.nodes[number] for number in world.nodes]

    def known(self, job: Job) -> int:
        """The number of a job; equal ones have the same."""
        key = (
            job.phase,
            job.decision,
            job.epoch,
            tuple(wait.node for wait in job.waiting),
            tuple(wish.id for wish in job.wishes),
            tuple((each.node, each.phase) for each in job.given_up),
            tuple(
                (part.number, part.epoch, part.verb, part.outcome, part.code, part.issued, part.stopped, part.known)
                for part in (job.nodes.get(name) for name in self.names)
                if part
            ),
            tuple(job.nodes),
        )
        number = self._numbers.setdefault(key, len(self.jobs))
        if number == len(self.jobs):
            self.jobs.append(job)
        return number

    # --- the coordinator ---
    def stepped(self, world: World) -> int:
        """The job after a call that sees all that can be seen."""
        said = tuple([self.nodes[number].said for number in world.nodes])
        key = (world.job, said, world.wishes)
        if key not in self._steps:
            states = tuple(
                state(self.request.job, each, name) for each, name in zip(said, self.names, strict=True) if each
            )
            wishes = _wishes(self.request.job, self.wishes[world.wishes])
            self._steps[key] = self.known(self.step(self.jobs[world.job], self.request, states, wishes, 0.0))
        return self._steps[key]

    def orders(self, job: int) -> tuple[Letter, ...]:
        """The commands of a job as it is stored."""
        if job not in self._orders:
            stored = self.jobs[job]
            made = job_commands.in_rounds(stored, job_commands.commands(stored, self.request, PREFIX, 0.0))
            self._orders[job] = tuple(
                Letter(number, self.names.index(each.node), Order(each.epoch, each.number, each.verb))
                for number, payloads in enumerate(made)
                for each in payloads
            )
        return self._orders[job]

    # --- what may happen ---
    def follows(self, world: World) -> Iterator[Happened]:
        """Everything that may happen next and changes anything."""
        yield from self._coordinated(world)
        spent = _spent(world)
        for at, number in enumerate(world.nodes):
            for what, after in self.of_node(at, number):
                yield Happened(what, _with_node(world, at, after))
            if world.left:
                for what, after in self.trouble(at, number):
                    yield Happened(what, _with_node(spent, at, after))
        if world.hand:
            yield from self._late_letters(world)
        if world.left and not self.jobs[world.job].is_over:
            for wish in _KINDS:
                yield Happened(f"wish {wish}", self._wished(spent, Wished(wish)))
            yield from self.given_up(spent)
            yield from self.given_up(spent, rightly=False)

    def _late_letters(self, world: World) -> Iterator[Happened]:
        hand = self.hands[world.hand]
        for each in next_of(hand):
            rest = self.hands.number(tuple(other for other in hand if other != each))
            yield Happened("a sleeper writes", self._written(world._replace(hand=rest), (each,)))

    def given_up(self, world: World, *, rightly: bool = True) -> Iterator[Happened]:
        """An operator gives up a node for which the job waits; or, not ``rightly``, one for which it does not.

        Which of these comes to the same, so it is one of them: not by its name, for names may be exchanged.
        """
        job = self.jobs[world.job]
        waited_for = {wait.node for wait in job.waiting}
        chosen = [name for name in self.names if (name in waited_for) == rightly]
        if not rightly and chosen:
            chosen = [min(chosen, key=lambda name: self._stand(world, name))]
        for name in chosen:
            for wish in _KINDS:
                if (wished := Wished(wish, name)) not in self.wishes[world.wishes]:
                    yield Happened(f"wish {wish} without {name}", self._wished(world, wished))

    def _stand(self, world: World, name: str) -> tuple[object, ...]:
        """All that tells one node from another but its name."""
        at, part = self.names.index(name), self.jobs[world.job].nodes.get(name, NodeJob())
        letters = [each.order for each in self.hands[world.hand] if each.at == at]
        wished = [number for number, each in enumerate(self.wishes[world.wishes]) if each.without == name]
        job = (part.number, part.issued, part.outcome or "", part.code, part.known, part.stopped)
        return (name in self.request.seeds, world.nodes[at], job, letters, wished)

    def returned(self, world: World) -> Iterator[Happened]:
        """Who was given up is there again."""
        without = self.without(world.job)
        if not without:
            return
        for at, (name, node) in enumerate(zip(self.names, self.nodes_of(world), strict=True)):
            if node.dead and name in without:
                yield Happened(f"{name} is there again", _with_node(world, at, self.nodes.number(back(node))))

    def _coordinated(self, world: World) -> Iterator[Happened]:
        job = self.stepped(world)
        orders = tuple([each for each in self.orders(job) if self.nodes[world.nodes[each.at]].mail != each.order])
        stored = world if job == world.job else world._replace(job=job)
        if orders or stored is not world:
            after = self._written(stored, orders)
            if after != world:
                yield Happened("coordinated", after)
        if not world.left:
            return
        spent = _spent(world if self.commands_first else stored)
        for some in self._some_of(orders):
            unfinished = self._written(spent, some)
            yield Happened("a coordinator dies", unfinished)
            if not world.hand and not self.commands_first:
                rest = tuple(each for each in orders if each not in some)
                yield Happened("a coordinator sleeps", unfinished._replace(hand=self.hands.number(rest)))

    def of_node(self, at: int, number: int) -> Locally:
        """What may happen to a node by itself."""
        if (at, number) not in self._of_node:
            found = by_itself(self.nodes[number], self.names[at], self.request.job)
            self._of_node[at, number] = self._numbered(at, found)
        return self._of_node[at, number]

    def trouble(self, at: int, number: int) -> Locally:
        """What may go wrong there."""
        if (at, number) not in self._trouble:
            self._trouble[at, number] = self._numbered(at, trouble(self.nodes[number]))
        return self._trouble[at, number]

    def begun(self, before: int, after: int) -> Order | None:
        """What a node has begun that was at the first number and is at the second now."""
        if (before, after) not in self._begun:
            self._begun[before, after] = begun(self.nodes[before], self.nodes[after])
        return self._begun[before, after]

    def _numbered(self, at: int, found: Iterator[tuple[str, Node]]) -> Locally:
        return tuple((f"{self.names[at]} {what}", self.nodes.number(node)) for what, node in found)

    def _wished(self, world: World, wished: Wished) -> World:
        return world._replace(wishes=self.wishes.number((*self.wishes[world.wishes], wished)))

    def _written(self, world: World, orders: tuple[Letter, ...]) -> World:
        """A command is never written over by an earlier one."""
        if not orders:
            return world
        nodes = list(world.nodes)
        for _, at, order in orders:
            key = (nodes[at], order)
            if key not in self._mailed:
                self._mailed[key] = self.nodes.number(mailed(self.nodes[nodes[at]], order))
            nodes[at] = self._mailed[key]
        return World(world.job, tuple(nodes), world.wishes, world.hand, world.left)

    def _some_of(self, orders: tuple[Letter, ...]) -> tuple[tuple[Letter, ...], ...]:
        if orders not in self._parts:
            self._parts[orders] = tuple(some_of(orders))
        return self._parts[orders]

    # --- time ---
    def aged(self, world: World) -> Iterator[Happened]:
        """One of the open commands grows old."""
        for at, name in enumerate(self.names):
            if (world.job, at) not in self._aged:
                self._aged[world.job, at] = self._with_old(self.jobs[world.job], name)
            job = self._aged[world.job, at]
            if job is None:
                continue
            node, part = self.nodes[world.nodes[at]], self.jobs[job].nodes[name]
            late = node.mail is not None and (node.mail.epoch, node.mail.number) <= (part.epoch, part.number)
            after = self.nodes.number(node._replace(expired=node.expired or late))
            yield Happened(f"{name}'s command grows old", _with_node(world._replace(job=job), at, after))

    def _with_old(self, job: Job, name: str) -> int | None:
        """The job when what this node was told last has grown old; None where it cannot."""
        part = job.nodes.get(name)
        if job.is_over or part is None or not is_open(part) or part.issued < 0:
            return None
        old = part.model_copy(update={"issued": -PATIENCE, "heard": -PATIENCE, "expires": 0.0})
        return self.known(job.model_copy(update={"nodes": {**job.nodes, name: old}}))


def _spent(world: World) -> World:
    """The same with one adversity less to come."""
    job, nodes, wishes, hand, left = world
    return World(job, nodes, wishes, hand, left - 1)


def _with_node(world: World, at: int, node: int) -> World:
    job, nodes, wishes, hand, left = world
    return World(job, (*nodes[:at], node, *nodes[at + 1 :]), wishes, hand, left)


def _wishes(job: str, made: tuple[Wished, ...]) -> tuple[Wish, ...]:
    return tuple(
        Wish(
            job=job,
            id=f"{number}-{wished.wish}-{wished.without or 'nobody'}",
            wish=wished.wish,
            by="operator",
            created=float(number),
            without=(wished.without,) if wished.without else (),
        )
        for number, wished in enumerate(made)
    )
