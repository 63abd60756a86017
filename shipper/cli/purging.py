"""The commands that delete: purge, delete-backup, purge-decommissioned."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from backupstore.chance import random_text
from backupstore.core import names
from backupstore.core.purge_records import AcceptedRing, NodeResult, run_name
from backupstore.core.shown import counted
from backupstore.errors import BackupError, Refused
from backupstore.operations.accepted_rings import accept_ring
from backupstore.operations.brake import HINT, why_braked
from backupstore.operations.departed import Departed, departed_nodes, newest_ring, only_departed
from backupstore.operations.plan import Place, Plan
from backupstore.operations.planning import asked_for, make_plan, ring_of_backup
from backupstore.operations.purging import Outcome, Run, carry_out, put_braked_on_record
from backupstore.settings import Settings
from backupstore.settings.retention import DAY, policy_of
from backupstore.wiring import check_bucket, open_metrics
from shipper.cli import purge_text
from shipper.cli.console import out
from shipper.cli.logs import log, resumable
from shipper.cli.operator import operator
from shipper.cli.options import Globals
from shipper.freeing import Remark, look_at_keeping, newest_going, remarks
from shipper.in_threads import hands
from shipper.measures import purging
from shipper.purge_words import node_text, outcome_text, tell_rest, tell_trouble
from shipper.purger import AT_ONCE
from shipper.wiring import sees_late


@dataclass(frozen=True, slots=True)
class Manner:
    """The switches of the commands that delete."""

    dry_run: bool = False
    force: bool = False
    stock_is_idle: bool = False


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
            _show(chosen, at, plan)
            if not manner.dry_run:
                out("Nothing was deleted. If all of these have left the cluster for good, run it again with --confirm.")
            return
        _do(chosen, at, plan, manner, before=lambda: _accept(at, (ring.accepted,)))


@contextmanager
def _place(chosen: Globals) -> Iterator[Place]:
    check_bucket(chosen.store)
    with hands(chosen.store, AT_ONCE) as held:
        yield Place(held.store, chosen.layout, chosen.clock.now(), held.each)


def _do(chosen: Globals, at: Place, plan: Plan, manner: Manner, before: Callable[[], None] = lambda: None) -> None:
    """Show the plan, or carry it out unless the brake forbids it."""
    braked = why_braked(plan, chosen.settings.shipper.purge_max_share)
    if manner.dry_run:
        _show(chosen, at, plan)
        if braked:
            out(f"{braked} The purge itself would need --force.")
        return
    run = _run(chosen, at, plan, manner)
    metrics = open_metrics(chosen.settings, os.environ, say=log.info, warn=log.warning)
    with resumable("Run it again: the next purge goes on with it."), purging(metrics, chosen.layout.prefix):
        if braked and not manner.force:
            put_braked_on_record(at, plan, run)
            raise Refused(braked, hint=HINT, operation="purge")
        before()
        said = _kept(chosen, at, plan)  # asked before, for locks of what is gone cannot be seen
        _finish(carry_out(at, plan, run, indexer=at.store), said)


def _run(chosen: Globals, at: Place, plan: Plan, manner: Manner) -> Run:
    return Run(
        name=run_name(at.now, random_text()),
        grace=plan.policy.incomplete_grace,
        orphan_grace=chosen.settings.storage.backup_grace_period_in_days * DAY,
        stock_is_idle=manner.stock_is_idle,
        cached_mount=sees_late(chosen.settings),
        forced=manner.force,
        revision=random_text,
        running=chosen.clock.running,
        tell=_tell,
    )


def _show(chosen: Globals, at: Place, plan: Plan) -> None:
    for line in purge_text.plan_text(plan):
        out(line)
    _remark(_kept(chosen, at, plan) if plan.deletes else ())


def _kept(chosen: Globals, at: Place, plan: Plan) -> tuple[Remark, ...]:
    """What does not become free, though it is deleted."""
    return tuple(remarks(look_at_keeping(chosen.store, newest_going(plan, at.layout)), at.layout))


def _tell(result: NodeResult) -> None:
    """At once, for the next node may take long; nothing of one that had nothing to delete."""
    if result.objects:
        out(node_text(result))
    tell_trouble(result)


def _remark(said: Iterable[Remark]) -> None:
    for remark in said:
        if remark.hint:
            log.warning("%s", remark.text, extra={"hint": remark.hint})
        else:
            out(remark.text)


def _finish(outcome: Outcome, said: Iterable[Remark]) -> None:
    for verdict in outcome.plan.verdicts:
        if verdict.delete:
            log.info("%s: %s", verdict.name, verdict.reason)
    for line in outcome_text(outcome):
        out(line)
    _remark(said if outcome.objects else ())
    tell_rest(outcome)
    if outcome.errors:
        raise BackupError(
            f"Purge failed on {counted(len(outcome.errors), 'node')}.",
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
