"""What a bucket's own rules would do to backups, as real servers tell it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.s3_servers import S3Server
from tests.shipper.doctor.asked import Answers, ask, s3_program


@pytest.mark.parametrize("kind", ["server", "minio"])
def test_what_killed_uploads_left(request: pytest.FixtureRequest, kind: str, tmp_path: Path) -> None:
    server: S3Server = request.getfixturevalue(kind)
    bucket = server.bucket("uploads")
    with server.boto() as boto:
        boto.create_multipart_upload(Bucket=bucket, Key="prod/n1/data/ks/t/nb-1-big-Data.db")
        boto.create_multipart_upload(Bucket=bucket, Key="prod/n10/data/ks/t/nb-1-big-Data.db")
    found = [seen for _, seen in ask(s3_program(tmp_path, server, bucket=bucket), "store").of("store/rules")]
    assert "1 unfinished uploads of this node, the oldest of 0.0 days ago" in found


def of_rules(found: Answers, status: str) -> str:
    return "\n".join(seen for each, seen in found.of("store/rules") if each == status)


def test_the_rules_of_a_bucket_on_minio(minio: S3Server, tmp_path: Path) -> None:
    program = s3_program(tmp_path, minio, bucket=minio.bucket("rules"))
    found = ask(program, "store")
    assert not found.said("fail")
    assert found.status("store/rules") == found.status("store/create-in-parts") == {"ok"}
    expiry = {"ID": "tidy", "Status": "Enabled", "Filter": {"Prefix": "prod/"}, "Expiration": {"Days": 30}}
    aborts = {
        "ID": "uploads",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        "Expiration": {"ExpiredObjectDeleteMarker": True},
    }
    with minio.boto() as boto:
        boto.put_bucket_lifecycle_configuration(Bucket="rules", LifecycleConfiguration={"Rules": [expiry]})  # type: ignore[list-item]
        found = ask(program, "store")
        assert "the lifecycle rule tidy for 'prod/*' deletes objects by their age" in of_rules(found, "fail")
        boto.put_bucket_lifecycle_configuration(
            Bucket="rules",
            LifecycleConfiguration={"Rules": [{**expiry, "Status": "Disabled"}, aborts]},  # type: ignore[list-item]
        )
        boto.put_bucket_versioning(Bucket="rules", VersioningConfiguration={"Status": "Enabled"})
        found = ask(program, "store")
        assert not of_rules(found, "fail")
        assert "old versions are kept" in of_rules(found, "ok")
        boto.put_bucket_versioning(Bucket="rules", VersioningConfiguration={"Status": "Suspended"})
        assert "versioning is suspended" in of_rules(ask(program, "store"), "warn")


def test_a_bucket_that_locks_its_objects(minio: S3Server, tmp_path: Path) -> None:
    with minio.boto() as boto:
        boto.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
        boto.put_object_lock_configuration(
            Bucket="locked",
            ObjectLockConfiguration={
                "ObjectLockEnabled": "Enabled",
                "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}},
            },
        )
    found = ask(s3_program(tmp_path, minio, bucket="locked"), "store")
    assert "new objects are locked by default (GOVERNANCE 1 days)" in of_rules(found, "ok")
    assert not found.said("fail")
