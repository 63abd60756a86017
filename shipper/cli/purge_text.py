"""The plan of a purge as text: a table, and what would go in all. Values in, lines out."""

from __future__ import annotations

from collections.abc import Sequence

from backupstore.core.sizes import human_size
from backupstore.operations.plan import Plan
from shipper.cli.text import local_time

_HEADS = ("Name", "Started", "State", "Verdict", "Reason")


def plan_text(plan: Plan) -> list[str]:
    """The table of verdicts, the oldest backup first, and the totals."""
    rows = [
        (
            verdict.name,
            local_time(plan.candidates[verdict.name].started),
            plan.candidates[verdict.name].state,
            "delete" if verdict.delete else "keep",
            verdict.reason,
        )
        for verdict in plan.verdicts
    ]
    return [*_table([_HEADS, *rows]), *([""] if rows else []), *_totals(plan)]


def _totals(plan: Plan) -> list[str]:
    """How much goes, of how much."""
    share, going = plan.share, [one for one in plan.verdicts if one.delete]
    apart = sorted({name for work in plan.work for name in work.backups} - plan.deletes)
    size = sum(plan.size_of(verdict.name) for verdict in going)
    counted = (
        f"{len(going)} of {len(plan.verdicts)} cluster backups go, {len(plan.verdicts) - len(going)} stay;"
        f" {share.complete_gone} of {share.complete} complete ones go."
    )
    found = [
        counted,
        f"What goes names {human_size(size)}; files that other backups need too stay.",
    ]
    if apart:
        found.append(f"Node backups that were given up go out of {', '.join(apart)}.")
    return found


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    if len(rows) == 1:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADS) - 1)]
    return [
        "  ".join((*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1])).rstrip()
        for row in rows
    ]
