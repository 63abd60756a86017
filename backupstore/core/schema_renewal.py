"""Types, functions and aggregates that a backup has otherwise than the target: made anew, with all that is made of them.

A type cannot be dropped while anything uses it. What is dropped and created again anyway is no hindrance; what stays is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

from backupstore.core.cql_text import quoted
from backupstore.core.schema_statements import Name, SchemaText, Signature, UserType
from backupstore.core.schema_steps import Findings, Step, created
from backupstore.core.shown import one_line
from backupstore.errors import Corrupt


class Renewal:
    """What of ``live`` has to go so that what is ``wanted`` can be made. Tables that are wanted are dropped before."""

    def __init__(self, wanted: SchemaText, live: SchemaText, findings: Findings) -> None:
        self.wanted = wanted
        self.live = live
        self.findings = findings
        self._types = self._stale_types()
        self._routines = self._stale_routines(self._types)

    def drops(self) -> list[Step]:
        """Aggregates, functions, then types, each before what it is made of."""
        types = reversed(_by_need(self.live.types, self._types))
        return [
            *self._drop_routines(),
            *(Step("drop", "type", *name, f"DROP TYPE IF EXISTS {quoted(*name)}") for name in types),
        ]

    def creates(self) -> list[Step]:
        """Types, functions, then aggregates, each behind what it is made of; those that are right are left as they are."""
        return [*self._create_types(), *self._create_routines()]

    def _stale_types(self) -> set[Name]:
        """Types that are here otherwise than in the backup, and those made of them."""
        wanted, live = self.wanted, self.live
        stale = {
            name for name, each in wanted.types.items() if name in live.types and live.types[name].fields != each.fields
        }
        while more := {
            name for name, each in live.types.items() if name not in stale and _of(each.types, name[0]) & stale
        }:
            foreign = more - wanted.types.keys()
            self._refuse_users(sorted(foreign), "type", stale)
            stale |= more - foreign
            if not more - foreign:
                break
        tables = live.tables.keys() - wanted.tables.keys()
        self._refuse_users(
            sorted(name for name in tables if _of(live.tables[name].types, name[0]) & stale), "table", stale
        )
        for name in sorted(stale):
            self.findings.tell(f"the type {'.'.join(name)} is another one here and is made as it was")
        return stale

    def _stale_routines(self, types: set[Name]) -> set[Signature]:
        """Functions and aggregates that are here otherwise than in the backup, or speak of what is made anew."""
        wanted, live = self.wanted, self.live
        stale = {
            name
            for name, each in wanted.routines.items()
            if name in live.routines and live.routines[name].definition != each.definition
        }
        stale |= {name for name, each in live.routines.items() if _of(each.types, name[0]) & types}
        names = {name[:2] for name in stale if not live.routines[name].is_aggregate}
        stale |= {name for name, each in live.routines.items() if _of(each.calls, name[0]) & names}
        for name in sorted(stale - wanted.routines.keys()):
            what = "aggregate" if live.routines[name].is_aggregate else "function"
            self.findings.refuse(
                f"the {what} {_signature(name)} needs what is made anew and is not in what is restored",
                f"Drop it first, or restore all of {name[0]} (--keyspace {name[0]}).",
            )
        return stale

    def _refuse_users(self, names: Iterable[Name], kind: str, stale: Iterable[Name]) -> None:
        types = ", ".join(".".join(name) for name in sorted(stale))
        for name in names:
            self.findings.refuse(
                f"the {kind} {'.'.join(name)} stays and uses a type that is another one in the backup ({types})",
                "Alter the type as it is in the backup, or drop what uses it, or leave that keyspace out.",
            )

    def _drop_routines(self) -> list[Step]:
        live = self.live.routines
        ordered = sorted(
            (name for name in live if name in self._routines), key=lambda name: not live[name].is_aggregate
        )
        return [
            Step(
                "drop",
                "aggregate" if live[name].is_aggregate else "function",
                name[0],
                _signature(name),
                f"DROP {'AGGREGATE' if live[name].is_aggregate else 'FUNCTION'} IF EXISTS"
                f" {quoted(*name[:2])}({', '.join(name[2])})",
            )
            for name in ordered
        ]

    def _create_types(self) -> list[Step]:
        missing = {name for name in self.wanted.types if name in self._types or name not in self.live.types}
        return [created("type", name, self.wanted.types[name].text) for name in _by_need(self.wanted.types, missing)]

    def _create_routines(self) -> list[Step]:
        wanted = self.wanted.routines
        missing = [name for name in wanted if name in self._routines or name not in self.live.routines]
        return [
            created(
                "aggregate" if wanted[name].is_aggregate else "function", (name[0], _signature(name)), wanted[name].text
            )
            for name in sorted(missing, key=lambda name: wanted[name].is_aggregate)
        ]


def _of(names: Iterable[str], keyspace: str) -> set[Name]:
    return {(keyspace, name) for name in names}


def _signature(name: Signature) -> str:
    """For people: ``plus(int, int)``."""
    return f"{name[1]}({', '.join(name[2])})"


def _by_need(types: Mapping[Name, UserType], which: Iterable[Name]) -> list[Name]:
    """Some types, each behind those that it is made of. Corrupt when they are made of each other."""
    chosen = set(which)
    needs = {name: _of(types[name].types, name[0]) & chosen for name in types if name in chosen}
    try:
        return list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        raise Corrupt(
            f"The types {one_line(', '.join(map('.'.join, error.args[1])))} are made of each other.",
            hint="No cluster has such types: choose another backup, and find out who wrote this.",
            operation="schema",
        ) from error
