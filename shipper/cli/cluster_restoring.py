"""The command that restores a whole cluster: it plans, asks, writes the job, and follows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from backupstore.chance import random_text
from backupstore.core.host_list import HostLine, parse_host_list
from backupstore.core.job_ids import job_id
from backupstore.core.schema_plan import SchemaPlan
from backupstore.core.shown import counted
from backupstore.core.topology import Choice, Match, Ring, match, match_listed
from backupstore.errors import Corrupt, Misconfigured, Refused
from backupstore.operations.restore_cluster import Asked, ClusterPlan, Source, ask, read_source, request_of, schema_of
from backupstore.wiring import check_bucket
from shipper.cli.asking import demand_name
from shipper.cli.cluster_effects import Replaced, loaded, replaced
from shipper.cli.cluster_plan_text import Facts, plan_text, schema_text
from shipper.cli.cluster_target import Target, asked_here, find_target, namer
from shipper.cli.console import out
from shipper.cli.jobs_following import follow_to_end
from shipper.cli.logs import log, resumable
from shipper.cli.operator import operator
from shipper.cli.options import Globals
from shipper.restore.tables import would_lose_rows
from shipper.snapshot import Filters


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterOptions:
    """Options of ``restore-cluster``."""

    seed_target: str | None
    host_list: Path | None
    seeds: tuple[str, ...]
    datacenters: Mapping[str, str]
    keyspaces: tuple[str, ...]
    tables: tuple[str, ...]
    keep_auth: bool
    verify: bool
    use_sstableloader: bool
    parallel: int
    ignore_racks: bool
    accept_incomplete: bool
    stop_first: bool


def run_restore_cluster(chosen: Globals, name: str, given: ClusterOptions, *, sure: bool, dry_run: bool) -> None:
    """``restore-cluster``."""
    check_bucket(chosen.store)
    asked = _asked(name, given)
    source = read_source(chosen.store, chosen.layout, asked)
    lines = _listed(chosen, given.host_list, source) if given.host_list is not None else None
    target = _listed_target(lines, given.host_list) if lines else find_target(chosen, given.seed_target)
    target = replace(target, seeds=_seeds(target, given.seeds))
    plan = ClusterPlan(asked, source, _match(asked, source, target, lines), target.seeds)
    if target.schema is None and (plan.replaces or target.ring.seats):
        target = asked_here(chosen, target, plan.match.sources)
    warnings = (*source.warnings, *target.check_release(source.releases))
    plan = replace(plan, source=replace(source, warnings=warnings))
    effects = _effects(chosen, plan, target)
    for line in plan_text(plan, Facts(target, chosen.settings.storage.transfer_max_bandwidth, effects)):
        out(line)
    if isinstance(effects, Replaced) and effects.changed:
        raise would_lose_rows(effects.changed)  # as each node would say
    now = chosen.clock.now()
    request = request_of(plan, job=job_id("restore", now, random_text()), by=operator(), now=now)
    if dry_run:
        for statement in schema_text(effects) if isinstance(effects, SchemaPlan) else ():
            out(statement)
        return
    with resumable("Nothing was asked of the cluster."):
        demand_name(
            f"All of this is done on {counted(len(request.assignments), 'node')}.",
            name,
            said=sure,
            operation="restore-cluster",
        )
    ask(chosen.store, chosen.layout, request)
    follow_to_end(chosen, request)


def _asked(name: str, given: ClusterOptions) -> Asked:
    return Asked(
        backup=name,
        choice=Choice(given.ignore_racks, given.use_sstableloader, given.datacenters),
        keyspaces=given.keyspaces,
        tables=given.tables,
        keep_auth=given.keep_auth,
        verify=given.verify,
        parallel=given.parallel,
        accept_incomplete=given.accept_incomplete,
        stop_first=given.stop_first,
    )


def _match(asked: Asked, source: Source, target: Target, lines: tuple[HostLine, ...] | None) -> Match:
    if lines is None:
        return match(source.ring, target.ring, source.sizes, asked.choice)
    return match_listed(lines, source.ring.names | source.sizes.keys(), source.sizes, asked.choice)


def _listed(chosen: Globals, path: Path, source: Source) -> tuple[HostLine, ...]:
    """The host list, its names as they are in the bucket: as stock, what is no name there is looked up in DNS."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured((f"--host-list {path} cannot be read: {error}",), hint="Give a text file.") from error
    name_of = namer(chosen.settings)
    known = source.ring.names | source.sizes.keys()

    def named(host: str) -> str:
        return host if host in known else name_of(host)

    lines = parse_host_list(text, chosen.settings.storage.host_file_separator, str(path))
    return tuple(replace(line, target=named(line.target), source=named(line.source)) for line in lines)


def _listed_target(lines: tuple[HostLine, ...], path: Path | None) -> Target:
    seeds = frozenset(line.target for line in lines if line.is_seed)
    return Target(Ring(()), seeds, f"The targets are those of {path}.")


def _seeds(target: Target, given: tuple[str, ...]) -> frozenset[str]:
    """Those that were named go before those that were found out. Refused when one is no target."""
    strange = sorted(set(given) - target.ring.names) if target.ring.seats else []
    if strange:
        raise Refused(
            f"{', '.join(strange)} cannot be a seed: the target has no such node.",
            hint=f"Its nodes are called {', '.join(sorted(target.ring.names)[:12])}.",
            operation="--seeds",
        )
    return frozenset(given) or target.seeds


def _effects(chosen: Globals, plan: ClusterPlan, target: Target) -> Replaced | SchemaPlan | None:
    """What becomes of tables; None where the schema of the target is not known. Refused when it cannot be made there."""
    if target.schema is None:
        return None
    described, exported = schema_of(chosen.store, chosen.layout, plan.source)
    # The driver's text, which is all that stock's backups have, knows no ids.
    schema = exported if described is None else described
    live = target.schema.described
    if not plan.replaces:
        return loaded(schema, live, target.ring, plan)
    try:
        return replaced(schema, live, Filters(plan.asked.keyspaces, plan.asked.tables))
    except Corrupt as error:
        log.warning("the schemas of backup and target cannot be compared: %s", error.message)
        return None
