"""Stock's marker of a node's latest backup, ``index/latest_backup/F/``: what stock's report takes the age from.

Stock never corrects it when that backup is purged, and its two keys may disagree. Here it follows from the head.
"""

from __future__ import annotations

from collections.abc import Iterable

from backupstore.core import layout as grammar
from backupstore.core.documents import Head, Latest
from backupstore.core.key_parsing import parse_in
from backupstore.core.keys import LatestKey
from backupstore.operations.passes import Indexing, until_quiet

FILES = (grammar.TOKENMAP, grammar.BACKUP_NAME)  # in stock's order of writing


def settle_markers(at: Indexing, nodes: Iterable[str]) -> None:
    """Make the markers of these nodes say what the head says."""
    unsure = set(nodes)

    def look() -> bool:
        marked = {node: {file: at.body(at.layout.latest(node, file)) for file in FILES} for node in sorted(unsure)}
        head = at.stored(Head, at.layout.head()).document
        for node, there in marked.items():
            if _settle(at, node, there, head.latest.get(node) if head else None):
                unsure.discard(node)
        return not unsure

    if unsure:
        until_quiet(look, at.layout.head())


def doubtful_markers(at: Indexing) -> set[str]:
    """The nodes whose markers cannot be right, from one listing and the head: not whole, too many, or older than the backup."""
    written: dict[str, dict[str, float]] = {}
    for stored in at.store.list(at.layout.all_latest()):
        key = parse_in(at.layout, stored.key)
        if isinstance(key, LatestKey):
            written.setdefault(key.node, {})[key.file] = stored.modified
    head = at.stored(Head, at.layout.head()).document
    latest = head.latest if head else {}
    found = set(written.keys() ^ latest.keys())
    for node in written.keys() & latest.keys():
        times = [written[node].get(file, 0.0) for file in FILES]
        if min(times) < latest[node].finished:
            found.add(node)
    return found


def _settle(at: Indexing, node: str, there: dict[str, bytes | None], latest: Latest | None) -> bool:
    """Write what differs; whether nothing did."""
    if latest is None:
        stale = [at.layout.latest(node, file) for file in FILES if there[file] is not None]
        at.delete(stale)
        return not stale
    tokenmap = at.body(at.layout.meta(node, latest.name, grammar.TOKENMAP))
    if tokenmap is None:
        return True  # that backup is just going away; whoever handles that event comes here again
    should = {grammar.TOKENMAP: tokenmap, grammar.BACKUP_NAME: latest.name.encode()}
    different = [file for file in FILES if there[file] != should[file]]
    for file in different:
        at.put(at.layout.latest(node, file), should[file])
    return not different
