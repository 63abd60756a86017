"""``make simulate N=100000``: many histories on all processors, and what came of them; then every mutant.

python -m tests.simulation 100000 [FIRST]      # seeds "sim FIRST" and on
python -m tests.simulation --seed "sim 4711"   # one history again
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from multiprocessing import Pool

from tests.simulation.many import Told, live
from tests.simulation.mutants import MUTANTS, Catch, catch
from tests.simulation.openings import prepare
from tests.simulation.play import play

_BLOCK = 50
_MOST = 20_000
"""Histories for each mutant."""


def main(arguments: list[str]) -> int:
    """0 without a violation, and when every mutant was caught."""
    if arguments[:1] == ["--seed"]:
        history = play(arguments[1])
        sys.stdout.write(f"{history.seed}: {history.steps} steps, {history.happened}\n")
        return 0
    number = int(arguments[0]) if arguments else 10_000
    first = int(arguments[1]) if len(arguments) > 1 else 0
    prepare()
    with Pool(os.cpu_count()) as pool:
        told = Told()
        began = time.monotonic()
        for each in pool.imap_unordered(_block, _blocks(first, number)):
            told.add(each)
            _say(f"VIOLATION {violation}" for violation in each.violations)
        _say(_summary(told, time.monotonic() - began))
        caught = pool.map(_caught, range(len(MUTANTS)), 1)
    _say(_told_of(name, found) for name, found in caught)
    return int(bool(told.violations) or any(found is None for _, found in caught))


def _blocks(first: int, number: int) -> Iterator[tuple[int, int]]:
    for start in range(first, first + number, _BLOCK):
        yield start, min(_BLOCK, first + number - start)


def _block(which: tuple[int, int]) -> Told:
    return live(*which)


def _caught(number: int) -> tuple[str, Catch | None]:
    mutant = MUTANTS[number]
    return mutant.__name__, catch(mutant, 0, _MOST)


def _summary(told: Told, seconds: float) -> Iterator[str]:
    speed = told.histories / seconds
    yield (
        f"{told.histories} histories, {told.steps} steps, {speed:.0f} histories per second,"
        f" {len(told.violations)} violations"
    )
    yield from (f"{times:>10}  {what}" for what, times in told.happened.most_common())


def _told_of(name: str, found: Catch | None) -> str:
    how = f"caught after {found.tried} histories: {found.why}" if found else f"NOT CAUGHT in {_MOST} histories"
    return f"mutant {name}: {how}"


def _say(lines: Iterator[str]) -> None:
    for line in lines:
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
