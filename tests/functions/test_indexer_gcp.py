"""The indexer on Google's cloud: bucket → Pub/Sub → push → functions-framework → catalog, each of them real."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from backupstore.core.layout import Layout
from tests.functions.google import BUCKET, OBJECTS, Google, google, push
from tests.functions.world import Cluster
from tests.harness.gcp_runtime import CloudFunction
from tests.shipper.cli.program import until

TOPIC = f"projects/lab/topics/{OBJECTS}"


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Google]:
    with google(tmp_path_factory.mktemp("google")) as made:
        yield made


@pytest.fixture(scope="module")
def function(there: Google) -> CloudFunction:
    return there.run("indexer", TOPIC)


def told(key: str, kind: str = "OBJECT_FINALIZE", bucket: str = BUCKET) -> dict[str, str]:
    return {"eventType": kind, "bucketId": bucket, "objectId": key, "payloadFormat": "NONE"}


def states(cluster: Cluster) -> dict[str, str]:
    """Of what the catalog has; nothing while there is none."""
    there = {stored.key for stored in cluster.world.store.list(cluster.layout.catalog())}
    return cluster.states() if cluster.layout.head() in there else {}


def until_states(cluster: Cluster, wanted: dict[str, str], function: CloudFunction) -> None:
    until(lambda: states(cluster) == wanted, 60, lambda: f"{states(cluster)}\n{function.said()[-3000:]}")


def test_what_is_shipped_and_what_is_deleted_is_in_the_catalog(there: Google, function: CloudFunction) -> None:
    cluster = there.cluster("life")
    cluster.ship(("n1", "b1"), ("n2", "b1"), ("n1", "b2"))
    until_states(cluster, {"b1": "complete", "b2": "incomplete"}, function)
    cluster.remove("n1", "b2")
    until_states(cluster, {"b1": "complete"}, function)
    until(lambda: cluster.derived() == cluster.rebuilt(), 60)  # some events are still on their way


def test_messages_that_come_often_and_at_the_same_time_change_nothing(there: Google, function: CloudFunction) -> None:
    cluster = there.cluster("often")
    cluster.ship(("n1", "b1"), ("n2", "b1"))
    until_states(cluster, {"b1": "complete"}, function)
    until(lambda: cluster.derived() == cluster.rebuilt(), 60)
    before = cluster.derived()
    keys = [stored.key for stored in there.store.list(cluster.layout.announcements())]
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda key: push(function, attributes=told(key)), keys * 5)) == {200}
    assert cluster.derived() == before


def test_a_poisoned_message_is_given_up_and_the_others_go_on(there: Google, function: CloudFunction) -> None:
    cluster = there.cluster("poison")
    there.pubsub.publish(TOPIC, b"rubbish", {"eventType": "rubbish"})
    cluster.ship(("n1", "b1"))
    until_states(cluster, {"b1": "incomplete"}, function)
    assert there.until_dead("rubbish").attributes["CloudPubSubDeadLetterSourceDeliveryCount"] == "5"
    assert "is no event of an object" in function.said()
    assert '"severity": "ERROR"' in function.said()


def test_what_failed_comes_again_and_is_done_when_it_can_be(there: Google, function: CloudFunction) -> None:
    cluster = there.cluster("again")
    there.store.put(cluster.layout.catalog_backup("b1"), b"rubbish")
    cluster.ship(("n1", "b1"), ("n1", "b2"))
    until(lambda: "b1.json cannot be read" in function.said(), 60)
    assert "b1" not in states(cluster)
    there.store.delete([cluster.layout.catalog_backup("b1")])
    until_states(cluster, {"b1": "incomplete", "b2": "incomplete"}, function)


def test_other_buckets_and_metadata_are_none_of_its_business(there: Google, function: CloudFunction) -> None:
    layout = Layout("elsewhere")
    key = layout.announced("n1", "b1", "started")
    assert push(function, attributes=told(key, bucket="elsewhere-bucket")) == 200
    assert push(function, attributes=told(key, kind="OBJECT_METADATA_UPDATE")) == 200
    assert "events of other buckets were left out: elsewhere-bucket" in function.said()
    assert list(there.store.list(layout.catalog())) == []


def test_a_timer_finds_what_no_event_told(there: Google, function: CloudFunction) -> None:
    cluster = there.cluster("lost")
    cluster.ship(("n1", "b1"))
    until_states(cluster, {"b1": "incomplete"}, function)
    there.store.delete([cluster.layout.head(), cluster.layout.catalog_backup("b1")])
    assert push(function, b'{"timer": "reconcile", "prefix": "lost"}') == 200
    assert states(cluster) == {"b1": "incomplete"}
    assert push(function, b'{"timer": "purge"}') == 500
    assert '"metric": "reconciled-objects"' in function.said()


def test_when_its_time_is_over_the_message_is_not_acknowledged(there: Google) -> None:
    late = there.run("indexer", FUNCTION_TIMEOUT_SEC="0.000001")
    assert push(late, attributes=told(Layout("late").announced("n1", "b1", "started"))) == 500
    assert "the time that this run was given is over" in late.said()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("MEDUSA_STORAGE_PORT", "x", "[storage] port = x"),
        ("MEDUSA_STORAGE_BUCKET_NAME", "absent", "no such bucket: absent"),
        ("FUNCTION_TIMEOUT_SEC", "soon", "FUNCTION_TIMEOUT_SEC = soon"),
    ],
)
def test_settings_that_are_wrong_are_named(there: Google, name: str, value: str, said: str) -> None:
    wrong = there.run("indexer", **{name: value})
    assert push(wrong, attributes=told("index/announced/p/n1/b1/started", bucket="")) == 500
    assert said in wrong.said()
