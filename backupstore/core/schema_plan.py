"""From a backup's schema and the live one to the statements that make a cluster ready for the backup's rows. Pure.

    keyspaces → drop views → drop tables → drop what of the types, functions and aggregates is another now
    → types → functions → aggregates → tables → indexes → views
    and, when the rows are there: storage attached indexes

Tables of the backup are dropped and created again, so that nothing is left in them; what only the target has stays, and
is told. Ids are left out: a node that was down meanwhile would take a new table with the old id for the old one, with
all its rows. Each statement can be repeated. Whatever makes the plan impossible is told at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from backupstore.core.cql_edit import one, with_replication, without_id
from backupstore.core.cql_objects import subject_of
from backupstore.core.cql_text import Cursor, quoted
from backupstore.core.datacenters import place_keyspace
from backupstore.core.names import SYSTEM_KEYSPACES
from backupstore.core.replication import Replication, replications
from backupstore.core.schema_renewal import Renewal
from backupstore.core.schema_statements import Name, SchemaText
from backupstore.core.schema_steps import Findings, Step, created
from backupstore.core.shown import one_line
from backupstore.errors import Corrupt, NotFound, Refused


@dataclass(frozen=True, slots=True)
class Asked:
    """``--keyspace`` and ``--table``; nothing named: everything. ``datacenters``: the backup's name → the target's."""

    keyspaces: frozenset[str] = frozenset()
    tables: frozenset[Name] = frozenset()
    datacenters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SchemaPlan:
    """What to run, in order, and what the operator should know before.

    ``after``: to be run when the rows were loaded. sstableloader cannot load into a table with a storage attached index.
    """

    steps: tuple[Step, ...]
    told: tuple[str, ...] = ()
    after: tuple[Step, ...] = ()

    @property
    def dropped(self) -> tuple[str, ...]:
        """The tables whose rows go, as ``keyspace.table``."""
        return tuple(
            f"{step.keyspace}.{step.name}" for step in self.steps if (step.verb, step.kind) == ("drop", "table")
        )


def plan_schema(backup: SchemaText, live: SchemaText, nodes: Mapping[str, int], asked: Asked) -> SchemaPlan:
    """The plan. ``nodes``: how many each datacenter of the target has.

    NotFound when the backup has no such keyspace or table; Refused with everything that stands against it.
    """
    wanted = select(backup, asked)
    planning = _Planning(wanted, live, nodes, asked)
    steps = planning.steps()
    planning.findings.check()
    return SchemaPlan(tuple(steps), tuple(planning.findings.told), attached_indexes(wanted))


def attached_indexes(wanted: SchemaText) -> tuple[Step, ...]:
    """The statements that make the storage attached indexes, which come last of all."""
    return tuple(created("index", name, each.text) for name, each in wanted.indexes.items() if each.is_attached)


def select(backup: SchemaText, asked: Asked) -> SchemaText:
    """What was asked for, with all that it needs, and none of Cassandra's own. NotFound, Refused."""
    _check_keyspaces(backup)
    users = backup.only(backup.keyspaces.keys() - SYSTEM_KEYSPACES)
    if not asked.keyspaces and not asked.tables:
        return users
    views = sorted(asked.tables & users.views.keys())
    if views:
        of = ".".join((views[0][0], users.views[views[0]].base))
        raise Refused(
            f"{'.'.join(views[0])} is a view.", hint=f"A view comes with its table: --table {of}.", operation="schema"
        )
    missing = sorted(asked.keyspaces - users.keyspaces.keys())
    missing += [".".join(name) for name in sorted(asked.tables - users.tables.keys())]
    if missing:
        raise NotFound(
            f"The backup's schema has no {one_line(', '.join(missing))}.",
            hint="Write names as they are on disk: --keyspace shop, --table shop.orders.",
            operation="schema",
        )
    whole = users.only(asked.keyspaces)
    return whole.joined(_tables_only(users, asked.tables))


def _check_keyspaces(backup: SchemaText) -> None:
    """Nothing may be passed over because the text does not say where it belongs."""
    parts = (backup.types, backup.tables, backup.views, backup.indexes, backup.routines)
    homeless = {name[0] for part in parts for name in part} - backup.keyspaces.keys() - SYSTEM_KEYSPACES
    if homeless:
        raise Corrupt(
            f"The backup's schema creates things in {one_line(', '.join(sorted(homeless)))}, and no such keyspace.",
            hint="Choose another backup, or create the schema by hand with cqlsh.",
            operation="schema",
        )


def _tables_only(schema: SchemaText, names: frozenset[Name]) -> SchemaText:
    keyspaces = {keyspace for keyspace, _ in names}
    types = {(keyspace, each) for keyspace, table in names for each in schema.types_of(keyspace, table)}
    return SchemaText(
        {name: text for name, text in schema.keyspaces.items() if name in keyspaces},
        {name: each for name, each in schema.types.items() if name in types},
        {name: each for name, each in schema.tables.items() if name in names},
        {name: each for name, each in schema.views.items() if (name[0], each.base) in names},
        {name: each for name, each in schema.indexes.items() if (name[0], each.table) in names},
        {},
        {name: each for name, each in schema.triggers.items() if name in names},
    )


@dataclass(slots=True)
class _Planning:
    """One plan in the making. ``stale`` types and routines are made anew."""

    wanted: SchemaText
    live: SchemaText
    nodes: Mapping[str, int]
    asked: Asked
    findings: Findings = field(default_factory=Findings)

    def steps(self) -> list[Step]:
        renewal = Renewal(self.wanted, self.live, self.findings)
        return [
            *self._keyspaces(),
            *self._drops(),
            *renewal.drops(),
            *renewal.creates(),
            *self._create_tables(),
            *(created("index", name, each.text) for name, each in self.wanted.indexes.items() if not each.is_attached),
            *(created("view", name, without_id(each.text)) for name, each in self.wanted.views.items()),
        ]

    # ---- keyspaces

    def _keyspaces(self) -> list[Step]:
        found = replications("; ".join(self.wanted.keyspaces.values()))
        live = replications("; ".join(self.live.keyspaces.values()))
        steps = []
        for name, text in self.wanted.keyspaces.items():
            if name not in live:
                steps.append(created("keyspace", (name, name), self._placed(name, text, found[name])))
            elif live[name] != found[name]:
                self.findings.tell(f"the keyspace {name} is there already and keeps its own replication")
        return steps

    def _placed(self, name: str, text: str, replication: Replication) -> str:
        place = place_keyspace(name, replication, self.asked.datacenters, self.nodes)
        for said in place.told:
            self.findings.tell(said)
        if place.problem:
            self.findings.refuse(
                place.problem, f"Create {name} by hand first: a keyspace that is there keeps its replication."
            )
        for dc in place.unknown:
            self.findings.refuse(
                f"the target has no datacenter {dc}, where the keyspace {name} has replicas",
                f"Say which one takes its place ({', '.join(sorted(self.nodes))}): --datacenter {dc}=NAME;"
                " or create the keyspace by hand first, which then keeps its replication.",
            )
        return with_replication(text, place.options) if place.options else text

    # ---- what goes

    def _drops(self) -> list[Step]:
        wanted, live = self.wanted, self.live
        for name in sorted(wanted.tables.keys() & live.views.keys()):
            self.findings.refuse(f"{'.'.join(name)} is a view here and a table in the backup", "Drop the view first.")
        for name in sorted((wanted.views.keys() & live.tables.keys()) - wanted.tables.keys()):
            self.findings.refuse(
                f"{'.'.join(name)} is a table here and a view in the backup", "Drop or rename the table first."
            )
        gone = wanted.tables.keys() & live.tables.keys()
        views = [name for name, view in live.views.items() if name in wanted.views or (name[0], view.base) in gone]
        self._tell_of_drops(frozenset(gone), views)
        return [
            *(Step("drop", "view", *name, f"DROP MATERIALIZED VIEW IF EXISTS {quoted(*name)}") for name in views),
            *(
                Step("drop", "table", *name, f"DROP TABLE IF EXISTS {quoted(*name)}")
                for name in live.tables
                if name in gone
            ),
        ]

    def _tell_of_drops(self, gone: frozenset[Name], views: Iterable[Name]) -> None:
        wanted, live = self.wanted, self.live
        for name in views:
            if name not in wanted.views:
                self.findings.tell(f"the view {'.'.join(name)} is not in the backup and goes with its table")
            elif live.views[name].base != wanted.views[name].base:
                self.findings.tell(
                    f"the view {'.'.join(name)} is here on {live.views[name].base} and is made as it was"
                )
        self._tell_of_indexes(gone)
        for name in live.tables:
            if name[0] in wanted.keyspaces and name not in wanted.tables:
                self.findings.tell(f"{'.'.join(name)} stays as it is")
        if gone:
            self.findings.tell(
                "with auto_snapshot, which is Cassandra's default, each dropped table that held rows leaves a snapshot on"
                " each node, which keeps its space until 'nodetool clearsnapshot': see 'nodetool listsnapshots'"
            )
        for name in wanted.triggers:
            self.findings.tell(
                f"the triggers of {'.'.join(name)} are not created: their classes have to be on each node"
            )

    def _tell_of_indexes(self, gone: frozenset[Name]) -> None:
        wanted = self.wanted
        for name, index in self.live.indexes.items():
            if (name[0], index.table) in gone and name not in wanted.indexes:
                self.findings.tell(f"the index {'.'.join(name)} is not in the backup and goes with its table")
            if name in wanted.indexes and (name[0], index.table) not in gone:
                self.findings.refuse(
                    f"an index {'.'.join(name)} is here on {index.table}, which stays", "Drop that index first."
                )

    # ---- tables

    def _create_tables(self) -> list[Step]:
        steps = []
        for name, table in self.wanted.tables.items():
            steps.append(created("table", name, without_id(table.texts[0])))
            steps += [_altering(name, text) for text in table.texts[1:]]
        return steps


def _altering(name: Name, text: str) -> Step:
    """``ALTER TABLE … DROP c`` or ``ADD c``, as a server tells them behind a table."""
    statement = one(text)
    cursor = Cursor(statement, subject_of(statement).rest)
    adds = cursor.took("ADD")
    return Step("alter", "table", *name, text, cursor.name() if adds or cursor.took("DROP") else "", adds)
