"""What S3 and those who speak like it send: each form leads to the same place, and nothing that comes does any harm."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backupstore.core.events import Subject, subjects
from backupstore.core.notifications import (
    Notified,
    read_google_notification,
    read_notification,
    read_notification_text,
)

KEY = "p/n1/b/meta/manifest.json"
N1 = Subject("p", "n1", "b")


def record(
    key: str = KEY, name: str = "ObjectCreated:Put", bucket: str = "backups", **of_object: object
) -> dict[str, Any]:
    """As Amazon sends it."""
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventTime": "2026-11-23T02:00:00.000Z",
        "eventName": name,
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "c",
            "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
            "object": {"key": key, "size": 1, "eTag": "0123", "sequencer": "0A", **of_object},
        },
    }


def bridged(key: str = KEY, kind: str = "Object Created", bucket: str = "backups") -> dict[str, Any]:
    """As EventBridge sends it."""
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": kind,
        "source": "aws.s3",
        "account": "111122223333",
        "detail": {
            "version": "0",
            "bucket": {"name": bucket},
            "object": {"key": key, "size": 5, "etag": "b1946ac9", "sequencer": "00617F08299329D189"},
            "reason": "PutObject",
        },
    }


def notified(*records: object) -> dict[str, Any]:
    return {"Records": list(records)}


def published(message: object) -> dict[str, Any]:
    """Through SNS, as it arrives in a queue or at a URL."""
    return {"Type": "Notification", "TopicArn": "arn:aws:sns:::t", "Message": json.dumps(message)}


def queued(*messages: object) -> dict[str, Any]:
    """Through SQS."""
    return notified(*({"messageId": "m", "eventSource": "aws:sqs", "body": json.dumps(one)} for one in messages))


CEPH = {
    "Records": [
        {
            "eventVersion": "2.2",
            "eventSource": "ceph:s3",
            "eventName": "ObjectCreated:Put",
            "s3": {
                "bucket": {"name": "backups", "id": "x"},
                "object": {"key": KEY, "eTag": '"37b51d194a7513e45b56f6524f2d51f2"', "versionId": "", "metadata": []},
            },
            "eventId": "1603272174.5.2_zone",
        }
    ]
}
VERSITYGW = notified(record(eTag='"37b5"', versionId=None, sequencer="18446744073709551615"))
MINIO = {"EventName": "s3:ObjectCreated:Put", "Key": f"backups/{KEY}", **notified(record("p%2Fn1%2Fb%2Fmeta%2Fx"))}

SAID = {
    "s3": notified(record()),
    "s3, a removal": notified(record(name="ObjectRemoved:Delete")),
    "a record alone": record(),
    "a list": [record(), bridged()],
    "minio": MINIO,
    "minio, records that tell nothing": {"EventName": "s3:ObjectCreated:Put", "Key": f"backups/{KEY}", "Records": []},
    "minio without records": {"EventName": "s3:ObjectRemoved:Delete", "Key": f"backups/{KEY}"},
    "ceph": CEPH,
    "ceph, another zone's": notified(record(name="ObjectSynced:Create")),
    "versitygw": VERSITYGW,
    "eventbridge": bridged(),
    "eventbridge, a removal": bridged(kind="Object Deleted"),
    "sns": published(notified(record())),
    "sns to lambda": notified({"EventSource": "aws:sns", "Sns": {"Message": json.dumps(notified(record()))}}),
    "s3 by sqs": queued(notified(record())),
    "eventbridge by sqs": queued(bridged()),
    "sns by sqs": queued(published(notified(record()))),
    "eventbridge by sns by sqs": queued(published(bridged())),
    "without a name": notified({"s3": {"object": {"key": KEY}}}),
    "beside what makes no sense": notified(7, record(), None, {"s3": 1}),
}


@pytest.mark.parametrize("message", SAID.values(), ids=SAID)
def test_each_form_says_where_to_look(message: object) -> None:
    found = read_notification(message, "backups")
    assert subjects(found.events) == {N1}
    assert not found.elsewhere
    assert read_notification_text(json.dumps(message), "backups") == found


@pytest.mark.parametrize("message", [one for name, one in SAID.items() if "sense" not in name])
def test_all_of_it_is_understood(message: object) -> None:
    assert not read_notification(message).unreadable


@pytest.mark.parametrize(
    ("written", "subject"),
    [
        ("p/n1/b%3A1/meta/manifest.json", Subject("p", "n1", "b:1")),
        ("p/n1/a+b/meta/manifest.json", Subject("p", "n1", "a b")),
        ("p/n1/a+b/meta/manifest.json", Subject("p", "n1", "a+b")),
        ("p/n1/a%2Bb/meta/manifest.json", Subject("p", "n1", "a+b")),
        ("p/n1/50%25/meta/manifest.json", Subject("p", "n1", "50%")),
        ("p/n1/50%/meta/manifest.json", Subject("p", "n1", "50%")),
        ("p/n1/b%3A1/meta/manifest.json", Subject("p", "n1", "b%3A1")),
        ("p/n1/a+b%3A1/meta/manifest.json", Subject("p", "n1", "a+b:1")),
        ("p/n1/gr%C3%B6%C3%9Fe/meta/manifest.json", Subject("p", "n1", "größe")),
        ("index%2Fannounced%2F-%2Fn1%2Fb%2Fstarted", Subject("", "n1", "b")),
    ],
)
def test_a_key_is_read_in_every_way_it_may_be_meant(written: str, subject: Subject) -> None:
    assert subject in subjects(read_notification(notified(record(written))).events)


def test_eventbridge_writes_keys_as_they_are() -> None:
    key = "p/n1/a+b%3A/meta/manifest.json"
    assert subjects(read_notification(bridged(key)).events) == {Subject("p", "n1", "a+b%3A")}


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (record(), "created"),
        (record(name="s3:ObjectRemoved:DeleteMarkerCreated"), "removed"),
        (record(name="s3:LifecycleExpiration:Delete"), "removed"),
        (record(name="s3:ObjectLifecycle:Expiration:Current"), "removed"),
        (bridged(kind="Object Deleted"), "removed"),
        (bridged(kind="Object Storage Class Changed"), "created"),
        (notified({"eventName": 5, "s3": {"object": {"key": KEY}}}), "created"),
    ],
)
def test_what_happened(message: object, kind: str) -> None:
    assert {event.kind for event in read_notification(message).events} == {kind}


@pytest.mark.parametrize(
    "message",
    [
        record(name="s3:ObjectAccessed:Get"),
        {"EventName": "s3:ObjectAccessed:Head", "Key": f"b/{KEY}", **notified(record(name="s3:ObjectAccessed:Head"))},
    ],
)
def test_reading_is_no_event_for_it_would_never_end(message: object) -> None:
    assert read_notification(message) == Notified()


@pytest.mark.parametrize(
    "message",
    [
        {"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2026-11-23T02:00:00Z", "Bucket": "backups"},
        {"Service": "S3", "Event": "s3:TestEvent", "Time": "2026-11-23T02:00:00Z", "Bucket": "Test-Bucket"},
        published({"Service": "Amazon S3", "Event": "s3:TestEvent"}),
        {"Records": []},
        [],
    ],
)
def test_a_test_says_nothing_and_is_fine(message: object) -> None:
    assert read_notification(message, "backups") == Notified()


def test_other_buckets_are_told_and_left_out() -> None:
    found = read_notification([record(), record(bucket="b1"), bridged(bucket="b2"), MINIO], "backups")
    assert found.elsewhere == {"b1", "b2"}
    assert subjects(found.events) == {N1}
    assert subjects(read_notification(record(bucket="b1")).events) == {N1}, "without a name of ours, all count"


@pytest.mark.parametrize(("told", "ours"), [("backups", "tenant:backups"), ("tenant:backups", "backups")])
def test_a_tenant_of_ceph_is_part_of_the_name_or_not(told: str, ours: str) -> None:
    assert subjects(read_notification(record(bucket=told), ours).events) == {N1}


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (None, "is no event of an object: 'None'"),
        ("text", "is no event of an object"),
        ({}, "is no event of an object: '{}'"),
        ({"Records": {}}, "is no event of an object"),
        (notified({"eventSource": "aws:sqs", "body": "{"}), "is no JSON: '{'"),
        (notified({"eventSource": "aws:sqs", "body": 5}), "is no text: '5'"),
        (notified({"s3": {"object": {}}}), "names no key"),
        (notified({"s3": {"object": {"key": ""}}}), "names no key"),
        (notified({"s3": {"object": {"key": 5}}}), "names no key"),
        ({"EventName": "x", "Key": "bucket"}, "names no key"),
        ({"detail-type": "Object Created", "detail": []}, "names no key"),
        ([[[[[[[record()]]]]]]], "holds messages in messages in messages"),
    ],
)
def test_what_makes_no_sense_is_told(message: object, why: str) -> None:
    (line,) = read_notification(message).unreadable
    assert line.startswith(why)


@pytest.mark.parametrize("text", [b"\xff\xfe", "[" * 100_000, "", "nul", b'{"a": 1', "1" * 10_000, None, 5])
def test_text_that_is_no_json_is_told_in_short(text: object) -> None:
    (line,) = read_notification_text(text).unreadable
    assert len(line) < 200


def test_what_is_told_fits_in_a_line() -> None:
    (line,) = read_notification({"a\nb\x1b[2J": "c" * 10_000}).unreadable
    assert line.isprintable()
    assert len(line) < 200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["Records", "s3", "object", "key", "bucket", "name", "body", "Sns", "Message", "Type", "detail"]
            )
            | st.sampled_from(["detail-type", "EventName", "Key", "eventSource", "eventName", "Event"])
            | st.text(max_size=3),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(JSON, st.text(max_size=3))
def test_anything_may_come(message: object, bucket: str) -> None:
    found = read_notification(message, bucket)
    assert all(line.isprintable() for line in found.unreadable)
    for subject in subjects(found.events):
        assert all(len(name.encode()) <= 255 for name in subject), "what no store takes is no place to look"


@given(st.text(min_size=1, max_size=40))
def test_a_key_is_found_whether_it_was_encoded_or_not(key: str) -> None:
    clean = key.encode(errors="replace").decode()
    for written in (clean, quote(clean), quote_plus(clean), quote(clean, safe="")):
        assert clean in {event.key for event in read_notification(record(written)).events}


def of_google(kind: str = "OBJECT_FINALIZE", key: str = KEY, bucket: str = "backups") -> dict[str, str]:
    """The attributes of a message as Google's storage publishes it."""
    return {
        "notificationConfig": "projects/_/buckets/backups/notificationConfigs/1",
        "eventType": kind,
        "payloadFormat": "NONE",
        "bucketId": bucket,
        "objectId": key,
        "objectGeneration": "1700000000000000",
    }


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("OBJECT_FINALIZE", ["created"]),
        ("OBJECT_DELETE", ["removed"]),
        ("OBJECT_ARCHIVE", ["removed"]),
        ("OBJECT_METADATA_UPDATE", []),
    ],
)
def test_what_google_says_happened(kind: str, said: list[str]) -> None:
    notified = read_google_notification(of_google(kind), "backups")
    assert [event.kind for event in notified.events] == said
    assert [event.key for event in notified.events] == [KEY] * len(said)
    assert notified.unreadable == ()


def test_google_writes_keys_as_they_are() -> None:
    key = "p/n1/b+1 %2F/meta/manifest.json"
    assert [event.key for event in read_google_notification(of_google(key=key)).events] == [key]


def test_another_bucket_of_googles_is_told_and_left_out() -> None:
    assert read_google_notification(of_google(), "other") == Notified(elsewhere=frozenset({"backups"}))


@pytest.mark.parametrize("attributes", [{}, {"eventType": "OBJECT_FINALIZE"}, {"objectId": "a"}, of_google("TRANSFER")])
def test_a_message_that_is_not_of_googles_storage_is_told(attributes: dict[str, str]) -> None:
    (line,) = read_google_notification(attributes).unreadable
    assert "is no event of an object" in line
