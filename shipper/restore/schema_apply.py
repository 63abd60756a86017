"""Making a backup's schema in a running cluster, statement by statement, from one node.

The plan is written down before its first statement is run, and how far it came after each: a killed run goes on with the
very same plan, for a new one would drop again what the rows may have been loaded into already. Each statement may be
run twice. Afterwards the node is asked whether its schema is what was planned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Protocol

from pydantic import TypeAdapter, ValidationError

from backupstore.core import layout as grammar
from backupstore.core.schema_plan import Asked, SchemaPlan, attached_indexes, plan_schema, select
from backupstore.core.schema_statements import SchemaText, read_schema
from backupstore.core.schema_steps import Step
from backupstore.core.shown import one_line
from backupstore.errors import BackupError, NodeTrouble, NotFound
from shipper.cassandra.port import Member, Schema
from shipper.meta import body_of
from shipper.progress import Progress
from shipper.site import Site

RECORD = "schema"
_REACHED = "schema-reached"
_AGREEMENT = 60.0
_PAUSE = 0.3
_NAMED = 8
_STEPS: TypeAdapter[tuple[Step, ...]] = TypeAdapter(tuple[Step, ...])


class SchemaSession(Protocol):
    """A CQL session with one node, as ``shipper.cassandra.cql`` has it."""

    def change(self, text: str) -> None:
        """Run one statement. NodeTrouble, Denied."""
        ...

    def schema(self) -> Schema:
        """The schema as the node has it now."""
        ...

    def schema_versions(self) -> Mapping[str, str | None]:
        """Address and port of each member → the version of the schema that it has, by its own word; None when it gives none."""
        ...

    def ring(self, name_of: Callable[[str, str], str]) -> Sequence[Member]:
        """Every member of the ring."""
        ...


def read_backup_schema(site: Site, source: str, backup: str) -> SchemaText:
    """What a node backup says of the schema: the server's own statements, else the driver's. NotFound, Corrupt."""
    for file in (grammar.DESCRIBE, grammar.SCHEMA):
        body = body_of(site.store, site.layout.meta(source, backup, file))
        if body is not None:
            return read_schema(body.decode("utf-8", "replace"))
    raise NotFound(
        f"There is no backup {backup} of {source}.",
        hint="list-backups --show-all shows what there is.",
        operation="schema",
        key=backup,
    )


def plan_here(session: SchemaSession, wanted: SchemaText, asked: Asked) -> SchemaPlan:
    """The plan for the cluster that answers. Nothing is changed. NotFound, Refused, Corrupt."""
    nodes = Counter(member.dc for member in session.ring(lambda _, address: address))
    return plan_schema(wanted, read_schema(session.schema().described), nodes, asked)


def apply_schema(site: Site, session: SchemaSession, job: str, plan: SchemaPlan, progress: Progress) -> None:
    """Run a plan whose drops were agreed to. A job that has begun goes on with the plan that it began with.

    The caller holds the node's lock. ``job`` is over when this returns: the same one does nothing any more. NodeTrouble
    when the server refuses a statement or the nodes do not come to agree, NoSpace, Denied.
    """
    record = _Record(site, job)
    steps, done = record.load() or record.begin(plan.steps)
    if done is None:
        return
    work = _Work(site, session, progress, steps)
    work.agree()
    if done < len(steps) and steps[done].verb == "alter" and work.is_altered(steps[done]):
        done = record.reach(done + 1)
    for batch in _batches(steps, done):
        progress.step(f"schema: {batch[0].verb} {batch[0].kind} ({len(batch)})")
        for step in batch:
            work.run(step, done)
            done = record.reach(done + 1)
        work.agree()
    work.check()
    record.close()


def finish_schema(site: Site, session: SchemaSession, wanted: SchemaText, asked: Asked, progress: Progress) -> int:
    """When the rows were loaded: make the storage attached indexes, and return how many. It may be done twice.

    A node builds them in the background; until it has, a query that needs one is refused.
    """
    steps = attached_indexes(select(wanted, asked))
    work = _Work(site, session, progress, steps)
    for number, step in enumerate(steps):
        progress.step(f"schema: create index {one_line(step.name)}")
        work.run(step, number)
    work.agree()
    work.check()
    return len(steps)


def _batches(steps: Sequence[Step], done: int) -> Iterator[list[Step]]:
    for _, batch in groupby(steps[done:], key=lambda step: (step.verb, step.kind)):
        yield list(batch)


@dataclass(frozen=True, slots=True)
class _Record:
    """What is remembered of a job: its steps, and how many of them are done."""

    site: Site
    job: str

    def load(self) -> tuple[tuple[Step, ...], int | None] | None:
        """Steps and how many are done, None for the number when the job is over; None when it has not begun."""
        state = self.site.state
        plan, reached = state.read(RECORD), state.read(_REACHED)
        if plan.get("job") != self.job:
            return None
        if plan.get("over") is True:
            return (), None
        try:
            steps = _STEPS.validate_python(plan.get("steps"))
        except ValidationError:
            return None
        done = reached.get("done") if reached.get("job") == self.job else 0
        return (steps, done) if isinstance(done, int) and 0 <= done <= len(steps) else None

    def begin(self, steps: tuple[Step, ...]) -> tuple[tuple[Step, ...], int]:
        """Write the plan down."""
        self.site.state.write(RECORD, {"job": self.job, "steps": [asdict(step) for step in steps]})
        return steps, 0

    def reach(self, done: int) -> int:
        """So many steps are done."""
        self.site.state.write(_REACHED, {"job": self.job, "done": done})
        return done

    def close(self) -> None:
        """The job is over, and stays so."""
        self.site.state.write(RECORD, {"job": self.job, "over": True})
        self.site.state.forget(_REACHED)


@dataclass(frozen=True, slots=True)
class _Work:
    site: Site
    session: SchemaSession
    progress: Progress
    steps: tuple[Step, ...]

    def run(self, step: Step, number: int) -> None:
        try:
            self.session.change(step.text)
        except BackupError as error:
            what = one_line(f"{step.verb} {step.kind} {step.keyspace}.{step.name}")
            error.message = (
                f"Statement {number + 1} of {len(self.steps)} of the schema ({what}) failed: {error.message}"
            )
            error.args = (error.message,)
            error.hint = (
                f"{error.hint} Functions and views have to be enabled in cassandra.yaml of all nodes"
                " (user_defined_functions_enabled, materialized_views_enabled). The same command goes on from here."
            )
            raise

    def is_altered(self, step: Step) -> bool:
        """Whether a killed run has got so far as to drop, or add, that column."""
        table = read_schema(self.session.schema().described).tables.get((step.keyspace, step.name))
        if table is None or not step.column:
            return False
        return (step.column in table.columns.types) == step.adds

    def agree(self) -> None:
        """Wait until all members have the same schema."""
        clock = self.site.clock
        end = clock.running() + _AGREEMENT
        while True:
            versions = self.session.schema_versions()
            if len(set(versions.values())) == 1 and None not in versions.values():
                return
            if clock.running() >= end:
                break
            clock.sleep(_PAUSE)
        silent = sorted(address for address, version in versions.items() if version is None)
        (most, _), *_ = Counter(filter(None, versions.values())).most_common() or [("", 0)]
        others = sorted(address for address, version in versions.items() if version not in {most, None})
        said = [f"{', '.join(others[:_NAMED])} have another one"] if others else []
        said += [f"{', '.join(silent[:_NAMED])} cannot be asked in CQL from this node"] if silent else []
        raise NodeTrouble(
            f"The nodes do not come to agree on the schema: {'; '.join(said)}.",
            hint="Look at 'nodetool describecluster'; start nodes that are down, or remove them from the ring; let this"
            " node reach the CQL port of all. The same command goes on from here.",
            operation="schema",
        )

    def check(self) -> None:
        """Whether the node tells what it was told."""
        wrong = unmet(self.steps, read_schema(self.session.schema().described))
        if wrong:
            more = f", and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
            raise NodeTrouble(
                f"The schema is not what it was made to be: {one_line(', '.join(wrong[:_NAMED]))}{more}.",
                hint="Somebody else changes the schema at the same time. When that is over, remove schema.json in the"
                " state directory and run the same command again.",
                operation="schema",
            )


def unmet(steps: Sequence[Step], live: SchemaText) -> tuple[str, ...]:
    """What the steps were to make and the schema does not have, or has otherwise. Options of tables are not compared."""
    wanted = read_schema(";\n".join(step.text for step in steps if step.verb != "drop"))
    wrong = [f"keyspace {name}" for name in wanted.keyspaces if name not in live.keyspaces]
    wrong += [
        f"type {'.'.join(name)}"
        for name, each in wanted.types.items()
        if name not in live.types or live.types[name].fields != each.fields
    ]
    for name, table in wanted.tables.items():
        now = live.tables.get(name)
        if now is None or (now.columns, now.descending, now.dropped) != (
            table.columns,
            table.descending,
            table.dropped,
        ):
            wrong.append(f"table {'.'.join(name)}")
    wrong += [f"function {name[1]}" for name in wanted.routines if name not in live.routines]
    wrong += [
        f"index {'.'.join(name)}"
        for name, index in wanted.indexes.items()
        if name not in live.indexes or live.indexes[name].table != index.table
    ]
    wrong += [
        f"view {'.'.join(name)}"
        for name, view in wanted.views.items()
        if name not in live.views or live.views[name].base != view.base
    ]
    return tuple(wrong)
