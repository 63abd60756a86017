"""The rows of the benchmark and their goals, and how a row becomes lines of the table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmarks.measuring import Run

CPU_GOAL = 2.5  # processor seconds per GiB, of large files
MEMORY_GOAL = 200.0  # MiB
GROWTH_GOAL = 64.0  # MiB, from 10 tiny files to 100,000: what fills up once and then no more

_BUSY = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """``goals``: how many times a neighbour's time ours may take. ``slow``: who runs once, however many rounds."""

    key: str
    title: str
    verb: str
    place: str
    files: str
    goals: Mapping[str, float]
    slow: frozenset[str] = frozenset()
    cpu: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table; ``why`` is told where the goal is missed."""

    row: str
    ours: str
    neighbour: str
    ratio: str
    goal: str
    is_met: bool
    why: str = ""


STOCK_ALONE = "stock-with-1"
"""Stock with its own default, one transfer at a time; ``stock`` has eight."""

_STOCK = frozenset({"stock"})
_LARGE_S3, _SMALL_S3 = {"s5cmd": 1.0, STOCK_ALONE: 0.4, "stock": 0.4}, {"s5cmd": 1.2, "stock": 0.15}
_LOCAL = {"cp": 2.5, "stock": 0.25}
_PLACES = {"s3": ("", ""), "tls": ("tls-", "TLS: "), "local": ("local-", "local: ")}
_FILES = {"large": "2 GiB in 4 SSTables", "small": "20,000 files"}


def _row(place: str, files: str, verb: str, goals: Mapping[str, float]) -> Row:
    """What is large is about the processor too; so many small files take stock so long that it runs once."""
    key, title = _PLACES[place]
    if verb == "again":
        key, title, slow = f"{key}nothing-new", f"{title}{_FILES[files]}, nothing new", frozenset[str]()
    else:
        key, title = f"{key}{files}-{verb}", f"{title}{_FILES[files]}, {verb}"
        slow = _STOCK & goals.keys() if files == "small" else frozenset()
    return Row(key=key, title=title, verb=verb, place=place, files=files, goals=goals, slow=slow, cpu=files == "large")


ROWS = (
    _row("s3", "large", "up", _LARGE_S3),
    _row("s3", "large", "down", _LARGE_S3),
    _row("s3", "small", "up", _SMALL_S3),
    _row("s3", "small", "down", _SMALL_S3),
    _row("s3", "small", "again", {"s5cmd": 1.2, "stock": 1.0}),
    _row("tls", "large", "up", {"s5cmd": 1.0}),
    _row("tls", "small", "up", {"s5cmd": 1.2}),
    _row("local", "large", "up", _LOCAL),
    _row("local", "large", "down", _LOCAL),
    _row("local", "small", "up", _LOCAL),
    _row("local", "small", "down", _LOCAL),
    _row("local", "small", "again", {"stock": 1.0}),
)


@dataclass(frozen=True, slots=True)
class Machine:
    """What reasons are computed from: processors, and processor seconds per GiB of the digests of an upload."""

    cores: int
    digests: Mapping[str, float]


def lines_of(row: Row, medians: Mapping[str, Run], gib: float, machine: Machine) -> Iterator[Line]:
    """Ours beside each neighbour, then the processor time per GiB where that has a goal."""
    ours = medians["ours"]
    for name, limit in row.goals.items():
        theirs = medians[name]
        ratio = ours.wall / theirs.wall
        why = reason(ours, theirs, name, gib, machine)
        yield Line(row.title, _run(ours), f"{name} {_run(theirs)}", f"{ratio:.2f}", f"≤ {limit}", ratio <= limit, why)
    if row.cpu:
        cost, digests = ours.cpu / gib, sum(machine.digests.values())
        others = ", ".join(f"{name} {medians[name].cpu / gib:.2f}" for name in row.goals)
        why = f"digests {digests:.2f} s/GiB, start, reading and writing {cost - digests:.2f}; {others} without digests"
        yield Line(
            f"{row.title}, processor", f"{cost:.2f} s/GiB", "-", "-", f"≤ {CPU_GOAL} s/GiB", cost <= CPU_GOAL, why
        )


def reason(ours: Run, theirs: Run, name: str, gib: float, machine: Machine) -> str:
    """Where the time went, from what was measured: the processors, or waiting."""
    busy = ours.machine / (ours.wall * machine.cores)
    digests = sum(machine.digests.values()) * gib
    rest, their_rest = max(0.0, ours.machine - ours.cpu), max(0.0, theirs.machine - theirs.cpu)
    costs = (
        f"ours {ours.cpu:.1f} s (digests {digests:.1f} s of it), server and kernel beside it {rest:.1f} s;"
        f" {name} {theirs.cpu:.1f} s and {their_rest:.1f} s"
    )
    if busy > _BUSY:
        return f"the {machine.cores} processors were {busy:.0%} busy: {costs}"
    return f"the {machine.cores} processors were only {busy:.0%} busy, the rest is waiting for disk or server: {costs}"


def _run(run: Run) -> str:
    return f"{run.wall:.2f} s (cpu {run.cpu:.1f}, {run.rss:.0f} MiB)"
