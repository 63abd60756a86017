"""What a cluster restore does to tables, by the schema of the backup and that of the target. Text in, values and lines out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from backupstore.core.names import SYSTEM_KEYSPACES, split_table
from backupstore.core.schema_plan import Asked, SchemaPlan, plan_schema
from backupstore.core.schema_statements import Table, read_schema
from backupstore.core.shown import counted, some_of
from backupstore.core.topology import Ring
from backupstore.operations.restore_cluster import ClusterPlan
from shipper.restore.columns import column_problems
from shipper.snapshot import Filters

_SHOWN = 8
_TOLD = 20


@dataclass(frozen=True, slots=True)
class Replaced:
    """Users' tables, ``ks.table``, in order. ``back``: only the backup has them; ``new``: only the target does.

    ``anew``: both have them, but they were dropped and made again since, so that their id is another. ``changed``: what of
    tables that are restored into the target's schema is not as it was, so that rows would be lost.
    """

    back: tuple[str, ...]
    new: tuple[str, ...]
    anew: tuple[str, ...]
    changed: tuple[str, ...] = ()


def replaced(schema: str, live: str, filters: Filters) -> Replaced:
    """What putting files in place does. Corrupt when a schema cannot be read."""
    before, now = dict(_tables(schema, filters)), dict(_tables(live, filters))
    both = sorted(before.keys() & now.keys())
    # The driver's text, which knows no ids, spells columns in its own way.
    alike = [name for name in both if None not in (before[name].id, now[name].id)]
    problems = {} if filters.is_whole else {name: column_problems(before[name], now[name]) for name in alike}
    return Replaced(
        back=tuple(sorted(before.keys() - now.keys())),
        new=tuple(sorted(now.keys() - before.keys())),
        anew=tuple(name for name in alike if before[name].id != now[name].id and not problems.get(name)),
        changed=tuple(f"{name}: {problem}" for name, found in problems.items() for problem in found),
    )


def loaded(schema: str, live: str, target: Ring, plan: ClusterPlan) -> SchemaPlan:
    """What is done to the schema before anything is loaded. Refused when it cannot be; Corrupt when it cannot be read."""
    asked = plan.asked
    wanted = Asked(frozenset(asked.keyspaces), frozenset(map(split_table, asked.tables)), plan.match.datacenters)
    nodes = Counter(seat.dc for seat in target.seats)
    return plan_schema(read_schema(schema), read_schema(live), nodes, wanted)


def replaced_text(found: Replaced, *, whole: bool, elsewhere: bool = False) -> Iterator[str]:
    """In lines. ``whole``: all tables are restored, and not only named ones. ``elsewhere``: the target is another cluster."""
    if found.back and elsewhere:
        yield f"There afterwards, and not on the target now: {_named(found.back)}."
    elif found.back:
        how = "" if whole else ", created as they were; should all go back, they are dropped again"
        yield f"Back afterwards, though the target has them no more: {_named(found.back)}{how}."
        yield "Snapshots that auto_snapshot left when they were dropped stay, and keep their space (nodetool listsnapshots)."
    if found.anew:
        how = "those of before take their place" if whole else "they stay, with the rows of before"
        yield f"Dropped and made again since; {how}: {_named(found.anew)}."
    if found.new and whole:
        yield (
            f"Only on the target, and GONE afterwards: {_named(found.new)}. No statement drops them, so that auto_snapshot"
            " keeps nothing of them; what 'nodetool snapshot' keeps stays."
        )
    elif found.new:
        yield f"Not in the backup, and left as they are: {_named(found.new)}."
    if not (found.back or found.anew or found.changed or (found.new and whole)):
        yield f"The target has the same tables as the backup{'' if whole else ', of those that are named'}."


def loaded_text(found: SchemaPlan, *, auto_snapshot: bool | None) -> Iterator[str]:
    """In lines. ``auto_snapshot``: None where the target would not tell."""
    if found.dropped:
        yield f"DROPPED on the target, and created again from the backup: {_named(found.dropped)}."
    if found.dropped and auto_snapshot is False:
        yield "auto_snapshot is off on the target: nothing keeps what is dropped."
    if found.after:
        names = tuple(f"{step.keyspace}.{step.name}" for step in found.after)
        yield f"Made when all rows are loaded, and then built by each node: {_named(names, 'storage attached index')}."
    yield from (f"Schema: {line.rstrip('.')}." for line in found.told[:_TOLD])
    if len(found.told) > _TOLD:
        yield f"and {len(found.told) - _TOLD} more of these kinds"


def _tables(schema: str, filters: Filters) -> Iterator[tuple[str, Table]]:
    """By name."""
    for (keyspace, name), table in read_schema(schema).tables.items():
        meant = filters.is_whole or keyspace in filters.keyspaces or f"{keyspace}.{name}" in filters.tables
        if keyspace not in SYSTEM_KEYSPACES and meant:
            yield f"{keyspace}.{name}", table


def _named(names: tuple[str, ...], what: str = "table") -> str:
    return f"{counted(len(names), what)}, {some_of(names, _SHOWN)}"
