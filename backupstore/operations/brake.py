"""The brake: a plan that deletes too much is not carried out unless a person says so."""

from __future__ import annotations

from backupstore.core.sizes import human_size
from backupstore.operations.plan import Plan

HINT = "Look at the plan with 'purge --dry-run'. If it is meant so, run 'purge --force', or raise [shipper] purge_max_share."


def why_braked(plan: Plan, most: float) -> str:
    """Why this plan needs ``--force``; empty where it does not. ``most``: purge_max_share, from 0 to 1."""
    share = plan.share
    if plan.newest_gone:
        return f"{', '.join(sorted(plan.newest_gone))} is among the newest complete backups, which purge never deletes."
    if share.largest <= most:
        return ""
    return (
        f"This would delete {share.complete_gone} of {share.complete} complete backups, {human_size(share.size_gone)} of"
        f" {human_size(share.size)}: more than {most:.0%} (purge_max_share)."
    )
