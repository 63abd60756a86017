"""What purge and delete-backup say of a bucket that keeps old versions, or locks its objects; real ones."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backupstore.core.layout import Layout
from shipper.freeing import look_at_keeping, remarks
from tests.functions.world import settings_of
from tests.harness.s3_servers import S3Server, add_user, minio, versitygw
from tests.harness.s3_stores import opened
from tests.shipper.cli.handmade import Made, Maker
from tests.shipper.cli.program import Done, Program
from tests.shipper.s3.test_permissions import POLICIES

FOR_EVER = "stays there, hidden and paid for, for ever: no lifecycle rule removes old versions."


@pytest.fixture(scope="module", params=["versitygw", "minio"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    folder = tmp_path_factory.mktemp(request.param)
    with versitygw(folder, versions=True) if request.param == "versitygw" else minio(folder) as running:
        yield running


def filled(folder: Path, server: S3Server, bucket: str, names: tuple[str, ...] = ("b1", "b2")) -> Program:
    """Two backups, of which one is kept."""
    with closing(opened(server, bucket)) as store:
        for name in names:
            files = {"nb-1-big-Data.db": b"shared", f"nb-{name[1:]}9-big-Data.db": name.encode()}
            Maker(store, Layout("prod")).ship(name, Made(files=files))
    program = program_of(folder, server, bucket)
    assert program.run("build-index").code == 0
    return program


def program_of(folder: Path, server: S3Server, bucket: str) -> Program:
    environment = {**settings_of(server), "MEDUSA_STORAGE_BUCKET_NAME": bucket, "MEDUSA_STORAGE_PREFIX": "prod"}
    return Program(folder, environment={**environment, "MEDUSA_STORAGE_MAX_BACKUP_COUNT": "1"})


def bucket_of(server: S3Server, name: str, *, versions: str = "", lock: dict[str, Any] | None = None) -> str:
    with server.boto() as boto:
        boto.create_bucket(Bucket=name, ObjectLockEnabledForBucket=lock is not None)
        if versions:
            boto.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": versions})  # type: ignore[typeddict-item]
        if lock:
            rule = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": lock}}
            boto.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration=rule)  # type: ignore[arg-type]
    return name


def purged(program: Program) -> tuple[Done, Done]:
    """The plan, and the purge itself."""
    plan, done = program.run("purge", "--dry-run"), program.run("purge")
    assert (plan.code, done.code) == (0, 0), plan.err + done.err
    assert re.search(r"^n1: [0-9]+ objects deleted, [0-9.]+ K?B$", done.out, re.MULTILINE), done.out
    assert re.search(r"^In all: [0-9]+ objects deleted, [0-9.]+ K?B, on 1 of 1 nodes$", done.out, re.MULTILINE), (
        done.out
    )
    return plan, done


def test_where_nothing_is_kept_there_is_nothing_to_say(tmp_path: Path, server: S3Server) -> None:
    plan, done = purged(filled(tmp_path, server, bucket_of(server, "plain")))
    for said in (plan, done):
        assert not re.search("version|lock|could not be asked", said.out + said.err), said


def test_old_versions_stay_and_what_to_do_about_it_is_said(
    request: pytest.FixtureRequest, tmp_path: Path, server: S3Server
) -> None:
    plan, done = purged(filled(tmp_path, server, bucket_of(server, "versions", versions="Enabled")))
    for said in (plan, done):
        if request.node.callspec.params["server"] == "versitygw":  # it has no lifecycle, and says so
            assert "becomes free could not be asked: lifecycle rules (this server does not tell)." in said.err
            assert "stays there, hidden and paid for, and for how long nobody can tell here." in said.out
        else:
            assert FOR_EVER in said.err
            assert '"NoncurrentVersionExpiration"' in said.err
            assert '"Prefix": "prod/"' in said.err
    with server.boto() as boto:
        held = boto.list_object_versions(Bucket="versions", Prefix="prod/n1/data/")
    assert [one.get("Key", "").rpartition("/")[2] for one in held["DeleteMarkers"]] == ["nb-19-big-Data.db"]
    assert len(held["Versions"]) == 3, "it is still there, as was said"


@pytest.mark.parametrize("server", ["minio"], indirect=True)
def test_the_rule_and_its_days_are_named(server: S3Server) -> None:
    bucket = bucket_of(server, "ruled", versions="Enabled")
    rule: dict[str, Any] = {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": ""}}
    rule["NoncurrentVersionExpiration"] = {"NoncurrentDays": 7}

    def said(**changed: object) -> str:
        with server.boto() as boto, closing(opened(server, bucket)) as store:
            rules: Any = {"Rules": [{**rule, **changed}]}
            boto.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=rules)
            (remark,) = remarks(look_at_keeping(store, None), Layout("prod"))
            assert bool(remark.hint) == ("for ever" in remark.text)
            return remark.text

    assert said().endswith("hidden and paid for, for 7 more days (lifecycle rule old).")
    assert "(lifecycle rule old)" in said(Filter={"Prefix": "pr"})
    assert FOR_EVER in said(Filter={"Prefix": "prod/n1/"}), "another node's is not removed"
    assert FOR_EVER in said(Status="Disabled")
    newer = {"NoncurrentDays": 7, "NewerNoncurrentVersions": 3}
    assert "removes some of it only" in said(NoncurrentVersionExpiration=newer)
    tagged = {"And": {"Prefix": "", "Tags": [{"Key": "a", "Value": "b"}]}}
    assert "removes some of it only" in said(Filter=tagged)


def test_what_is_locked_stays_and_until_when_is_said(tmp_path: Path, server: S3Server) -> None:
    program = filled(tmp_path, server, bucket_of(server, "locked", lock={"Mode": "COMPLIANCE", "Days": 1}))
    done = program.run("delete-backup", "--backup-name", "b1")
    assert done.code == 0, done.err
    whole = done.out + done.err
    if "New objects are locked" in whole:  # versitygw locks without telling it of the object
        assert "(COMPLIANCE 1 days): what is younger is hidden when it is deleted, and stays." in whole
    else:
        assert re.search(r"Object lock \(COMPLIANCE\): .* only hidden until 20[0-9-]+ [0-9:]+ UTC, and stays; ", whole)
    with server.boto() as boto:
        held = boto.list_object_versions(Bucket="locked", Prefix="prod/n1/b1/")
    assert held["Versions"], "as was said"
    assert {one.get("Key") for one in held["Versions"]} == {one.get("Key") for one in held["DeleteMarkers"]}


@pytest.mark.parametrize(
    ("mode", "sooner"), [("GOVERNANCE", "only who may lift the lock can sooner"), ("COMPLIANCE", "nobody can")]
)
def test_the_lock_of_the_last_object_is_what_counts(server: S3Server, mode: str, sooner: str) -> None:
    bucket, last = bucket_of(server, f"last-{mode.lower()}", lock={}), "prod/n1/b1/meta/manifest.json"
    with server.boto() as boto, closing(opened(server, bucket)) as store:
        store.create(last, b"")
        assert not [each for each in remarks(look_at_keeping(store, last), Layout("prod")) if "lock" in each.text]
        retention: Any = {"Mode": mode, "RetainUntilDate": "2031-02-03T04:05:06Z"}
        boto.put_object_retention(Bucket=bucket, Key=last, Retention=retention)
        (said,) = (each.text for each in remarks(look_at_keeping(store, last), Layout("prod")) if "lock" in each.text)
        assert f"Object lock ({mode}): what is deleted is only hidden until 2031-02-03 04:05 UTC, and stays;" in said
        assert sooner in said
        store.delete([last])
        kept = look_at_keeping(store, last)
    assert kept.last is None, "what marks a deletion has no lock"
    assert not [why for why in kept.unknown if "lock" in why]


@pytest.mark.parametrize("may", [True, False])
def test_who_may_not_ask_says_so_and_purges_all_the_same(tmp_path: Path, *, may: bool) -> None:
    (tmp_path / "gateway").mkdir()
    with versitygw(tmp_path / "gateway", versions=True) as server:
        bucket = bucket_of(server, "closed", lock={"Mode": "GOVERNANCE", "Days": 1})
        filled(tmp_path, server, bucket)
        add_user(server, "purger", "purgersecret")
        actions = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket"]
        resources = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
        rights = [{"Effect": "Allow", "Action": actions, "Resource": resources}]
        if may:  # what the document names
            asking = json.dumps([POLICIES["purge"][sid] for sid in ("SeeWhatStays", "SeeLocks")])
            rights += json.loads(asking.replace("BUCKET", bucket).replace("PREFIX", "prod"))
        statements = [{**each, "Principal": {"AWS": ["purger"]}} for each in rights]
        with server.boto() as boto:
            policy = {"Version": "2012-10-17", "Statement": statements}
            boto.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
        _, done = purged(program_of(tmp_path, replace(server, access="purger", secret="purgersecret"), bucket))
        assert ("versioning (these credentials may not)" in done.err) == (not may), done.err
        assert ("object lock (these credentials may not)" in done.err) == (not may)
        assert ("the lock of its objects (these credentials may not)" in done.err) == (not may)
        assert ("s3:GetBucketVersioning" in done.err) == (not may)
        assert ("New objects are locked (GOVERNANCE 1 days)" in done.out) == may
