"""Restoring single tables of a node: what is asked of the node and done to it, besides moving files.

    read the live schema → what goes where (tables.py) → [fetch] → create what was dropped (creating.py) → drain
    → [stop, move, start] → build indexes anew where the backup has none → count rows, ask the indexes (sampling.py)

The commit log stays: after a drain nothing is in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from backupstore.core.names import SYSTEM_KEYSPACES
from backupstore.core.schema_statements import SchemaText, read_schema
from backupstore.errors import NodeTrouble
from shipper.cassandra.port import Schema
from shipper.restore import plan
from shipper.restore.places import Place
from shipper.restore.plan import Backup
from shipper.restore.port import Service, Witness
from shipper.restore.sampling import Sampling
from shipper.restore.selection import Held, choose
from shipper.restore.table_ids import read_ids
from shipper.restore.tables import Live, TablesPlan, plan_tables
from shipper.site import Site
from shipper.snapshot import Filters
from shipper.transfer.fetch_plan import FetchPlan


def plan_part(  # noqa: PLR0913 - the two sides, and what is asked for
    site: Site, service: Service, backup: Backup, there: Sequence[Held], filters: Filters, *, witness: Witness | None
) -> TablesPlan:
    """What restoring the named tables comes to. Refused, NotFound, Corrupt; nothing is changed."""
    schema, has_ids = _of_backup(backup)
    chosen = choose(there, schema, filters)
    ids = read_ids(service)
    truncated = plan.truncated_since(backup, witness.truncated if witness else {})
    names = frozenset(name for name, table_id in ids.items() if table_id in truncated)
    return plan_tables(
        chosen, schema, Live(_of_node(site.cassandra.schema(), has_ids=has_ids), ids, names), has_ids=has_ids
    )


def _of_backup(backup: Backup) -> tuple[SchemaText, bool]:
    """The schema, and whether it is the server's own text; that does not tell of Cassandra's own keyspaces."""
    exported = read_schema(backup.schema)
    if backup.described is None:
        return exported, False
    return exported.only(SYSTEM_KEYSPACES).joined(read_schema(backup.described)), True


def _of_node(schema: Schema, *, has_ids: bool) -> SchemaText:
    """In the form of the backup's, so that the same is spelled alike."""
    exported, described = read_schema(schema.export), read_schema(schema.described)
    if has_ids:
        return exported.only(SYSTEM_KEYSPACES).joined(described)
    dropped = {name: described.tables[name].dropped for name in exported.tables if name in described.tables}
    tables = {name: replace(exported.tables[name], dropped=since) for name, since in dropped.items()}
    return replace(exported, tables={**exported.tables, **tables})


def held(wanted: FetchPlan) -> Iterator[Held]:
    """What the manifest has of each table."""
    for keyspace, folder in wanted.tables():
        contents = wanted.contents(keyspace, folder)
        files, size = (sum(each[at] for each in contents.values()) for at in (0, 1))
        yield Held(keyspace, folder, files, size, frozenset(hidden for hidden in contents if hidden))


def narrow_plan(wanted: FetchPlan, part: TablesPlan) -> None:
    """Leave in the plan of the download what is restored, each table under the folder that it will have."""
    for move, hidden in part.left_out:
        wanted.leave_out_index(move.keyspace, move.folder, hidden)
    wanted.take_only({(move.keyspace, move.folder): move.target for move in part.moves})


def narrow_places(own: Iterable[Place], part: TablesPlan, caches: Path | None) -> tuple[Place, ...]:
    """Of data directories only the folders of these tables, and the saved ``caches``.

    Those remember where in an SSTable a row lies, and know the SSTable by its name alone, which another one may have had.
    """
    units = tuple(sorted(move.unit for move in part.moves))
    data = tuple(replace(place, only=units) for place in own if place.holds_data)
    return (*data, *(place for place in own if caches is not None and place.directory == caches.resolve()))


def check(part: TablesPlan, sampling: Sampling, *, verify: bool) -> None:
    """Build anew the indexes that came without files, and look into each table. NodeTrouble when one is not good."""
    for each in part.rebuilds:
        sampling.progress.step(f"building the index {each.index} of {each.keyspace}.{each.table} anew")
        sampling.service.rebuild_index(each.keyspace, each.table, each.index)
    for move in part.moves if verify else ():
        rows = sampling.look((move.keyspace, move.table), has_files=move.files > 0)
        sampling.progress.step(f"{move.name}: {rows}")
    if sampling.found.blind:
        raise NodeTrouble(
            f"The index {sampling.found.blind[0]} does not find a row that is there.",
            hint="Drop the index and run the same command again; create it anew afterwards.",
            operation="check",
        )
