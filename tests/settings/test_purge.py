"""Options about retention: the policy that purge goes by, and its brake."""

from __future__ import annotations

from pathlib import Path

import pytest

from backupstore.core.retention import Policy
from backupstore.settings.retention import policy_of
from tests.settings.shown import settings, shows
from tests.shipper.cli.program import Program
from tests.shipper.cli.test_purge import daily, listed

DAY = 86_400.0


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("max_backup_age = 3", ["d2", "d1", "d0"]),
        ("max_backup_count = 1", ["d0"]),
    ],
)
@shows("storage.max_backup_age", "storage.max_backup_count")
def test_what_is_too_old_or_too_much_goes(tmp_path: Path, line: str, left: list[str]) -> None:
    program = Program(tmp_path, storage=(line,), shipper=("purge_max_share = 1",))
    program.bucket.mkdir()
    daily(program, 0, 1, 2, 9)
    assert program.run("purge").code == 0
    assert listed(program) == left


@shows(
    "shipper.keep_hourly", "shipper.keep_daily", "shipper.keep_weekly", "shipper.keep_monthly", "shipper.keep_yearly"
)
def test_every_keep_rule_is_part_of_the_policy(tmp_path: Path) -> None:
    keep = {"hourly": 1, "daily": 2, "weekly": 3, "monthly": 4, "yearly": 5}
    given = settings(tmp_path, shipper={f"keep_{period}": most for period, most in keep.items()})
    assert policy_of(given).keep == keep
    assert policy_of(given).rules == keep


@shows("shipper.minimum_complete")
def test_so_many_complete_backups_never_go(tmp_path: Path) -> None:
    shipper = ("minimum_complete = 2", "purge_max_share = 100%")
    program = Program(tmp_path, storage=("max_backup_age = 1",), shipper=shipper)
    program.bucket.mkdir()
    daily(program, 7, 8, 9)
    assert program.run("purge").code == 0
    assert listed(program) == ["d8", "d7"]


@shows("shipper.purge_max_share")
@pytest.mark.parametrize(("share", "code"), [("33%", 1), ("0.34", 0)])
def test_a_purge_of_more_than_this_share_is_braked(tmp_path: Path, share: str, code: int) -> None:
    program = Program(tmp_path, storage=("max_backup_count = 2",), shipper=(f"purge_max_share = {share}",))
    program.bucket.mkdir()
    daily(program, 0, 1, 2)
    assert program.run("purge").code == code


@shows("storage.backup_grace_period_in_days")
def test_the_grace_of_orphans_is_purges(tmp_path: Path) -> None:
    program = Program(tmp_path, storage=("backup_grace_period_in_days = 0",))
    program.bucket.mkdir()
    daily(program, 0)
    orphan = next((program.bucket / "n1" / "data").glob("*/*")) / "nb-7-big-Data.db"
    orphan.write_bytes(b"orphan")
    assert program.run("purge").code == 0
    assert not orphan.exists()


def test_without_any_setting_there_is_no_limit(tmp_path: Path) -> None:
    policy = policy_of(settings(tmp_path))
    assert (policy.max_age, policy.max_count, policy.rules) == (None, None, {})
    assert policy.minimum_complete == Policy().minimum_complete
    assert policy.incomplete_grace == 14 * DAY
