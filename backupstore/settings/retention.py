"""What the settings say about which backups stay, as the policy that purge judges by."""

from __future__ import annotations

from backupstore.core.retention import Policy
from backupstore.settings.sections import Settings

DAY = 86_400.0


def policy_of(settings: Settings) -> Policy:
    """The policy; 0 in the file is no limit."""
    storage, ours = settings.storage, settings.shipper
    return Policy(
        max_age=storage.max_backup_age * DAY or None,
        max_count=storage.max_backup_count or None,
        keep={
            "hourly": ours.keep_hourly,
            "daily": ours.keep_daily,
            "weekly": ours.keep_weekly,
            "monthly": ours.keep_monthly,
            "yearly": ours.keep_yearly,
        },
        minimum_complete=ours.minimum_complete,
        incomplete_grace=ours.incomplete_grace_days * DAY,
    )
