"""What the facts mean: pure, each threshold from both sides."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from backupstore.core.layout import Layout
from backupstore.settings.storage import StorageSettings
from backupstore.stores.examination import Rule, Unfinished
from shipper.cassandra.nodetool import Seen
from shipper.doctor import bucket, index, mounted, names, node, rules, settings, stock
from shipper.doctor.findings import Report, Status
from shipper.watching import Mount
from tests.shipper.cassandra.users import unprivileged

OK, WARN, FAIL, UNCHECKED = Status.OK, Status.WARN, Status.FAIL, Status.UNCHECKED
NEVER = float("inf")
DAY = 86_400.0


def worst(found: Iterable[Report]) -> Status:
    seen = {report.status for report in found}
    return next((status for status in (FAIL, WARN, UNCHECKED) if status in seen), OK)


def test_everything_that_is_not_good_says_what_to_do() -> None:
    found = [
        bucket.judge_powers(overwrites=True, deletes=False),
        bucket.judge_skew(100, NEVER),
        mounted.judge_room(1, 100, Path("/b")),
        node.judge_room(1, 100),
        names.judge_neighbours("n1", ["n10"], beside_stock=False),
        stock.judge_deleted(["b1"], 3),
        stock.judge_data("b1", ["k"], 2, 3),
        rules.judge_uploads(Unfinished(1, 0.0), 3 * DAY, has_rule=False),
    ]
    assert all(report.todo and report.status in {WARN, FAIL} for report in found)


@pytest.mark.parametrize(
    ("skew", "refused_from", "status"),
    [(0, 900, OK), (-60, 900, OK), (61, 900, WARN), (-900, 900, WARN), (901, 900, FAIL), (-90_000, NEVER, WARN)],
)
def test_clocks(skew: float, refused_from: float, status: Status) -> None:
    assert bucket.judge_skew(skew, refused_from).status is status


def test_it_is_said_which_clock_is_ahead() -> None:
    assert "300 seconds ahead of the store's" in bucket.judge_skew(-300, 900).seen
    assert "300 seconds behind the store's" in bucket.judge_skew(300, 900).seen


@pytest.mark.parametrize(
    ("kind", "options", "status"),
    [
        ("ext4", "rw,relatime", OK),
        ("nfs4", "rw,hard,vers=4.2,local_lock=none", WARN),
        ("nfs4", "rw,hard,vers=4.2,lookupcache=none,local_lock=none", OK),
        ("nfs4", "rw,soft,vers=4.2", FAIL),
        ("nfs", "rw,hard,nolock", FAIL),
        ("nfs", "rw,hard,local_lock=all", FAIL),
        ("nfs", "rw,hard,local_lock=flock", FAIL),
        ("nfs", "rw,hard,noac,local_lock=posix", OK),
        ("ext4", "ro,relatime", FAIL),
        ("fuse.s3fs", "rw", FAIL),
        ("fuse.rclone", "rw", FAIL),
        ("fuse.glusterfs", "rw", OK),
        ("tmpfs", "rw", WARN),
    ],
)
def test_mounts(kind: str, options: str, status: Status) -> None:
    mount = Mount(Path("/mnt/backups"), kind, tuple(options.split(",")))
    assert worst(mounted.judge_mount(mount, remote=False)) is status


@pytest.mark.parametrize(("free", "status"), [(10, OK), (9, WARN)])
def test_room_in_the_bucket(free: int, status: Status) -> None:
    assert mounted.judge_room(free, 100, Path("/b")).status is status


@pytest.mark.parametrize(
    ("refused", "status"), [([], OK), ([errno.EXDEV], OK), ([errno.EPERM], WARN), ([errno.EOPNOTSUPP], WARN)]
)
def test_hard_links(refused: list[int], status: Status) -> None:
    assert mounted.judge_links(refused).status is status


@pytest.mark.parametrize(("free", "status"), [(100 + (64 << 20), OK), (99 + (64 << 20), WARN)])
def test_room_for_a_restore(free: int, status: Status) -> None:
    assert node.judge_room(free, 100).status is status


@pytest.mark.parametrize(
    ("rule", "status"),
    [
        (Rule("a", "", expires=True), FAIL),
        (Rule("a", "prod/", expires=True), FAIL),
        (Rule("a", "prod/n1/", expires=True), FAIL),
        (Rule("a", "pro", expires=True), FAIL),
        (Rule("a", "index/announced/prod/", expires=True), FAIL),
        (Rule("a", "other/", expires=True), OK),
        (Rule("a", "", moves_to="DEEP_ARCHIVE"), FAIL),
        (Rule("a", "", moves_to="STANDARD_IA"), OK),
        (Rule("a", "", aborts=True, old_versions=True), OK),
    ],
)
def test_lifecycle_rules(rule: Rule, status: Status) -> None:
    assert worst(rules.judge_rules([rule], Layout("prod"))) is status


def test_without_a_prefix_every_rule_may_be_about_us() -> None:
    assert worst(rules.judge_rules([Rule("a", "n1/", expires=True)], Layout())) is FAIL


@pytest.mark.parametrize(
    ("count", "days", "has_rule", "status"),
    [(0, 9, False, OK), (1, 0.5, False, OK), (1, 2, False, WARN), (1, 2, True, OK)],
)
def test_unfinished_uploads(*, count: int, days: float, has_rule: bool, status: Status) -> None:
    assert rules.judge_uploads(Unfinished(count, 0.0), days * DAY, has_rule=has_rule).status is status


@pytest.mark.parametrize(("versions", "status"), [("", OK), ("Enabled", OK), ("Suspended", WARN)])
def test_versions(versions: str, status: Status) -> None:
    assert worst(rules.judge_versions(versions)) is status


@pytest.mark.parametrize(
    ("overwrites", "deletes", "status"), [(False, False, OK), (True, False, WARN), (False, True, WARN)]
)
def test_powers(*, overwrites: bool, deletes: bool, status: Status) -> None:
    assert bucket.judge_powers(overwrites=overwrites, deletes=deletes).status is status


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, OK),
        ({"secure": True, "ssl_verify": True}, OK),
        ({"secure": True, "ssl_verify": False}, WARN),
        ({"secure": False}, WARN),
        ({"secure": False, "host": "127.0.0.1"}, OK),
        ({"secure": False, "host": "localhost"}, OK),
        ({"storage_class": "STANDARD_IA"}, OK),
        ({"storage_class": "GLACIER_IR"}, OK),
        ({"storage_class": "GLACIER"}, FAIL),
        ({"storage_class": "DEEP_ARCHIVE"}, FAIL),
        ({"kms_id": "k"}, OK),
        ({"kms_id": "k", "sse_c_key": "k"}, WARN),
    ],
)
def test_storage_settings(changes: dict[str, object], status: Status) -> None:
    values: dict[str, object] = {"host": "s3.example.com", "secure": True, "ssl_verify": True, **changes}
    made = StorageSettings(storage_provider="s3_compatible", bucket_name="b", **values)  # type: ignore[arg-type]
    assert worst(settings.judge_storage(made)) is status


def test_amazon_is_always_spoken_to_over_checked_tls() -> None:
    made = StorageSettings(storage_provider="s3", bucket_name="b", secure=False, ssl_verify=False)
    assert not list(settings.judge_storage(made))


@pytest.mark.parametrize(
    ("name", "prefix", "chosen", "status"),
    [
        ("n1.example.com", "", False, OK),
        ("localhost", "", False, FAIL),
        ("localhost", "", True, FAIL),
        ("127.0.1.1", "", False, FAIL),
        ("10.0.0.1", "", False, WARN),
        ("10.0.0.1", "", True, OK),
        ("127.0.0.1", "", True, OK),
        ("prod", "prod", True, FAIL),
        ("a/b", "", True, FAIL),
    ],
)
def test_own_name(*, name: str, prefix: str, chosen: bool, status: Status) -> None:
    assert worst(names.judge_own_name(name, prefix, chosen=chosen)) is status


@pytest.mark.parametrize(
    ("near", "beside_stock", "status"), [([], True, OK), (["n10"], False, WARN), (["n10"], True, FAIL)]
)
def test_neighbours(*, near: list[str], beside_stock: bool, status: Status) -> None:
    assert names.judge_neighbours("n1", near, beside_stock=beside_stock).status is status


@pytest.mark.parametrize(
    ("known", "status"), [([], OK), (["h1"], OK), (["h1", "h1"], OK), (["h2"], WARN), (["h1", "h2"], WARN)]
)
def test_identity(known: list[str], status: Status) -> None:
    assert names.judge_identity("n1", "h1", known).status is status


@pytest.mark.parametrize(
    ("up", "normal", "status"), [(True, True, OK), (False, True, WARN), (True, False, WARN), (False, False, WARN)]
)
def test_the_ring(*, up: bool, normal: bool, status: Status) -> None:
    seen = [Seen("10.0.0.1", "h1", is_up=True, is_normal=True), Seen("10.0.0.2", "h2", is_up=up, is_normal=normal)]
    found = node.judge_ring(seen, {"ID": "h1"})
    assert (found.status, "10.0.0.2" in found.seen) == (status, status is WARN)


@pytest.mark.parametrize(
    ("silent", "status"), [({}, OK), ({"b1": 941.0}, OK), ({"b1": 939.0}, WARN), ({"b1": 0.0, "b2": 999.0}, WARN)]
)
def test_events(silent: dict[str, float], status: Status) -> None:
    assert index.judge_events(silent, 1000.0, 60.0).status is status


@pytest.mark.parametrize(
    ("line", "calls"),
    [
        ("0 3 * * * cassandra medusa purge", True),
        ("0 3 * * * /usr/local/bin/medusa --config-file /etc/medusa/medusa.ini purge", True),
        ("ExecStart=/opt/medusa/bin/medusa purge", True),
        ("/usr/bin/python3 /usr/local/bin/medusa purge", True),
        ("5 * * * * medusa delete-backup --backup-name x", True),
        ("# 0 3 * * * medusa purge", False),
        ("0 3 * * * medusa backup", False),
        ("0 3 * * * medusa-shipper purge", False),
        ("0 3 * * * medusa-shipper --config-file /etc/medusa/medusa.ini purge", False),
        ("0 3 * * * /opt/medusa-shipper/bin/medusa-shipper purge", False),
        ("0 3 * * * other purge", False),
        ("vim /etc/medusa/purge.txt", False),
    ],
)
def test_what_calls_stocks_purge(line: str, calls: bool) -> None:  # noqa: FBT001 - a row of the table
    assert stock.is_purge(line) is calls


def test_jobs_are_found_where_machines_keep_them(tmp_path: Path) -> None:
    for place in (
        "etc/crontab",
        "etc/cron.d/medusa",
        "var/spool/cron/crontabs/cassandra",
        "etc/systemd/system/p.service",
    ):
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("# comment\n0 3 * * * medusa purge\n")
    (tmp_path / "proc/12").mkdir(parents=True)
    (tmp_path / "proc/12/cmdline").write_bytes(b"/usr/bin/medusa\0purge\0")
    (tmp_path / "etc/cron.daily").mkdir()
    (tmp_path / "etc/cron.daily/other").write_text("medusa backup\n")
    found = stock.find_jobs(tmp_path).found
    assert len(found) == 5
    assert "process 12 (/usr/bin/medusa purge)" in found


def test_crontabs_that_may_not_be_read_are_named() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        (root / "etc/cron.d").mkdir(parents=True)
        (root / "etc/cron.d/seen").write_text("0 3 * * * root medusa purge\n")
        (root / "etc/crontab").write_text("0 3 * * * root medusa purge\n")
        (root / "etc/crontab").chmod(0)
        (root / "var/spool/cron/crontabs").mkdir(parents=True)
        (root / "var/spool/cron/crontabs").chmod(0)
        with unprivileged():
            found = stock.find_jobs(root)
        (root / "var/spool/cron/crontabs").chmod(0o700)
    assert found.hidden == (str(root / "etc/crontab"), str(root / "var/spool/cron/crontabs"))
    assert found.found == (f"{root / 'etc/cron.d/seen'} (0 3 * * * root medusa purge)",)


def test_a_job_is_a_warning_and_what_was_not_seen_is_not_good() -> None:
    plain = StorageSettings(storage_provider="s3", bucket_name="b")
    limited = StorageSettings(storage_provider="s3", bucket_name="b", max_backup_age=30)
    nothing = stock.Jobs((), ())
    assert worst(stock.judge_jobs(nothing, plain)) is OK
    assert worst(stock.judge_jobs(nothing, limited)) is WARN
    assert worst(stock.judge_jobs(stock.Jobs(("x",), ()), plain)) is WARN
    assert worst(stock.judge_jobs(stock.Jobs((), ("/var/spool/cron",)), plain)) is UNCHECKED


@pytest.mark.parametrize(("user", "owner", "status"), [(0, 0, OK), (0, 999, WARN), (999, 999, OK), (998, 999, OK)])
def test_who_asks(user: int, owner: int, status: Status) -> None:
    assert worst(node.judge_user(user, owner)) is status


@pytest.mark.parametrize(("age", "status"), [(13.9, WARN), (14.1, OK)])
def test_stocks_backups_matter_while_they_are_new(age: float, status: Status) -> None:
    assert stock.judge_writers({"b1": 0.0, "b0": -99.0}, age * DAY, 10).status is status
