"""Whether the files of a table as it was can be read by the table as it is: compared column by column.

Cassandra does not refuse them. A column that it does not know makes a whole SSTable unreadable, told only in its log;
values of a column that was dropped since are hidden, also when it was added again under the same name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from backupstore.core.schema_statements import Table


def column_problems(before: Table, now: Table) -> tuple[str, ...]:
    """Why ``now`` would silently lose rows or values of files that were written by ``before``; empty when it would not."""
    return (*_key_problems(before, now), *_value_problems(before, now), *_drop_problems(before, now))


def _key_problems(before: Table, now: Table) -> Iterator[str]:
    was, is_ = _key(before), _key(now)
    if was != is_:
        yield f"its key is {is_}, and was {was}"


def _key(table: Table) -> str:
    """For people, and to compare: ``((a int, b text), c int DESC)``."""
    columns = table.columns

    def shown(name: str) -> str:
        order = " DESC" if name in table.descending else ""
        return f"{name} {columns.types.get(name, 'of no type')}{order}"

    partition = ", ".join(map(shown, columns.partition_key))
    return ", ".join((f"(({partition})", *map(shown, columns.clustering))) + ")"


def _value_problems(before: Table, now: Table) -> Iterator[str]:
    for name in _values(before):
        was, is_ = before.columns.types[name], now.columns.types.get(name)
        if is_ is None:
            yield f"the column {name} {was} is missing"
        elif is_ != was:
            yield f"the column {name} is of type {is_}, and was of {was}"
        elif (name in now.columns.static) != (name in before.columns.static):
            yield f"the column {name} is {_kind(name, now)}, and was {_kind(name, before)}"
        elif now.dropped.get(name, -1) > before.dropped.get(name, -1):
            yield f"the column {name} was dropped and added again since: its values in the backup would stay hidden"


def _drop_problems(before: Table, now: Table) -> Iterator[str]:
    """Columns dropped before the backup: their values may still lie in its files, and must be known for dropped."""
    for name, at in before.dropped.items():
        if now.dropped.get(name, -1) < at:
            yield f"the column {name} was dropped before the backup, and the table does not know of it"


def _values(table: Table) -> Iterable[str]:
    key = {*table.columns.partition_key, *table.columns.clustering}
    return (name for name in table.columns.types if name not in key)


def _kind(name: str, table: Table) -> str:
    return "static" if name in table.columns.static else "not static"
