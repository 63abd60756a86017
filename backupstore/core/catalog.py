"""The catalog's algebra: node facts → cluster backup → line → head.

Every function here takes what is stored and what was found, and gives what should be stored. Merging the same finding
twice changes nothing, findings of different nodes merge in any order, and the result is in one canonical form (sorted),
so that an update by events and a rebuild from nothing give the same content.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from backupstore.core.completion import Complete, Waiting, completion, is_finished
from backupstore.core.documents import ClusterBackup, Head, Latest, Line, NodeFact, Own, State, Verification
from backupstore.core.tokenmap import Ring

Roster = tuple[str, ...]
D = TypeVar("D", bound=Own)


def content(document: D) -> D:
    """What two writers who saw the same bucket agree on: the document without what tells of its writing."""
    fields = type(document).model_fields
    blank = {"revision": "", "checked": 0.0, "looked": 0.0, "repaired": 0}
    return document.model_copy(update={name: value for name, value in blank.items() if name in fields})


def empty_backup(name: str) -> ClusterBackup:
    """A cluster backup of which nothing is known. Stored, it says that the backup is gone."""
    return ClusterBackup(revision="", name=name)


def empty_head() -> Head:
    """A head that names no backup."""
    return Head(revision="", checked=0.0)


def with_facts(
    document: ClusterBackup, facts: Mapping[str, NodeFact | None], rings: Mapping[str, Ring]
) -> ClusterBackup:
    """The document with these findings; None takes a node out. Rings that nobody refers to any more are dropped."""
    merged: dict[str, NodeFact | None] = {**document.nodes, **facts}
    nodes = {name: fact for name, fact in sorted(merged.items()) if fact is not None}
    known: dict[str, Ring] = {**document.rings, **rings}
    used = sorted({fact.ring for fact in nodes.values() if fact.ring in known})
    return document.model_copy(update={"nodes": nodes, "rings": {ring: dict(known[ring]) for ring in used}})


def roster_of(document: ClusterBackup) -> Roster:
    """The nodes that have a node backup of this name, those given up left out."""
    return tuple(sorted(name for name, fact in document.nodes.items() if not fact.abandoned))


def line_of(document: ClusterBackup, roster: int = 0) -> Line | None:
    """What the head says of it; None when there is no node backup. ``roster`` is the position in the head's rosters."""
    live = roster_of(document)
    if not live:
        return None
    judged = completion(document.nodes, document.rings)
    finished, incomplete, missing = _split(judged)
    counted = [document.nodes[name] for name in (*finished, *incomplete)]
    # No expected node has a backup when a ring spells its nodes in another way: then all of them tell the time.
    first = min((document.nodes[name].started, name) for name in (*finished, *incomplete) or live)
    return Line(
        name=document.name,
        started=first[0],
        finished=max(fact.finished or 0.0 for fact in counted) if isinstance(judged, Complete) else None,
        state=_state(judged, counted),
        mode=document.nodes[first[1]].mode,
        size=sum(fact.size for fact in counted),
        objects=sum(fact.objects for fact in counted),
        expected=len(finished) + len(incomplete) + len(missing),
        completed=len(finished),
        incomplete=incomplete,
        missing=missing,
        roster=roster,
        corrupt=sum(fact.corrupt for fact in counted),
        verified=last_verification(document.verified),
        levels=document.verified,
    )


def last_verification(verified: Iterable[Verification]) -> Verification | None:
    """What to say of it in one word: the last that found something bad, else the last; None when there is none.

    Each level was verified once at most: what a higher level found bad stays so until that level finds it good.
    """
    return max(verified, key=lambda each: (not each.ok, each.at, each.level), default=None)


def lines_of(head: Head, node: str) -> tuple[Line, ...]:
    """The lines that hold a backup of that node."""
    return tuple(line for line in head.backups if node in nodes_of(head, line))


def unread(head: Head, documents: Mapping[str, ClusterBackup | None]) -> frozenset[str]:
    """Which other documents ``with_lines`` needs.

    ``latest`` follows from the changed documents as long as they only add. When a node's latest backup is gone
    from them, the second latest stands in any other document that holds this node, and all of these must be read.
    """
    lost = {node for node, latest in head.latest.items() if _is_lost(node, latest, documents)}
    return frozenset(
        line.name for line in head.backups if line.name not in documents and not lost.isdisjoint(nodes_of(head, line))
    )


def with_lines(head: Head, documents: Mapping[str, ClusterBackup | None]) -> Head:
    """The head with these documents as they are now, those of ``unread`` among them; None for one that is not there."""
    lines: dict[str, tuple[Line, Roster]] = {
        line.name: (line, nodes_of(head, line)) for line in head.backups if line.name not in documents
    }
    for name, document in documents.items():
        line = line_of(document) if document else None
        if document and line:
            lines[name] = (line, roster_of(document))
    rosters = sorted({roster for _, roster in lines.values()})
    position = {roster: index for index, roster in enumerate(rosters)}
    backups = sorted(
        (_at(line, position[roster]) for line, roster in lines.values()), key=lambda line: (line.started, line.name)
    )
    return head.model_copy(
        update={"rosters": tuple(rosters), "backups": tuple(backups), "latest": _latest(head, documents)}
    )


def _split(judged: Complete | Waiting) -> tuple[Roster, Roster, Roster]:
    """Finished, incomplete and missing nodes."""
    if isinstance(judged, Complete):
        return judged.nodes, (), ()
    return judged.finished, judged.incomplete, judged.missing


def _state(judged: Complete | Waiting, counted: list[NodeFact]) -> State:
    if isinstance(judged, Waiting):
        return "incomplete"
    if any(fact.corrupt for fact in counted):
        return "corrupt"
    return "partial" if any(fact.partial for fact in counted) else "complete"


def nodes_of(head: Head, line: Line) -> Roster:
    """The nodes that have a node backup of that name, those given up left out."""
    return head.rosters[line.roster] if line.roster < len(head.rosters) else ()


def _at(line: Line, roster: int) -> Line:
    return line if line.roster == roster else line.model_copy(update={"roster": roster})


def _finishes(documents: Mapping[str, ClusterBackup | None]) -> Iterator[tuple[str, Latest]]:
    """Every finished node backup of these documents, by node."""
    for document in documents.values():
        for node, fact in document.nodes.items() if document else ():
            if document and is_finished(fact) and fact.finished is not None:
                yield node, Latest(name=document.name, finished=fact.finished)


def _is_lost(node: str, latest: Latest, documents: Mapping[str, ClusterBackup | None]) -> bool:
    """Whether the changed documents take away what the head holds for the latest backup of a node."""
    if latest.name not in documents:
        return False
    document = documents[latest.name]
    fact = document.nodes.get(node) if document else None
    return fact is None or not is_finished(fact) or (fact.finished or 0.0) < latest.finished


def _latest(head: Head, documents: Mapping[str, ClusterBackup | None]) -> dict[str, Latest]:
    best = {node: latest for node, latest in head.latest.items() if latest.name not in documents}
    for node, latest in _finishes(documents):
        held = best.get(node)
        if held is None or (held.finished, held.name) < (latest.finished, latest.name):
            best[node] = latest
    return dict(sorted(best.items()))
