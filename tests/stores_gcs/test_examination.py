"""What ``doctor`` and purge ask of a bucket at Google, as Google answers it."""

from __future__ import annotations

import json

import pytest

from backupstore.errors import Corrupt
from backupstore.stores.examination import Retention, Rule, Unfinished
from backupstore.stores.gcs.store import GcsStore
from tests.harness.faulty_proxy import Fault, FaultyProxy

BUCKET = "examined"


def answers(proxy: FaultyProxy, document: object, times: int = 99) -> None:
    body = json.dumps(document).encode()
    proxy.faults.clear()
    head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    proxy.faults.append(Fault("GET", times=times, answer=head + body))


def test_a_bucket_that_is_set_up_as_it_comes(store: GcsStore) -> None:
    asked = store.examination()
    assert (asked.lifecycle(), asked.versioning(), asked.lock_days()) == ((), "", "")
    assert asked.unfinished("") == Unfinished(0, 0.0)
    assert abs(asked.skew("")) < 60


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"action": {"type": "Delete"}, "condition": {"age": 30}}, Rule("Delete", "", expires=True)),
        (
            {"action": {"type": "Delete"}, "condition": {"age": 30, "matchesPrefix": ["a/"], "matchesSuffix": [".x"]}},
            Rule("Delete", "a/", expires=True, some=True),
        ),
        (
            {"action": {"type": "Delete"}, "condition": {"daysSinceNoncurrentTime": 7}},
            Rule("Delete", "", old_versions=True, old_days=7),
        ),
        (
            {"action": {"type": "Delete"}, "condition": {"isLive": False, "age": 9}},
            Rule("Delete", "", old_versions=True, old_days=9),
        ),
        (
            {"action": {"type": "Delete"}, "condition": {"numNewerVersions": 3}},
            Rule("Delete", "", old_versions=True, some=True),
        ),
        (
            {"action": {"type": "SetStorageClass", "storageClass": "ARCHIVE"}, "condition": {"age": 9}},
            Rule("SetStorageClass", "", moves_to="ARCHIVE"),
        ),
        (
            {"action": {"type": "AbortIncompleteMultipartUpload"}, "condition": {"age": 7}},
            Rule("AbortIncompleteMultipartUpload", "", aborts=True),
        ),
    ],
)
def test_rules_of_its_lifecycle(store: GcsStore, proxy: FaultyProxy, rule: object, told: Rule) -> None:
    answers(proxy, {"lifecycle": {"rule": [rule]}})
    assert store.examination().lifecycle() == (told,)


def test_soft_delete_keeps_what_was_deleted_for_its_days(store: GcsStore, proxy: FaultyProxy) -> None:
    answers(proxy, {"softDeletePolicy": {"retentionDurationSeconds": "604800"}})
    assert store.examination().versioning() == "Enabled"
    assert store.examination().lifecycle() == (Rule("soft delete", "", old_versions=True, old_days=7),)


def test_versions_stay_until_a_rule_drops_them(store: GcsStore, proxy: FaultyProxy) -> None:
    soft = {"retentionDurationSeconds": "604800"}
    answers(proxy, {"versioning": {"enabled": True}, "softDeletePolicy": soft})
    assert store.examination().versioning() == "Enabled"
    assert store.examination().lifecycle() == ()


def test_a_policy_of_retention_holds_for_all_objects(store: GcsStore, proxy: FaultyProxy) -> None:
    answers(proxy, {"retentionPolicy": {"retentionPeriod": "2592000", "isLocked": True}})
    assert store.examination().lock_days() == "retention policy of 30 days"


@pytest.mark.parametrize(
    ("described", "lock"),
    [
        ({}, None),
        ({"retentionExpirationTime": "1970-01-02T00:00:00Z"}, Retention("COMPLIANCE", 86400.0)),
        (
            {"retention": {"mode": "Unlocked", "retainUntilTime": "1970-01-03T00:00:00.5Z"}},
            Retention("GOVERNANCE", 172800.5),
        ),
        (
            {
                "retention": {"mode": "Locked", "retainUntilTime": "1970-01-02T00:00:00Z"},
                "retentionExpirationTime": "1970-01-03T00:00:00Z",
            },
            Retention("COMPLIANCE", 172800.0),
        ),
    ],
)
def test_the_lock_of_one_object(store: GcsStore, proxy: FaultyProxy, described: object, lock: Retention | None) -> None:
    answers(proxy, described)
    assert store.examination().retained("a/key") == lock


def test_an_object_that_is_not_there_has_no_lock(store: GcsStore) -> None:
    assert store.examination().retained("not/there") is None


def test_a_large_object_is_created_only_where_there_is_none(store: GcsStore, key: str) -> None:
    store.create(key, b"")
    assert store.examination().creates_in_parts(key)
    assert store.read(key).body == b""


@pytest.mark.parametrize("document", [[], 5, None])
def test_answers_that_make_no_sense_are_no_rules(store: GcsStore, proxy: FaultyProxy, document: object) -> None:
    answers(proxy, document)
    with pytest.raises(Corrupt):
        store.examination().lifecycle()
    for odd in (document, {"rule": document}):
        answers(proxy, {"lifecycle": odd})
        assert store.examination().lifecycle() == ()
    answers(proxy, {"lifecycle": {"rule": [{"action": document, "condition": document}]}})
    assert store.examination().lifecycle() == (Rule("", ""),)
