"""The plan of a cluster restore as text: who restores what, how long it takes, what is overwritten. Values in, lines out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from backupstore.core.dealing import busiest
from backupstore.core.schema_plan import SchemaPlan
from backupstore.core.shown import counted
from backupstore.core.sizes import human_size
from backupstore.operations.restore_cluster import ClusterPlan
from shipper.cli.cluster_effects import Replaced, loaded_text, replaced_text
from shipper.cli.cluster_target import Target
from shipper.cli.text import local_time

FETCHED = 100 << 20
"""Bytes a second that a node is assumed to fetch and check where no setting caps it."""
LOADED = 30 << 20
"""Bytes a second that sstableloader is assumed to stream from one node."""
_HEADS = ("Target", "Datacenter", "Rack", "Seed", "Size", "Restores")
_MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Facts:
    """What the plan is told beside itself. ``cap``: [storage] transfer_max_bandwidth, bytes a second; None without.

    ``effects`` is None where the schema of the target is not known.
    """

    target: Target
    cap: int | None
    effects: Replaced | SchemaPlan | None


def plan_text(plan: ClusterPlan, facts: Facts) -> list[str]:
    """All of it."""
    found = [*_head(plan), facts.target.known_by, ""]
    found += [*table([_HEADS, *_rows(plan, facts.target)]), ""]
    found += [*_course(plan, facts), ""]
    found += [f"* {line}" for line in (*_overwritten(plan, facts), *plan.match.warnings, *plan.source.warnings)]
    return found


def schema_text(plan: SchemaPlan) -> list[str]:
    """The statements that one node runs before anything is loaded, and after it, as they are run."""
    found = [
        "",
        f"One node runs {counted(len(plan.steps), 'statement')} first:",
        *(f"{step.text};" for step in plan.steps),
    ]
    if plan.after:
        found += ["", f"And {len(plan.after)} when all rows are loaded:", *(f"{step.text};" for step in plan.after)]
    return found


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns under their heads; the last one as long as it is."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    return [
        "  ".join((*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1])).rstrip()
        for row in rows
    ]


def _head(plan: ClusterPlan) -> Iterator[str]:
    source, loads = plan.source, plan.loads
    began = f"{source.name} began {local_time(source.started)}"
    yield f"{began}; {counted(len(source.sizes), 'node backup')}, {human_size(sum(loads.values()))}"
    if plan.match.way == "in place":
        yield "In place: each node gets its own files back."
    elif plan.match.way == "remote":
        yield "Onto other nodes: each takes over the files and tokens of one node, under its own address and a new host id."
    else:
        why = plan.match.why[0] if plan.match.why else "the rings differ"
        yield f"By sstableloader, into the running cluster: {why}."


def _rows(plan: ClusterPlan, target: Target) -> Iterator[tuple[str, ...]]:
    seats = {seat.name: seat for seat in target.ring.seats}
    loads = plan.loads
    for name, sources in sorted(plan.match.sources.items()):
        seat = seats.get(name)
        seed = "yes" if name in plan.seeds else ""
        place = (seat.dc, seat.rack) if seat else ("?", "?")
        yield name, *place, seed, human_size(loads[name]), ", ".join(sources) or "nothing"


def _course(plan: ClusterPlan, facts: Facts) -> Iterator[str]:
    """What happens, and how long it takes at a rate that is said."""
    rate = facts.cap or FETCHED
    how = "transfer_max_bandwidth, as set here" if facts.cap else "assumed: nothing caps it"
    if plan.asked.keyspaces or plan.asked.tables:
        yield "Sizes are those of all tables, so that it takes less than this:"
    at_once = f"{counted(plan.asked.parallel, 'node')} at once" if plan.asked.parallel else "all nodes at once"
    total = busiest(plan.loads, plan.asked.parallel)
    said = f"at {human_size(rate)}/s a node ({how}), {at_once}"
    if not plan.replaces:
        load = f"then streamed at {human_size(LOADED)}/s a node (assumed)"
        yield f"No node stops. Files are fetched {said}, {load}: about {_minutes(total / rate + total / LOADED)}."
        return
    if plan.asked.stop_first:
        yield f"All nodes stop, delete what they hold, and fetch {said}: down for about {_minutes(total / rate)}."
        return
    yield f"Every file is fetched and checked while all nodes are up, {said}: about {_minutes(total / rate)}."
    yield "Then all nodes are down together while files are renamed: as a rule for one to three minutes."


def _minutes(seconds: float) -> str:
    return counted(max(1, round(seconds / _MINUTE)), "minute")


def _overwritten(plan: ClusterPlan, facts: Facts) -> Iterator[str]:
    asked = plan.asked
    whole = not (asked.keyspaces or asked.tables)
    everything = f"everything{' but roles, passwords and grants' if asked.keep_auth else ''}"
    named = ", ".join((*asked.keyspaces, *asked.tables))
    meant = everything if whole else f"{named}, with views and indexes; all other tables stay as they are"
    if plan.replaces:
        yield f"OVERWRITTEN on {counted(len(plan.match.sources), 'node')}: {meant}."
        back = "all old data is put back" if not asked.stop_first else "there is no way back (--stop-first)"
        yield f"Until all nodes have proved healthy, when anything fails: {back}."
    else:
        yield f"Loaded: {meant}. From the moment that tables are dropped there is no way back."
        yield (
            "Rows come once from each replica that was backed up: until compaction has caught up, they take as many"
            " times their space."
        )
    yield _auth(plan)
    if facts.effects is None:
        unsaid = (
            "tables only there are" if plan.replaces else "what is dropped, and replicas that it has no room for, are"
        )
        why = f"{facts.target.unasked}; " if facts.target.unasked else ""
        yield f"The schema of the target is not known here ({why}--seed-target tells it): {unsaid} not named."
    elif isinstance(facts.effects, SchemaPlan):
        yield from loaded_text(facts.effects, auto_snapshot=facts.target.auto_snapshot)
    else:
        yield from replaced_text(facts.effects, whole=whole, elsewhere=plan.match.way == "remote")


def _auth(plan: ClusterPlan) -> str:
    if plan.asked.keep_auth:
        return (
            "Roles, passwords and grants stay as they are on the target (--keep-auth); on tables that come back, permissions"
            " must be granted anew."
        )
    if plan.asked.keyspaces or plan.asked.tables:
        named = "system_auth" in plan.asked.keyspaces
        return f"Roles, passwords and grants {'become those of the backup' if named else 'are not touched'}."
    if not plan.replaces:
        return (
            "Roles, passwords and grants of the backup join those of the target; of two versions of one the later one"
            " counts (--keep-auth: none are loaded)."
        )
    return "Roles, passwords and grants become those of the backup (--keep-auth keeps the target's)."
