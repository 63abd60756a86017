"""``python -m benchmarks``: the whole table, or the rows that ``--rows`` names.

    python -m benchmarks --rows large-up,large-down --rounds 5

Contestants alternate within each row (A B C, B C A, …); the table shows medians. It ends with exit code 0 whatever the
figures are: a missed goal is printed as a miss, with its reason.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from benchmarks.arena import Arena
from benchmarks.asked import request_lines
from benchmarks.contestants import Contestant, Cp, Ours, S5cmd, Stock, s5cmd
from benchmarks.measuring import Run, digest_cost, median
from benchmarks.rows import GROWTH_GOAL, MEMORY_GOAL, ROWS, STOCK_ALONE, Line, Machine, Row, lines_of
from benchmarks.table import print_lines
from tests.harness import stock

_Contestants = dict[str, Contestant]
_FURTHER = ("memory", "requests")
_GROWS = "something is kept for each file"


def main() -> None:
    """Measure and print."""
    rows, rounds, contestants = _arguments()
    with ExitStack() as stack:
        base = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="medusa-shipper-bench-")))
        stock.python()
        s5cmd()
        arena = Arena(base, stack)
        machine = Machine(os.cpu_count() or 1, digest_cost())
        digests = ", ".join(f"{name} {cost:.2f}" for name, cost in machine.digests.items())
        _say(f"{machine.cores} processors; digests, processor s/GiB: {digests}")
        lines: list[Line] = []
        for row in ROWS:
            if row.key in rows:
                lines += lines_of(row, _medians(arena, row, rounds, contestants), arena.files(row.files).gib, machine)
        if "memory" in rows:
            lines += _memory_lines(arena, contestants["ours"])
        if "requests" in rows:
            lines += request_lines(base)
    print_lines(lines)


def _arguments() -> tuple[frozenset[str], int, _Contestants]:
    known = [*(row.key for row in ROWS), *_FURTHER]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=f"Rows: {', '.join(known)}.")
    parser.add_argument("--rows", default="", help="comma-separated; all by default")
    parser.add_argument("--rounds", type=int, default=3, help="how often each contestant runs (3)")
    given = parser.parse_args()
    rows = frozenset(filter(None, given.rows.split(","))) or frozenset(known)
    if unknown := rows - frozenset(known):
        parser.error(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    everybody = (Ours(), S5cmd(), Cp(), Stock("stock", 8), Stock(STOCK_ALONE, 1))
    return rows, max(1, given.rounds), {each.name: each for each in everybody}


def _medians(arena: Arena, row: Row, rounds: int, contestants: _Contestants) -> dict[str, Run]:
    names = ["ours", *row.goals]
    runs: defaultdict[str, list[Run]] = defaultdict(list)
    for turn in range(rounds):
        for name in [*names[turn % len(names) :], *names[: turn % len(names)]]:
            if turn and name in row.slow:
                continue
            measure = getattr(arena, row.verb)
            runs[name].append(measure(contestants[name], row.place, row.files))
            last = runs[name][-1]
            _say(f"{row.key} {turn + 1}/{rounds} {name}: {last.wall:.2f} s, cpu {last.cpu:.2f} s, {last.rss:.0f} MiB")
    return {name: median(of_one) for name, of_one in runs.items()}


def _memory_lines(arena: Arena, ours: Contestant) -> Iterator[Line]:
    peaks = dict[tuple[str, str], float]()
    for files, what in (("few", "10 files, 768 MiB"), ("tiny", "10 tiny files"), ("many", "100,000 tiny files")):
        for verb in ("up", "down"):
            peak = peaks[files, verb] = getattr(arena, verb)(ours, "s3", files).rss
            _say(f"memory {what}, {verb}: {peak:.0f} MiB")
            is_met = peak <= MEMORY_GOAL
            yield Line(f"memory, {what}, {verb}", f"{peak:.0f} MiB", "-", "-", f"≤ {MEMORY_GOAL:.0f} MiB", is_met)
        arena.forget("s3", files)
    for verb in ("up", "down"):
        growth = peaks["many", verb] - peaks["tiny", verb]
        goal = f"≤ {GROWTH_GOAL:.0f} MiB"
        yield Line(f"memory, growth, {verb}", f"{growth:.0f} MiB", "-", "-", goal, growth <= GROWTH_GOAL, _GROWS)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
