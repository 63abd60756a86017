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
from backupstore.core.layout import RowKey
from backupstore.operations.passes import Indexing
from backupstore.operations.truth import Truth

_COPIES = {"schema": grammar.SCHEMA, "tokenmap": grammar.TOKENMAP, "manifest": grammar.MANIFEST}


class Rows(NamedTuple):
    """The keys that the index has for one node backup."""

    backup: str
    node: str
    keys: frozenset[str]


def rows_of(at: Indexing, backup: str) -> dict[str, frozenset[str]]:
    """The index's keys of one cluster backup, by node. Keys that are no rows belong to nobody and are let alone."""
    found: dict[str, set[str]] = {}
    for stored in at.store.list(at.layout.rows(backup)):
        key = grammar.parse_in(at.layout, stored.key)
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
    keys = [at.layout.row(row) for group in groups for row in group]
    surplus = rows.keys.difference(keys)
    if surplus:
        removed.add(rows.node)
        at.delete(sorted(surplus, key=lambda key: (not _defines_a_row(at, key), key)))
    written = [_write_group(at, group, rows.keys) for group in groups]
    return not surplus and not any(written)


def wanted(backup: str, node: str, truth: Truth) -> tuple[tuple[RowKey, ...], ...]:
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
    row = grammar.parse_in(at.layout, key)
    return isinstance(row, RowKey) and row.kind == "tokenmap"


def _write_group(at: Indexing, group: tuple[RowKey, ...], there: frozenset[str]) -> bool:
    """Write what is missing; all of it when the time stamp is: then the rest is of an earlier backup of this name."""
    anew = any(row.stamp is not None and at.layout.row(row) not in there for row in group)
    written = False
    for row in group:
        key = at.layout.row(row)
        believed = key in there and not anew
        if believed and not at.rebuild:
            continue
        body = _body(at, row)
        if body is not None and not (believed and body == at.body(key)):
            at.put(key, body)
            written = True
    return written


def _body(at: Indexing, row: RowKey) -> bytes | None:
    """What stands in the key; None when there is nothing to copy."""
    if row.stamp is not None:
        return str(row.stamp).encode("ascii")
    if row.kind not in _COPIES:
        return row.kind.encode("ascii")
    # Gone meanwhile: the next pass sees. A manifest of more than 64 MiB: stock takes the one in meta.
    return at.body(at.layout.meta(row.node, row.backup, _COPIES[row.kind]))
