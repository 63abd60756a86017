"""Purge on Google's cloud: a timer's message plans, work is published and pushed, and each message does its node."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from random import Random
from typing import cast

import pytest

from backupstore.core.layout import Layout
from backupstore.core.work import PurgeWork, encode_work
from tests.functions.google import Google, google, push
from tests.functions.purging import NODES, Cluster, World
from tests.harness.gcp_runtime import CloudFunction
from tests.shipper.cli.program import until

TIMER = b'{"timer": "purge"}'
ALL, STAY = ["b1", "b2", "b3", "b4", "b5", "b6"], ["b4", "b5", "b6"]


@dataclass(frozen=True)
class Site:
    """A cluster with six backups of which three may go, its topics, and its function."""

    there: Google
    cluster: Cluster
    timer: str
    work: str
    function: CloudFunction

    @property
    def is_over(self) -> bool:
        records = self.cluster.records()
        return bool(records) and all(record.is_done for record in records)

    def until_over(self) -> None:
        until(lambda: self.is_over, 60, lambda: self.function.said()[-3000:])

    def sent(self) -> list[bytes]:
        """The work that was published by now."""
        return [message.data for message in self.there.pubsub.pull(seen(self.work))]


def seen(topic: str) -> str:
    return f"{topic.rpartition('/')[2]}-seen"


def site(there: Google, prefix: str, **more: str) -> Site:
    cluster = Cluster(cast("World", there), Layout(prefix))  # it is asked for the store alone
    cluster.fill()
    timer, work = there.pubsub.topic(f"{prefix}-timer"), there.pubsub.topic(f"{prefix}-work")
    there.pubsub.pulled_by(seen(work), work)
    settings = {"MEDUSA_STORAGE_PREFIX": prefix, "MEDUSA_STORAGE_MAX_BACKUP_COUNT": "3", "WORK_QUEUE": work, **more}
    return Site(there, cluster, timer, work, there.run("purge", timer, work, **settings))


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Google]:
    with google(tmp_path_factory.mktemp("google")) as made:
        yield made


def test_a_timer_leads_to_a_message_for_each_node_and_more_of_them_change_nothing(there: Google) -> None:
    plain = site(there, "plain")
    there.pubsub.publish(plain.timer, TIMER)
    plain.until_over()
    assert [plain.cluster.backups(node) for node in NODES] == [STAY] * 3
    # Who was not the last to answer may still be at the catalog.
    until(lambda: plain.cluster.states() == [f"{name} complete" for name in STAY], 60, plain.function.said)
    messages = plain.sent()
    assert sorted(json.loads(message)["node"] for message in messages) == list(NODES)
    assert '"metric": "purged-objects"' in plain.function.said()
    before = plain.cluster.contents()
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda data: push(plain.function, data), messages * 4)) == {200}
    assert plain.cluster.contents() == before


def test_in_any_order_twice_and_at_the_same_time(there: Google) -> None:
    disorder = site(there, "disorder")
    random = Random(1)
    for _ in range(2):
        assert push(disorder.function, TIMER) == 200, "a timer may come twice as well"
    some = disorder.sent() * 2  # beside those that are pushed
    random.shuffle(some)
    with ThreadPoolExecutor(3) as pool:
        assert set(pool.map(lambda data: push(disorder.function, data), some)) <= {200, 500}
    disorder.until_over()
    assert [disorder.cluster.backups(node) for node in NODES] == [STAY] * 3


def test_a_poisoned_message_is_given_up_and_the_others_go_on(there: Google) -> None:
    poisoned = site(there, "poisoned")
    rubbish = encode_work(PurgeWork(prefix="elsewhere", run="r", node="n1"))
    there.pubsub.publish(poisoned.work, rubbish.encode())
    there.pubsub.publish(poisoned.timer, TIMER)
    poisoned.until_over()
    assert [poisoned.cluster.backups(node) for node in NODES] == [STAY] * 3
    assert there.until_dead(rubbish).attributes["CloudPubSubDeadLetterSourceDeliveryCount"] == "5"
    assert "This is no work of this function" in poisoned.function.said()


def test_what_is_out_of_time_is_not_acknowledged_and_gone_on_with(there: Google) -> None:
    late = site(there, "late")
    hasty = there.run("purge", MEDUSA_STORAGE_PREFIX="late", WORK_QUEUE=late.work, FUNCTION_TIMEOUT_SEC="0.000001")
    assert push(hasty, TIMER) == 500
    assert late.cluster.records() == []
    assert push(late.function, TIMER) == 200
    for message in late.sent():
        assert push(hasty, message) in {200, 500}, "unless the others were faster"
    late.until_over()
    assert "the time that this run was given is over" in hasty.said()
    assert [late.cluster.backups(node) for node in NODES] == [STAY] * 3


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "This is no work item"),
        (b'{"timer": "verify"}', "This is no work item"),
        (b'{"timer": "purge", "prefix": "elsewhere"}', "which this function does not serve"),
        (TIMER, "WORK_QUEUE is not set"),
    ],
)
def test_what_is_neither_timer_nor_work_or_has_nowhere_to_go_fails(odd: CloudFunction, data: bytes, said: str) -> None:
    assert push(odd, data) == 500
    assert said in odd.said()


@pytest.fixture(scope="module")
def odd(there: Google) -> CloudFunction:
    Cluster(cast("World", there), Layout("odd")).fill()
    return there.run("purge", MEDUSA_STORAGE_PREFIX="odd", MEDUSA_STORAGE_MAX_BACKUP_COUNT="3")
