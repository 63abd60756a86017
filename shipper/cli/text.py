"""The catalog as text and as stock's JSON. Values in, lines out.

Text is as stock Medusa's manual shows it, JSON has stock 0.31's fields; times in text are in the local time of the
machine, in JSON whole epoch seconds. What stock does not know is added: corrupt, partial and given up backups, and what was verified.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone

from backupstore.core.catalog import line_of, lines_of
from backupstore.core.completion import Waiting, completion, is_finished
from backupstore.core.documents import ClusterBackup, Head, Line, NodeFact, Verification
from backupstore.core.sizes import human_size

_STAMP = "%Y-%m-%d %H:%M:%S"


def local_time(at: float) -> str:
    """Date and time on this machine."""
    return datetime.fromtimestamp(at, tz=timezone.utc).astimezone().strftime(_STAMP)


def lines_for(head: Head, node: str | None) -> tuple[Line, ...]:
    """The lines that hold a backup of that node; all of them for None."""
    return head.backups if node is None else lines_of(head, node)


def list_text(lines: Iterable[Line]) -> list[str]:
    """``list-backups``."""
    found, incomplete, bad = list[str](), False, False
    for line in lines:
        incomplete = incomplete or line.finished is None
        bad = bad or (line.verified is not None and not line.verified.ok)
        verified = f" [{_verified(line.verified)}]" if line.verified else ""
        when = f"started: {local_time(line.started)}, finished: {_finished(line)}"
        found.append(f"{line.name} ({when}){_mark(line)}{verified}")
    if incomplete or bad:
        found.append("")
    if incomplete:
        found.append(
            'Incomplete backups found. "medusa-shipper status --backup-name <name>" tells which nodes are waited for'
        )
    if bad:
        found.append('Bad backups found. "medusa-shipper verify --backup-name <name>" tells what is wrong with them')
    return found


def status_text(document: ClusterBackup) -> list[str]:
    """``status``."""
    line = line_of(document)
    if line is None:
        return []
    finished = local_time(line.finished) if line.finished is not None else "never"
    found = [
        document.name + (" [Incomplete!]" if line.finished is None else _mark(line)),
        f"- Started: {local_time(line.started)}, Finished: {finished}",
        f"- {line.completed} nodes completed, {len(line.incomplete)} nodes incomplete, {len(line.missing)} nodes missing",
    ]
    for title, names in (("Incomplete", line.incomplete), ("Missing", line.missing)):
        if names:
            found += [f"- {title} nodes:", *(f"    {name}" for name in names)]
    given_up = [name for name, fact in document.nodes.items() if fact.abandoned]
    if given_up:
        found += ["- Given up on:", *(f"    {name}" for name in given_up)]
    for name, fact in document.nodes.items():
        if fact.problem:
            found.append(f"- {name} cannot be read: {fact.problem}")
        if fact.corrupt:
            found.append(f"- {name} has {fact.corrupt} corrupt components")
    found.append(f"- {line.objects} files, {human_size(line.size)}")
    found += [f"- {_verified(one)}" for one in document.verified]
    if line.finished is not None and not document.verified:
        found.append("- Not verified yet")
    return found


def as_stock(document: ClusterBackup) -> dict[str, object]:
    """One cluster backup with the fields of stock's JSON, and ``state``, ``corrupt``, ``verified``, which it does not know.

    Like stock, sizes and counts here are over all node backups listed, those too which no ring expects.
    """
    line = line_of(document)
    judged = completion(document.nodes, document.rings)
    nodes = {name: fact for name, fact in document.nodes.items() if not fact.abandoned}
    finished = {name: fact for name, fact in nodes.items() if is_finished(fact)}
    done = [_node(name, fact) for name, fact in finished.items()]
    undone = [_node(name, fact) for name, fact in nodes.items() if name not in finished]
    missing = list(judged.missing) if isinstance(judged, Waiting) else []
    return {
        "name": document.name,
        "started": int(line.started) if line else None,
        "finished": int(line.finished) if line and line.finished is not None else None,
        "backup_type": line.mode if line else None,
        "size": sum(fact.size for fact in finished.values()),
        "num_objects": sum(fact.objects for fact in finished.values()),
        "completed_nodes": len(done),
        "nodes": done,
        "incomplete_nodes": len(undone),
        "incomplete_nodes_list": undone,
        "missing_nodes": len(missing),
        "missing_nodes_list": missing,
        "state": line.state if line else "gone",
        "corrupt": line.corrupt if line else 0,
        "verified": [{"level": one.level, "at": int(one.at), "ok": one.ok} for one in document.verified],
    }


def _finished(line: Line) -> str:
    if line.finished is not None:
        return local_time(line.finished)
    return f"Incomplete [{line.completed} of {line.expected} nodes]"


def _verified(one: Verification) -> str:
    """When it was looked at, how closely, and whether it was good."""
    return f"{'Verified' if one.ok else 'Found bad'}: {one.level}, {local_time(one.at)}"


def _mark(line: Line) -> str:
    if line.state == "corrupt":
        return f" [Corrupt: {line.corrupt} components]"
    return " [Partial]" if line.state == "partial" else ""


def _node(name: str, fact: NodeFact) -> dict[str, object]:
    done = is_finished(fact)
    return {
        "fqdn": name,
        "started": int(fact.started),
        "finished": int(fact.finished) if done and fact.finished is not None else None,
        "server_type": fact.server_type,
        "release_version": fact.release_version,
        "size": fact.size if done else 0,
        "num_objects": fact.objects if done else 0,
    }
