"""Creating tables that were dropped since the backup, with the ids that they had, and taking that back.

Cassandra puts a table with its old id over its old directory. Each step can be repeated, and several nodes of a ring may
be at it at once: what is there with the right id is ours, whoever of us created it. Somebody else's has another id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from backupstore.core.cql_objects import subject_of
from backupstore.core.cql_text import CqlStatement, Cursor, statements
from backupstore.core.schema_statements import Name, SchemaText, read_schema
from backupstore.errors import Denied, NodeTrouble, Refused
from shipper.cassandra.port import CassandraNode
from shipper.progress import Progress
from shipper.restore.port import Service
from shipper.restore.table_ids import read_ids
from shipper.restore.tables import Creation


def check_absent(service: Service, creations: Sequence[Creation]) -> None:
    """Refused when something that shall be created was created by somebody else meanwhile."""
    ids = read_ids(service)
    for each in creations:
        if each.id is not None and ids.get((each.keyspace, each.name), each.id) != each.id:
            raise Refused(
                f"{each.shown} was created while the backup was fetched.",
                hint="Run the same command again: it looks anew at what there is.",
                operation="restore",
            )


def create(service: Service, node: CassandraNode, creations: Sequence[Creation], progress: Progress) -> None:
    """Create what is not there yet, as it was. Denied, NodeTrouble with what to do by hand."""
    if not creations:
        return
    live = _live(node)
    for each in creations:
        progress.step(f"creating {each.shown}")
        for text in missing(each, live):
            try:
                service.query(text)
            except NodeTrouble as error:
                if text in missing(each, _live(node)):
                    raise _explained(error, each) from error
            except Denied as error:
                raise _explained(error, each) from error


def missing(creation: Creation, live: SchemaText) -> tuple[str, ...]:
    """The statements that are still to be run, given the schema as it is."""
    found: list[str] = []
    for text in creation.texts:
        (statement,) = statements(text)
        anew = bool(found)  # what follows a statement that must be run must be run, too
        if anew or not _is_done(statement, creation, live):
            found.append(text)
    return tuple(found)


def _is_done(statement: CqlStatement, creation: Creation, live: SchemaText) -> bool:
    subject = subject_of(statement)
    name = (subject.keyspace, subject.name)
    if subject.verb == "alter":
        return _is_altered(Cursor(statement, subject.rest), name, live)
    there: Mapping[str, bool] = {
        "keyspace": subject.name in live.keyspaces,
        "type": name in live.types,
        "index": name in live.indexes,
        "table": name in live.tables and live.tables[name].id == creation.id,
        "view": name in live.views and live.views[name].id == creation.id,
    }
    return there[subject.kind]


def _is_altered(cursor: Cursor, name: Name, live: SchemaText) -> bool:
    """Whether a column was dropped, or dropped and added again."""
    table = live.tables.get(name)
    if table is None:
        return False
    if cursor.took("DROP"):
        return cursor.name() in table.dropped
    cursor.need("ADD")
    return cursor.name() in table.columns.types


def drop(service: Service, node: CassandraNode, creations: Sequence[Creation]) -> None:
    """Take back what ``create`` did: tables and views with the ids that they were given, and what nobody uses then."""
    ids = read_ids(service) if creations else {}
    for each in reversed(creations):
        if each.id is not None and ids.get((each.keyspace, each.name)) == each.id:
            _drop(service, each)
    for each in reversed(creations):
        if each.id is None and not _is_used(each, _live(node)):
            _drop(service, each)


def _drop(service: Service, each: Creation) -> None:
    try:
        service.query(each.drop)
    except (Denied, NodeTrouble) as error:
        raise _explained(error, each) from error


def _is_used(creation: Creation, live: SchemaText) -> bool:
    within = live.only((creation.keyspace,))
    if creation.kind == "KEYSPACE":
        return bool(within.tables or within.types or within.routines)
    spoken = [each.types for each in within.tables.values()]
    spoken += [each.types for each in within.types.values()]
    spoken += [each.types for each in within.routines.values()]
    return any(creation.name in types for types in spoken)


def _live(node: CassandraNode) -> SchemaText:
    return read_schema(node.schema().described)


def _explained(error: Denied | NodeTrouble, what: Creation) -> Denied | NodeTrouble:
    error.hint = (
        f"{what.shown} was dropped since the backup, and is created for the restore: let the role in cql_username create"
        f" and drop in {what.keyspace}, or create it by hand, with its id, as describe.cql of the backup has it."
    )
    return error
