"""The verbs of commands as this node carries them out: here, and nowhere else, commands meet what does them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from backupstore.core.commands import (
    BackupArguments,
    LoadArguments,
    Payload,
    PrepareArguments,
    SchemaArguments,
    arguments_of,
)
from backupstore.core.documents import Mode
from backupstore.core.names import split_table
from backupstore.core.schema_plan import Asked, select
from backupstore.core.shown import counted
from backupstore.core.sizes import human_size
from backupstore.errors import NodeTrouble, NotFound, Refused
from shipper.agent.backups import Measured, Open, after_backup, back_up_once, clear_stale
from shipper.agent.verbs import Work
from shipper.backup import Limits
from shipper.begin import Request as BackupRequest
from shipper.cassandra.sstableloader import LoaderAccess
from shipper.progress import Progress
from shipper.restore import journal as journals
from shipper.restore import phases
from shipper.restore.loading import Loading, LoadRequest
from shipper.restore.sampling import look_into
from shipper.restore.schema_apply import SchemaSession, apply_schema, finish_schema, plan_here, read_backup_schema
from shipper.restore.steps import Machine
from shipper.site import Site
from shipper.snapshot import Filters

Step = Callable[[Site, Machine, str, Progress], str | None]
"""A verb of a restore that needs to know no more than its job; it may have found something that people should know."""

_STEPS: dict[str, tuple[Step, str]] = {
    "stop": (phases.stop, "Cassandra is stopped, and its data aside."),
    "place": (phases.place, "The restored data is in place."),
    "start": (phases.start, "Cassandra runs."),
    "check": (phases.check, "The restored node is well."),
    "commit": (phases.commit, "The old data is dropped."),
    "put-back": (phases.put_back, "The old data is in place."),
}


@dataclass(frozen=True, slots=True)
class Tools:
    """Ways to the node beside us, made anew with each command: cassandra.yaml may have changed."""

    machine: Callable[[], Machine]
    session: Callable[[], AbstractContextManager[SchemaSession]]
    loader: Callable[[], LoaderAccess]


@dataclass(frozen=True, slots=True)
class NodeVerbs:
    """``verbs.Verbs``. ``mode``: of backups that are not told theirs."""

    open_site: Open
    tools: Tools
    measured: Measured
    limits: Limits
    mode: Mode

    def obey(self, command: Payload, work: Work) -> str:
        """Do it to the end."""
        with self.open_site(work.keep_on) as site:
            match command.verb:
                case "backup":
                    return self._back_up(site, arguments_of(command, BackupArguments), work)
                case "prepare":
                    return self._prepare(site, command, work)
                case "schema":
                    return self._make_schema(site, command, work)
                case "load":
                    return self._load(site, command, work)
                case "index":
                    return self._make_indexes(site, command, work)
                case verb:
                    step, came = _STEPS[verb]
                    found = step(site, self.tools.machine(), command.job, work.progress)
                    return f"{came} {found}" if found else came

    def forget_missed(self, work: Work) -> None:
        """Of a node that was told to stop nothing is forgotten: then the job waits for it.

        Denied where the node may not see whether the job is over: it could make no backups for ever, and nobody knew why.
        """
        with self.open_site(work.keep_on) as site:
            journal = journals.load(site.state)
            if journal is None or not journal.job or journal.phase not in journals.BEFORE_STOP:
                return
            try:
                site.store.head(site.layout.job_over(journal.job))
            except NotFound:
                return
            work.progress.warn(f"{journal.job} has ended without this node: what was fetched for it is dropped")
            phases.put_back(site, self.tools.machine(), journal.job, work.progress)

    def _back_up(self, site: Site, asked: BackupArguments, work: Work) -> str:
        request = BackupRequest(asked.backup, asked.mode or self.mode, Filters(asked.keyspaces, asked.tables))
        with self.measured(asked.backup) as tell:
            report = back_up_once(site, request, self.limits, work.progress)
            tell(report)
        with after_backup(asked.backup):
            clear_stale(site)
        report.check()
        totals = report.totals
        return f"{counted(totals.files, 'file')}, {human_size(totals.size)}; {human_size(totals.new_size)} new."

    def _prepare(self, site: Site, command: Payload, work: Work) -> str:
        asked = arguments_of(command, PrepareArguments)
        if asked.method == "sstableloader":
            return self._look_at_sources(site, command, asked, work)
        if len(asked.sources) != 1:
            raise Refused(
                f"This node was told to become {len(asked.sources)} nodes at once.",
                hint="Let the coordinator and the nodes run the same version.",
                operation="command",
            )
        request = phases.Request(
            asked.backup,
            verify=asked.verify,
            job=command.job,
            together=frozenset(asked.targets),
            source=asked.sources[0],
            remote=asked.remote,
            stop_first=asked.stop_first,
            filters=Filters(asked.keyspaces, asked.tables),
            keep_auth=asked.keep_auth,
            # No seeds to wait for: the coordinator starts the others when they are up.
        )
        prepared = phases.prepare(site, self.tools.machine(), request, work.progress)
        return f"{prepared.files:,} files, {human_size(prepared.size)}, are fetched and checked."

    def _look_at_sources(self, site: Site, command: Payload, asked: PrepareArguments, work: Work) -> str:
        """Before anything is dropped of the schema: what is to be loaded is there, held, sound, and has room; this node is up."""
        if not site.cassandra.is_up():
            raise NodeTrouble(
                f"Cassandra does not answer on {site.name}.",
                hint="Start it: sstableloader sends rows into a cluster that runs.",
                operation="load",
            )
        with site.state.locked(f"prepare of {command.job}"):
            size = self._loading(site, work).prepare(_load_request(command, asked))
        of = counted(len(asked.sources), "node")
        return f"What {of} backed up, {human_size(size)}, can be loaded from here."

    def _make_schema(self, site: Site, command: Payload, work: Work) -> str:
        asked = arguments_of(command, SchemaArguments)
        with site.state.locked(f"schema of {command.job}"), self.tools.session() as session:
            plan = plan_here(session, read_backup_schema(site, asked.sources[0], asked.backup), _part_of(asked))
            apply_schema(site, session, command.job, plan, work.progress)
        return f"The schema of {asked.backup} is made."

    def _make_indexes(self, site: Site, command: Payload, work: Work) -> str:
        asked = arguments_of(command, SchemaArguments)
        schema = read_backup_schema(site, asked.sources[0], asked.backup)
        with site.state.locked(f"index of {command.job}"), self.tools.session() as session:
            made = finish_schema(site, session, schema, _part_of(asked), work.progress)
            service, wanted = self.tools.machine().service, select(schema, _part_of(asked))
            found = f"{look_into(site, service, work.progress, wanted)} " if asked.verify else ""
        if not made:
            return f"{found}{asked.backup} has no storage attached indexes."
        made_now = f"{counted(made, 'storage attached index')} {'is' if made == 1 else 'are'} made"
        return f"{found}{made_now}; queries that need one work once the nodes have built it."

    def _load(self, site: Site, command: Payload, work: Work) -> str:
        asked = arguments_of(command, LoadArguments)
        with site.state.locked(f"load of {command.job}"):
            loaded = self._loading(site, work).load(_load_request(command, asked))
        return f"Loaded: {counted(loaded.tables, 'table')} of {counted(loaded.sources, 'node')}, {human_size(loaded.size)}."

    def _loading(self, site: Site, work: Work) -> Loading:
        machine = self.tools.machine()
        return Loading(site, self.tools.loader(), site.cassandra.schema, machine.new_id, machine.workers, work.progress)


def _load_request(command: Payload, asked: PrepareArguments | LoadArguments) -> LoadRequest:
    filters = Filters(asked.keyspaces, asked.tables)
    return LoadRequest(command.job, asked.backup, asked.sources, filters, overwrite_auth=not asked.keep_auth)


def _part_of(asked: SchemaArguments) -> Asked:
    """Which part of the schema is meant."""
    return Asked(frozenset(asked.keyspaces), frozenset(map(split_table, asked.tables)), asked.datacenters)
