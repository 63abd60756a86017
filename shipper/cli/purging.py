"""The commands that delete: purge, delete-backup, purge-decommissioned."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from time import gmtime, strftime

from backupstore.core import names
from backupstore.core.purge_records import AcceptedRing, NodeResult
from backupstore.core.retention import Policy
from backupstore.errors import BackupError, Refused
from backupstore.operations.accepted_rings import accept_ring
from backupstore.operations.departed import Departed, departed_nodes, newest_ring, only_departed
from backupstore.operations.plan import Place, Plan
from backupstore.operations.planning import asked_for, make_plan, ring_of_backup
from backupstore.operations.purging import Outcome, Run, carry_out, put_braked_on_record
from backupstore.settings import Settings
from backupstore.wiring import check_bucket
from shipper.cli import purge_text
from shipper.cli.console import out
from shipper.cli.logs import log
from shipper.cli.operator import operator
from shipper.cli.options import Globals
from shipper.cli.sizes import human_size

_AT_ONCE = 8
_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Manner:
    """The switches of the commands that delete."""

    dry_run: bool = False
    force: bool = False
    stock_is_idle: bool = False


def policy_of(settings: Settings) -> Policy:
    """What the settings say about retention; 0 is no limit."""
    storage, ours = settings.storage, settings.shipper
    return Policy(
        max_age=storage.max_backup_age * _DAY or None,
        max_count=storage.max_backup_count or None,
        keep={
            "hourly": ours.keep_hourly,
            "daily": ours.keep_daily,
            "weekly": ours.keep_weekly,
            "monthly": ours.keep_monthly,
            "yearly": ours.keep_yearly,
        },
        minimum_complete=ours.minimum_complete,
        incomplete_grace=ours.incomplete_grace_days * _DAY,
    )


def run_purge(chosen: Globals, manner: Manner, *, accepted: str | None) -> None:
    """``purge``."""
    with _place(chosen) as at:
        also = (_acceptance(at, accepted),) if accepted is not None else ()
        plan = make_plan(at, policy_of(chosen.settings), also_accepted=also)
        _do(chosen, at, plan, manner, before=lambda: _accept(at, also))


def run_delete(chosen: Globals, name: str, manner: Manner) -> None:
    """``delete-backup``."""
    with _place(chosen) as at:
        plan = asked_for(make_plan(at, policy_of(chosen.settings)), name)
        _do(chosen, at, plan, manner)


def run_decommissioned(chosen: Globals, manner: Manner, *, confirmed: bool) -> None:
    """``purge-decommissioned``: without the confirmation it only says whom it means."""
    with _place(chosen) as at:
        policy = policy_of(chosen.settings)
        ring = newest_ring(at, make_plan(at, policy), by=operator())
        plan = make_plan(at, policy, also_accepted=(ring.accepted,))
        gone = departed_nodes(at, plan, ring)
        for one in gone:
            out(_departed_text(one))
        if not gone:
            out(f"Every node with backups is in the ring that {ring.backup} shows.")
            return
        plan = only_departed(plan, gone)
        _check_most_are_left(plan, gone, chosen.settings, manner)
        if manner.dry_run or not confirmed:
            _show(plan)
            if not manner.dry_run:
                out("Nothing was deleted. If all of these have left the cluster for good, run it again with --confirm.")
            return
        _do(chosen, at, plan, manner, before=lambda: _accept(at, (ring.accepted,)))


@contextmanager
def _place(chosen: Globals) -> Iterator[Place]:
    check_bucket(chosen.store)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        yield Place(chosen.store, chosen.layout, chosen.clock.now(), pool.map)


def _do(chosen: Globals, at: Place, plan: Plan, manner: Manner, before: Callable[[], None] = lambda: None) -> None:
    """Show the plan, or carry it out unless the brake forbids it."""
    settings = chosen.settings
    if manner.dry_run:
        _show(plan)
        if _is_braked(plan, settings):
            out(f"{_braked(plan, settings)} The purge itself would need --force.")
        return
    run = _run(chosen, at, plan, manner)
    if _is_braked(plan, settings) and not manner.force:
        put_braked_on_record(at, plan, run)
        raise Refused(
            _braked(plan, settings),
            hint="Look at the plan with --dry-run. If it is meant so, run it again with --force,"
            " or raise [shipper] purge_max_share.",
            operation="purge",
        )
    before()
    _finish(carry_out(at, plan, run, indexer=chosen.store))


def _run(chosen: Globals, at: Place, plan: Plan, manner: Manner) -> Run:
    return Run(
        name=f"{strftime('%Y%m%dT%H%M%SZ', gmtime(at.now))}-{uuid.uuid4().hex[:8]}",
        grace=plan.policy.incomplete_grace,
        orphan_grace=chosen.settings.storage.backup_grace_period_in_days * _DAY,
        stock_is_idle=manner.stock_is_idle,
        forced=manner.force,
        revision=lambda: uuid.uuid4().hex,
        running=chosen.clock.running,
        tell=_tell,
    )


def _show(plan: Plan) -> None:
    for line in purge_text.plan_text(plan):
        out(line)


def _tell(result: NodeResult) -> None:
    log.info("%s: %s objects, %s", result.node, f"{result.objects:,}", human_size(result.bytes))
    for note in result.notes:
        log.warning("%s", note)
    if result.error:
        log.error("%s: %s", result.node, result.error)


def _finish(outcome: Outcome) -> None:
    for verdict in outcome.plan.verdicts:
        if verdict.delete:
            log.info("%s: %s", verdict.name, verdict.reason)
    for line in purge_text.outcome_text(outcome):
        out(line)
    for subject, why in outcome.indexed.failed.items():
        log.warning("%s of %s is still in the catalog: %s", subject.backup, subject.node, why.message)
    if outcome.errors:
        raise BackupError(
            f"Purge failed on {len(outcome.errors)} nodes.",
            hint="The lines above say why; run it again to go on.",
            operation="purge",
        )


def _check_most_are_left(plan: Plan, gone: tuple[Departed, ...], settings: Settings, manner: Manner) -> None:
    nodes = {node for document in plan.documents.values() for node in document.nodes}
    if len(gone) > settings.shipper.purge_max_share * len(nodes) and not (manner.force or manner.dry_run):
        raise Refused(
            f"{len(gone)} of {len(nodes)} nodes would have left the ring: more than purge_max_share.",
            hint="Look whether the newest complete backup is one of the whole cluster (status). If it is, add --force.",
            operation="purge-decommissioned",
        )


def _is_braked(plan: Plan, settings: Settings) -> bool:
    return bool(plan.newest_gone) or plan.share.largest > settings.shipper.purge_max_share


def _braked(plan: Plan, settings: Settings) -> str:
    share = plan.share
    if plan.newest_gone:
        return f"{', '.join(sorted(plan.newest_gone))} is among the newest complete backups, which purge never deletes."
    return (
        f"This would delete {share.complete_gone} of {share.complete} complete backups, {human_size(share.size_gone)} of"
        f" {human_size(share.size)}: more than {settings.shipper.purge_max_share:.0%} (purge_max_share)."
    )


def _acceptance(at: Place, name: str) -> AcceptedRing:
    """The ring that a backup shows. NotFound, or Refused when it shows none that could be accepted."""
    ring = ring_of_backup(at, name) if names.is_segment(name) else None
    if ring is None:
        raise Refused(
            f"{name} is no complete backup, so nobody knows its ring.",
            hint="Take the name from 'purge --dry-run': a complete backup whose ring is smaller than before.",
            operation="purge",
            key=name,
        )
    hosts = {dc: tuple(sorted(ids)) for dc, ids in ring.hosts.items()}
    return AcceptedRing(backup=name, started=ring.started, hosts=hosts, by=operator(), created=at.now)


def _accept(at: Place, rings: tuple[AcceptedRing, ...]) -> None:
    for ring in rings:
        new = accept_ring(at.store, at.layout, ring)
        count = sum(map(len, ring.hosts.values()))
        log.info("the ring of %s with %d nodes %s accepted", ring.backup, count, "is" if new else "was already")


def _departed_text(one: Departed) -> str:
    known = f" (host id {one.host_id})" if one.host_id else ""
    stay = f"; in backups that stay: {', '.join(one.staying)}" if one.staying else ""
    return f"{one.node}{known} is no longer in the ring; to delete: {', '.join(one.going) or 'nothing'}{stay}"
