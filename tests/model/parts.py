"""What a world of the model is made of, and numbers for what is met again and again."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Generic, NamedTuple, TypeVar

from backupstore.core.job_documents import WishKind
from tests.model.nodes import Order

T = TypeVar("T")


class Wished(NamedTuple):
    """What an operator has asked for; ``without``: the node that is given up, if any."""

    wish: WishKind
    without: str = ""


class Letter(NamedTuple):
    """A command on its way to the node at this place; in an earlier ``round`` it is written before those of a later one."""

    round: int
    at: int
    order: Order


class World(NamedTuple):
    """``job``, ``nodes``, ``wishes``, ``hand``: their numbers in the ``Protocol``.

    ``hand``: commands that a sleeping coordinator will write some time. ``left``: how many more adversities there may be.
    ``wishes``: those that operators made so far.
    """

    job: int
    nodes: tuple[int, ...]
    wishes: int = 0
    hand: int = 0
    left: int = 0


class Happened(NamedTuple):
    """What happened, and what the world is like after it."""

    what: str
    world: World


class Numbered(Generic[T]):
    """Things that are met again and again: equal ones have the same number."""

    def __init__(self, first: T) -> None:
        self._numbers: dict[T, int] = {}
        self._all: list[T] = []
        self.number(first)

    def __getitem__(self, number: int) -> T:
        return self._all[number]

    def number(self, thing: T) -> int:
        """Its number, for ever; that of the first is 0."""
        found = self._numbers.setdefault(thing, len(self._all))
        if found == len(self._all):
            self._all.append(thing)
        return found


def next_of(orders: tuple[Letter, ...]) -> tuple[Letter, ...]:
    """Those of the round that comes next."""
    first = min((each.round for each in orders), default=0)
    return tuple(each for each in orders if each.round == first)


def some_of(orders: tuple[Letter, ...]) -> Iterator[tuple[Letter, ...]]:
    """All that may be written of them when not all is: of a round nothing before all of the one before."""
    before: tuple[Letter, ...] = ()
    while orders:
        of_round = next_of(orders)
        orders = tuple(each for each in orders if each not in of_round)
        for number in range(len(of_round)):
            yield from (before + some for some in combinations(of_round, number))
        before += of_round
