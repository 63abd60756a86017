"""Stock's index rows, ``index/backup_index/N/``: stock's listings see nothing else, so a wrong row does harm.

Rows of *our* node backups are written here, in an order in which stock never sees half a row: the copy of the tokenmap
makes the row visible, so what decides its mode stands before it; ``finished`` comes last, and goes first when rows are
removed together with the tokenmap's copy. A row must not exist without its ``schema.cql``: stock's ``list`` then
removes the row, and those of its neighbours with it. A row whose tokenmap is no tokenmap, or does not name its node,
stops every one of stock's commands: such a row is not written.

Stock writes the rows of its own node backups. They are let alone while the backup exists, and removed when it is gone,
by exact key. Should they have been removed although the backup came back meanwhile, they are written anew.
"""

from __future__ import annotations

from typing import NamedTuple

from backupstore.core import layout as grammar
from backupstore.core.documents import NodeFact
from backupstore.core.key_parsing import parse_in
from backupstore.core.keys import RowKey
from backupstore.operations.passes import Indexing
from backupstore.operations.truth import Truth

_COPIES = {"schema": grammar.SCHEMA, "tokenmap": grammar.TOKENMAP, "manifest": grammar.MANIFEST}
Groups = tuple[tuple[RowKey, ...], ...]


class Rows(NamedTuple):
    """The keys that the index has for one node backup."""

    backup: str
    node: str
    keys: frozenset[str]


def rows_of(at: Indexing, backup: str) -> dict[str, frozenset[str]]:
    """The index's keys of one cluster backup, by node. Keys that are no rows belong to nobody and are let alone."""
    found: dict[str, set[str]] = {}
    for stored in at.store.list(at.layout.rows(backup)):
        key = parse_in(at.layout, stored.key)
        if isinstance(key, RowKey):
            found.setdefault(key.node, set()).add(stored.key)
    return {node: frozenset(keys) for node, keys in found.items()}


def settle_rows(at: Indexing, rows: Rows, truth: Truth, removed: set[str]) -> bool:
    """Make the rows of one node backup right; whether they were. ``removed``: whose rows this run took away."""
    fact = truth.fact
    live = fact is not None and not fact.abandoned
    stock = fact is not None and fact.writer == "stock"
    if live and stock and not at.rebuild and rows.node not in removed:
        return True
    groups = wanted(rows.backup, rows.node, truth)
    surplus = _surplus(at, rows.keys, groups)
    if surplus:
        removed.add(rows.node)
        at.delete(sorted(surplus, key=lambda key: (not _defines_a_row(at, key), key)))
    there = rows.keys - surplus
    written = [_write(at, row, there) for group in groups for row in group]
    return not surplus and not any(written)


def wanted(backup: str, node: str, truth: Truth) -> Groups:
    """The rows that a node backup should have, in the order in which they are written: when it starts, when it ends."""
    fact, ring = truth
    if fact is None or fact.abandoned or ring is None or node not in ring:
        return ()
    kinds = ["schema", "started", "tokenmap"]
    if fact.mode == "differential":
        kinds.insert(2, grammar.DIFFERENTIAL)
    groups = [kinds] if fact.finished is None or fact.problem else [kinds, ["manifest", "finished"]]
    return tuple(tuple(RowKey(backup, kind, node, _stamp(fact, kind)) for kind in group) for group in groups)


def _stamp(fact: NodeFact, kind: str) -> int | None:
    time = {"started": fact.started, "finished": fact.finished}.get(kind)
    return None if time is None else int(time)


def _defines_a_row(at: Indexing, key: str) -> bool:
    row = parse_in(at.layout, key)
    return isinstance(row, RowKey) and row.kind == "tokenmap"


def _surplus(at: Indexing, there: frozenset[str], groups: Groups) -> frozenset[str]:
    """Keys that should not be there, or not with this content.

    The time stamps name one life of a backup name. Where one is missing, the rest of its group is of an earlier life,
    and has to go before the stamp is written: from then on everything that is there counts as right.
    """
    kept = set()
    for group in groups:
        keys = {at.layout.row(row) for row in group}
        stamps = {at.layout.row(row) for row in group if row.stamp is not None}
        if stamps <= there:
            kept |= keys
    return there - kept


def _write(at: Indexing, row: RowKey, there: frozenset[str]) -> bool:
    """Write what is missing; a rebuild compares what is not."""
    key = at.layout.row(row)
    if key in there and not at.rebuild:
        return False
    body = _body(at, row)
    if body is None or (key in there and body == at.body(key)):
        return False
    at.put(key, body)
    return True


def _body(at: Indexing, row: RowKey) -> bytes | None:
    """What stands in the key; None when there is nothing to copy."""
    if row.stamp is not None:
        return str(row.stamp).encode("ascii")
    if row.kind not in _COPIES:
        return row.kind.encode("ascii")
    # Gone meanwhile: the next pass sees. A manifest of more than 64 MiB: stock takes the one in meta.
    return at.body(at.layout.meta(row.node, row.backup, _COPIES[row.kind]))
