"""Which clusters of a bucket jobs were asked of: looked for again and again, so that what is known is not asked for twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from backupstore.core.layout import Layout
from backupstore.operations.reconcile import announced, clusters_at
from backupstore.operations.truth import top_names
from backupstore.ports import ObjectStore

_BELIEVED = 3600.0


@dataclass(slots=True)
class JobSearch:
    """Remembers which folders are nodes of the cluster without a prefix: with a thousand of them each look would cost as much.

    That is believed for an hour, and of no folder whose nodes have announced anything: what a node may write below its own
    folder could make its cluster look like one. Threads may look at the same time: what is remembered is never changed in place.
    """

    _proved: frozenset[str] = field(default=frozenset(), init=False)
    _nodes: Mapping[str, float] = field(default_factory=dict, init=False)

    def clusters(self, store: ObjectStore, now: float) -> tuple[str, ...]:
        """The prefixes of the clusters of which anything was ever asked, sorted; there may be jobs before any backup.

        ``now``: seconds by a clock that never goes back.
        """
        self._nodes = {name: since for name, since in self._nodes.items() if now - since < _BELIEVED}
        folders = {"", *top_names(store)} - self._nodes.keys()
        found = {prefix for prefix in folders if store.entries(Layout(prefix).jobs()).folders}
        self._learn(store, folders - found - self._proved - {""}, now)
        return tuple(sorted(found))

    def _learn(self, store: ObjectStore, doubtful: set[str], now: float) -> None:
        if not doubtful:
            return
        self._proved |= announced(store) & doubtful
        for name in sorted(doubtful - self._proved):
            proof = clusters_at(store, name)
            if name in proof:
                self._proved |= {name}
            elif proof:
                self._nodes = {**self._nodes, name: now}
