"""Which part of a node is restored: all of it, all but its roles, or single tables. Decided before anything is fetched.

The places, the download and the words are cut down to that part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from backupstore.core.names import split_table
from backupstore.core.schema_statements import Name, read_schema
from backupstore.errors import Corrupt, Refused
from shipper.restore import auth, overview, partial, plan
from shipper.restore.places import Place
from shipper.restore.plan import Backup, Here
from shipper.restore.port import Service, Witness
from shipper.restore.tables import TablesPlan
from shipper.site import Site
from shipper.snapshot import Filters
from shipper.transfer.fetch_plan import FetchPlan


@dataclass(frozen=True, slots=True)
class Narrowed:
    """What is left to do: the directories, single tables if it is them, and what all of it means, one line each."""

    places: tuple[Place, ...]
    part: TablesPlan | None
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scope:
    """What was asked for, and the two sides. ``caches``: the node's directory of saved caches.

    ``others``: so many nodes of the ring are not restored with this one.
    """

    filters: Filters
    keep_auth: bool
    site: Site
    service: Service
    backup: Backup
    here: Here
    witness: Witness | None
    caches: Path | None
    others: int

    def narrow(self, own: tuple[Place, ...], wanted: FetchPlan) -> Narrowed:
        """Cut the download down to it, too. Refused, NotFound; the node is only asked."""
        if not self.filters.is_whole:
            return self._part(own, wanted)
        if self.keep_auth:
            auth.check_keep(wanted, self.site.cassandra.data_directories, is_up=self.here.live is not None)
            auth.leave_out(wanted)
            own = auth.keep(own)
        lines = (
            *overview.of_node(self.backup.name, tuple(partial.held(wanted)), self._present()),
            *auth.told(kept=self.keep_auth, others=self.others, replicated_otherwise=self._replicates_otherwise()),
        )
        return Narrowed(own, None, lines)

    def _part(self, own: tuple[Place, ...], wanted: FetchPlan) -> Narrowed:
        if self.here.live is None:
            raise Refused(
                "Cassandra does not answer: single tables are restored into the schema that it has, and what it has not"
                " written to its data directories yet must not come back over them.",
                hint="Start it first; or restore the whole node, without --keyspace and --table.",
                operation="restore",
            )
        held = tuple(partial.held(wanted))
        part = partial.plan_part(self.site, self.service, self.backup, held, self.filters, witness=self.witness)
        lines = overview.of_part(self.backup.name, held, part)
        partial.narrow_plan(wanted, part)
        return Narrowed(partial.narrow_places(own, part, self.caches), part, lines)

    def _replicates_otherwise(self) -> bool:
        """A ring of one node has nothing to repair. Where a schema cannot be read, better once too often."""
        if not self.keep_auth or self.witness is None or len(self.witness.members) == 1:
            return False
        try:
            return auth.is_replicated_otherwise(read_schema(self.backup.schema), read_schema(self.witness.export))
        except Corrupt:
            return True

    def _present(self) -> overview.Present:
        truncated = plan.truncated_since(self.backup, self.witness.truncated) if self.witness else frozenset[str]()
        return overview.Present(_ids(self.witness), truncated)


def _ids(witness: Witness | None) -> Mapping[Name, str] | None:
    if witness is None:
        return None
    live = read_schema(witness.described)
    return {name: each.id for of in (live.tables, live.views) for name, each in of.items() if each.id}


def flags_of(filters: Filters, *, keep_auth: bool) -> str:
    """As typed, with a blank before each."""
    keyspaces = "".join(f" --keyspace {name}" for name in filters.keyspaces)
    tables = "".join(f" --table {name}" for name in filters.tables)
    return keyspaces + tables + " --keep-auth" * keep_auth


def check_flags(filters: Filters, *, keep_auth: bool, remote: bool, stop_first: bool) -> None:
    """Refused where they contradict each other."""
    wrong, way_out = "", ""
    if not filters.is_whole and remote:
        wrong, way_out = "--remote takes over all of another node", "Leave out --remote, or --keyspace and --table."
    elif not filters.is_whole and stop_first:
        wrong, way_out = (
            "--stop-first deletes all data of the node",
            "Leave out --stop-first, or --keyspace and --table.",
        )
    elif not filters.is_whole and keep_auth and _names_auth(filters):
        wrong, way_out = f"--keep-auth keeps {auth.AUTH}, which is to be restored", "Leave one of the two out."
    if wrong:
        raise Refused(f"These options contradict each other: {wrong}.", hint=way_out, operation="restore")


def _names_auth(filters: Filters) -> bool:
    return auth.AUTH in {*filters.keyspaces, *(split_table(table)[0] for table in filters.tables)}
