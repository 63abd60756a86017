"""How something is done with each of many: one by one, or many at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

A = TypeVar("A")
B = TypeVar("B")


class Each(Protocol):
    """The built-in ``map``, or that of a pool. What it is given has to be safe to do at the same time."""

    def __call__(self, what: Callable[[A], B], these: Iterable[A], /) -> Iterable[B]:
        """The answers, in the order of the questions. It may only begin when they are asked for."""
        ...
