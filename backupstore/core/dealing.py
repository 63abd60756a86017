"""Dealing node backups out over the nodes that load them, so that all are done at about the same time.

The largest first, each to whoever has least to do so far: never more than a third above the best there can be, and the
same whatever order the names come in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from heapq import heapify, heapreplace


def deal(sizes: Mapping[str, int], targets: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Target → the sources it gets, sorted by name; every target is there, some with nothing. ``sizes`` in bytes.

    Each source is dealt out exactly once; there must be a target.
    """
    names = sorted(set(targets))
    dealt: dict[str, list[str]] = {name: [] for name in names}
    # Those of equal load take turns: node backups without any data are shared out as well.
    loads = [(0, 0, name) for name in names]
    heapify(loads)
    for source, size in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
        load, count, target = loads[0]
        dealt[target].append(source)
        heapreplace(loads, (load + size, count + 1, target))
    return {target: tuple(sorted(sources)) for target, sources in dealt.items()}


def busiest(sizes: Mapping[str, int], parallel: int) -> int:
    """Bytes that pass one after the other where at most ``parallel`` are under way at once; 0 for all at once."""
    hands = min(parallel, len(sizes)) or len(sizes)
    dealt = deal(sizes, map(str, range(hands))) if hands else {}
    return max((sum(sizes[name] for name in names) for names in dealt.values()), default=0)
