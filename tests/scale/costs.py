"""What a month costs, from counted requests and stated prices: the two tables of docs/scale.md.

Prices are dollars without any free tier: Amazon's of us-east-1, Google's of us-east1. How long calls take is an estimate,
and the only number here that is neither counted nor published.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from backupstore.core.documents import Mode
from tests.scale import requests
from tests.scale.requests import Requests

SIZES = (3, 32, 180)
_FILES, _NEW = 2000, 160
"""Of a node, and how many of them are new after an hour."""
_KEPT_DAYS = 7
_LIVE_GB, _TIMES = 100, 9
"""Of a node: its data, and how often as much is stored (seven full backups, and what differentials share)."""
_PAGES = 29
"""A listing of a node's data: a thousand files a page, those of a week of differentials (2,000 + 168 x 160)."""
_DAYS, _HOURS = 30, 720
_A_DAY = 25
_QUARTERS, _FIVES, _MINUTES = 2880, 8640, 43_200
_QUEUES = 4
_POLLS = 5 * _DAYS * 86_400 // 20
"""Of one queue: Lambda asks it with five pollers, each for twenty seconds at a time."""


class Calls(NamedTuple):
    """Of one function in a month. ``seconds`` of each, an estimate; ``amazon``, ``google``: its memory in GiB."""

    number: float
    seconds: float
    amazon: float
    google: float


@dataclass(frozen=True)
class Counted:
    """What was counted, each once."""

    full: Requests
    differential: Requests
    started: Requests
    finished: Requests
    report: Requests
    tick: Requests
    verified: Requests

    def reconcile(self, nodes: int, backups: int) -> Requests:
        return _at(requests.reconciled, nodes, backups)

    def purge(self, nodes: int, backups: int) -> Requests:
        return _at(requests.purged, nodes, backups)


@cache
def counted() -> Counted:
    """Run everything once. Of a backup: what it asks for beside its files."""
    with tempfile.TemporaryDirectory() as folder:
        return Counted(
            full=_beside_files(Path(folder) / "full", "full"),
            differential=_beside_files(Path(folder) / "differential", "differential"),
            started=requests.indexed("started"),
            finished=requests.indexed("finished"),
            report=requests.reported(),
            tick=requests.verify_tick(),
            verified=requests.verified(1),
        )


def request_table() -> str:
    """What each kind of work asks for."""
    known = counted()
    rows = [
        ("a node's full backup of N files", f"N + {known.full.put}", known.full.get, known.full.list),
        ("a node's differential backup, N files new", f"N + {known.differential.put}", *known.differential[1:]),
        ("index: a node has begun", *known.started),
        ("index: a node has finished", *known.finished),
        ("reconcile, 4 nodes, 1 backup", *known.reconcile(4, 1)),
        ("reconcile, 4 nodes, 3 backups", *known.reconcile(4, 3)),
        ("report", *known.report),
        ("verify, nothing is due", *known.tick),
        ("verify, 3 nodes, 1 backup", *known.verified),
        ("purge, 4 nodes, 1 backup of 2 goes", *known.purge(4, 1)),
        ("purge, 4 nodes, 1 backup of 4 goes", *known.purge(4, 3)),
    ]
    return _table(("Work", "PUT", "GET", "LIST"), (map(str, row) for row in rows))


def cost_table() -> str:
    """Dollars a month."""
    heads = ("A month, in dollars", *(f"{cloud}, {nodes} nodes" for cloud in ("AWS", "Google") for nodes in SIZES))
    amazon, google = [_amazon(nodes) for nodes in SIZES], [_google(nodes) for nodes in SIZES]
    rows = [(what, *(f"{bill[what]:,.2f}" for bill in (*amazon, *google))) for what in amazon[0]]
    return _table(heads, rows)


def _amazon(nodes: int) -> dict[str, float]:
    sent, told = _requests_of_nodes(nodes), 2 * nodes * _A_DAY * _DAYS
    asked = _requests_of_functions(nodes)
    memory = sum(call.number * call.seconds * call.amazon for call in _calls(nodes))
    calls = sum(call.number for call in _calls(nodes))
    return _bill(
        storage=nodes * _LIVE_GB * _TIMES * 0.023,
        sent=sent,
        asked=asked,
        functions=memory * 0.0000166667 + calls * 0.20e-6,
        messages=(sent.put + asked.put) * 1e-6 + (3 * told + _QUEUES * _POLLS) * 0.40e-6,
    )


def _google(nodes: int) -> dict[str, float]:
    calls, told = _calls(nodes), 2 * nodes * _A_DAY * _DAYS
    seconds = sum(call.number * call.seconds for call in calls)
    memory = sum(call.number * call.seconds * call.google for call in calls)
    timers = 5 * 0.10
    return _bill(
        storage=nodes * _LIVE_GB * _TIMES * 0.020,
        sent=_requests_of_nodes(nodes),
        asked=_requests_of_functions(nodes),
        functions=seconds * 0.000024 + memory * 0.0000025 + sum(call.number for call in calls) * 0.40e-6,
        messages=told * 2 * 1000 / 2**40 * 40 + timers,
    )


def _bill(*, storage: float, sent: Requests, asked: Requests, functions: float, messages: float) -> dict[str, float]:
    lines = {
        "storage": storage,
        "requests of the nodes": _price(sent),
        "requests of the functions": _price(asked),
        "functions": functions,
        "events, queues and timers": messages,
    }
    return {**lines, "all but storage": sum(lines.values()) - storage}


def _price(asked: Requests) -> float:
    """The same on both: Amazon's first kind of requests, Google's class A; then GET, class B."""
    return (asked.put + asked.list) * 0.005 / 1000 + asked.get * 0.0004 / 1000


def _requests_of_nodes(nodes: int) -> Requests:
    known = counted()
    full, hourly = nodes * _DAYS, nodes * _HOURS
    return _sum(
        _times(full, known.full),
        _times(hourly, known.differential),
        Requests(full * _FILES + hourly * _NEW, 0, hourly * (_PAGES - 1)),
    )


def _requests_of_functions(nodes: int) -> Requests:
    known, kept, made = counted(), _KEPT_DAYS * _A_DAY, _A_DAY * _DAYS
    return _sum(
        _times(nodes * made, known.started),
        _times(nodes * made, known.finished),
        _times(_QUARTERS, known.reconcile(nodes, kept)),
        _times(_FIVES, known.report),
        _times(_QUARTERS, known.tick),
        _times((made + kept * _DAYS) * nodes / 3, known.verified),
        Requests(0, 0, nodes * (made + 2 * _DAYS) * (_PAGES - 1)),
        _times(_DAYS, known.purge(nodes, kept)),
        _times(_DAYS * (_A_DAY - 1), known.purge(nodes, 1)),
    )


def _calls(nodes: int) -> tuple[Calls, ...]:
    """Indexer, reconcile, report, verify, purge, coordinator."""
    made = _A_DAY * _DAYS
    return (
        Calls(2 * nodes * made, 1.5, 0.25, 0.5),
        Calls(_QUARTERS, 3 + nodes / 20, 0.25, 0.5),
        Calls(_FIVES, 1, 0.25, 0.5),
        Calls(_QUARTERS + nodes * made, 3, 1.73, 2),
        Calls(_DAYS * (1 + nodes), 30, 0.5, 1),
        Calls(_MINUTES, 0.5, 0.5, 0.5),
    )


def _beside_files(base: Path, mode: Mode) -> Requests:
    base.mkdir()
    asked, files = requests.backup(base, mode, again=True, flushed=True)
    return asked._replace(put=asked.put - files)


@cache
def _corner(count: Callable[[int, int], Requests], nodes: int, backups: int) -> Requests:
    return count(nodes, backups)


def _at(count: Callable[[int, int], Requests], nodes: int, backups: int) -> Requests:
    """What is linear in both, from four small counts."""
    low, high = (2, 1), (4, 3)

    def between(at: int, one: float, other: float, place: float) -> float:
        return one + (other - one) * (place - low[at]) / (high[at] - low[at])

    corners = [[_corner(count, many, kept) for many in (low[0], high[0])] for kept in (low[1], high[1])]
    found = []
    for kind in range(3):
        few, more = (between(0, pair[0][kind], pair[1][kind], nodes) for pair in corners)
        found.append(round(between(1, few, more, backups)))
    return Requests(*found)


def _times(number: float, asked: Requests) -> Requests:
    return Requests(*(round(number * each) for each in asked))


def _sum(*asked: Requests) -> Requests:
    return Requests(*map(sum, zip(*asked, strict=True)))


def _table(heads: tuple[str, ...], rows: Iterable[Iterable[str]]) -> str:
    lines = (heads, ("---",) * len(heads), *rows)
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
