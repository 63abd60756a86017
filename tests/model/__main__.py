"""``make model``: every history of cluster jobs with so many adversities (two, unless told otherwise); then every mutant.

python -m tests.model [ADVERSITIES] [CLUSTER…]

As many processes as there are processors; a cluster is explored by one of them.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import pytest

from tests.model.clusters import CLUSTERS
from tests.model.explore import Explored, explore
from tests.model.mutants import MUTANTS, Mutant
from tests.model.world import Protocol

_SHOWN = 3
_SMALL = "two nodes"
_LONGER = 1
"""So many adversities more in the smallest cluster, for longer histories."""


class Task(NamedTuple):
    """What one process does at a time."""

    cluster: str
    adversities: int


def main(arguments: list[str]) -> int:
    """0 without a violation, and when every mutant was caught."""
    adversities = int(arguments[0]) if arguments else 2
    tasks = [Task(cluster, adversities) for cluster in arguments[1:] or CLUSTERS]
    if not arguments[1:]:
        tasks.insert(0, Task(_SMALL, adversities + _LONGER))
    began = time.monotonic()
    with ProcessPoolExecutor(os.cpu_count()) as processes:
        explored = [_told(task, found) for task, found in zip(tasks, processes.map(_explored, tasks), strict=True)]
        caught = list(map(_told_of_mutant, MUTANTS, processes.map(_caught, range(len(MUTANTS)))))
    violations = sum(len(each.violations) for each in explored)
    states = sum(each.states for each in explored)
    _say(f"{sum(caught)} of {len(caught)} mutants caught")
    _say(f"{states} states explored, {violations} violations, in {time.monotonic() - began:.0f} s")
    return int(violations > 0 or not all(caught))


def _explored(task: Task) -> Explored:
    gc.disable()  # millions of worlds, all of which are kept, and nothing that goes in circles
    found = explore(Protocol(CLUSTERS[task.cluster]), task.adversities, most_violations=_SHOWN)
    found.worlds.clear()  # nobody wants to be handed them all
    return found


def _told(task: Task, found: Explored) -> Explored:
    _say(f"{task.cluster}, at most {task.adversities} adversities in a history:")
    _say(f"{'':>4}{found.states} states, {found.transitions} transitions, {found.jobs} different jobs")
    for end, times in sorted(found.ends.items()):
        _say(f"{times:>10}  end {end}")
    for violation in found.violations:
        _say(f"VIOLATION {violation}")
    return found


def _caught(number: int) -> tuple[bool, int]:
    """Whether it was, and after how many states."""
    with pytest.MonkeyPatch.context() as patch:
        broken = MUTANTS[number](patch)
        found = explore(broken.protocol, broken.adversities)
    return any(broken.harm in each.why for each in found.violations), found.states


def _told_of_mutant(mutant: Mutant, came: tuple[bool, int]) -> bool:
    caught, states = came
    _say(f"mutant {mutant.__name__}: {'caught after' if caught else 'NOT CAUGHT in'} {states} states")
    return caught


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
