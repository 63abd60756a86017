"""Verify on Google's cloud: a timer's message begins what is due, work is published and pushed, findings come of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import quote

import pytest

from backupstore.core.work import PurgeWork, encode_work
from tests.functions.google import Google, google, push
from tests.functions.verifying import RemoteRing
from tests.harness.faulty_proxy import Fault, faulty_proxy
from tests.harness.gcp_runtime import CloudFunction
from tests.harness.gcs_server import refusal
from tests.operations.ring import NODES
from tests.operations.team import plain
from tests.shipper.cli.program import until

TIMER = b'{"timer": "verify"}'
LEVELS = ("listing", "content")


@dataclass(frozen=True)
class Site:
    """A cluster with a complete backup, its topics, and its function."""

    there: Google
    ring: RemoteRing
    timer: str
    work: str
    function: CloudFunction

    def until_verified(self, *, ok: bool) -> None:
        wanted = dict.fromkeys(LEVELS, ok)
        until(lambda: self.ring.levels() == wanted, 90, lambda: self.function.said()[-3000:])

    def is_as_one_process_finds(self) -> bool:
        """Whether all levels came to what one process finds; the time apart."""
        pairs = [(self.ring.found(level), self.ring.alone(level)) for level in ("listing", "content")]
        return all(found and plain(found) | {"at": 0.0} == plain(alone) for found, alone in pairs)


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Google]:
    with google(tmp_path_factory.mktemp("google")) as made:
        yield made


def site(there: Google, prefix: str) -> Site:
    ring = RemoteRing(there.store, prefix)
    ring.back_up("b")
    ring.index()
    timer, work = there.pubsub.topic(f"{prefix}-timer"), there.pubsub.topic(f"{prefix}-work")
    there.pubsub.pulled_by(f"{prefix}-seen", work)
    settings = {"MEDUSA_STORAGE_PREFIX": prefix, "MEDUSA_SHIPPER_VERIFY_DATA_SHARE": "100%", "WORK_QUEUE": work}
    return Site(there, ring, timer, work, there.run("verify", timer, work, **settings))


def test_a_timer_leads_to_a_message_for_each_node_and_more_of_them_change_nothing(there: Google) -> None:
    plain_site = site(there, "plain")
    there.pubsub.publish(plain_site.timer, TIMER)
    plain_site.until_verified(ok=True)
    assert plain_site.is_as_one_process_finds()
    messages = [message.data for message in there.pubsub.pull("plain-seen")]
    assert sorted(json.loads(message)["node"] for message in messages) == sorted([*NODES, *NODES]), "on two levels"
    before = [plain_site.ring.found("listing"), plain_site.ring.found("content")]
    with ThreadPoolExecutor(3) as pool:
        assert set(pool.map(lambda data: push(plain_site.function, data), [*messages * 2, TIMER])) == {200}
    assert [plain_site.ring.found("listing"), plain_site.ring.found("content")] == before
    assert plain_site.ring.left() == []


def test_what_is_damaged_is_found_and_a_poisoned_message_keeps_nobody_from_it(there: Google) -> None:
    damaged = site(there, "damaged")
    there.store.delete([damaged.ring.key("n1", "nb-1-big-Data.db")])
    there.store.put(damaged.ring.key("n2", "nb-2-big-Index.db"), b"something else")
    rubbish = encode_work(PurgeWork(prefix="damaged", run="r", node="n1"))
    there.pubsub.publish(damaged.work, rubbish.encode())
    there.pubsub.publish(damaged.timer, TIMER)
    damaged.until_verified(ok=False)
    assert damaged.is_as_one_process_finds()
    assert there.until_dead(rubbish).attributes["CloudPubSubDeadLetterSourceDeliveryCount"] == "5"
    assert "This is no work of this function" in damaged.function.said()


def test_a_store_that_does_not_answer_is_a_finding_when_the_message_came_often_enough(there: Google) -> None:
    """Pub/Sub says how often it came, where there are dead letters; neither its emulator nor the framework's event do."""
    mute = RemoteRing(there.store, "mute")
    mute.back_up("b")
    mute.index()
    key = quote(mute.key("n1", "nb-1-big-Data.db"), safe="")
    work = there.pubsub.topic("mute-work")
    there.pubsub.pulled_by("mute-seen", work)
    with faulty_proxy("127.0.0.1", there.server.port) as proxy:
        proxy.faults.append(Fault("GET", key, times=10_000, answer=refusal(503, "backendError")))
        settings = {"MEDUSA_STORAGE_PREFIX": "mute", "MEDUSA_SHIPPER_VERIFY_DATA_SHARE": "100%", "WORK_QUEUE": work}
        settings |= {"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{proxy.port}"}
        function = there.run("verify", **settings)
        assert push(function, TIMER) == 200
        messages = [message.data for message in there.pubsub.pull("mute-seen")]
        again = [message for message in messages if push(function, message, attempt=1) == 500]
        assert [json.loads(message)["node"] for message in again] == ["n1"]
        assert "content" not in mute.levels()
        assert push(function, again[0], attempt=3) == 200
    found = mute.found("content")
    assert found
    assert {finding.kind for finding in found.findings} == {"unchecked"}
    assert "the store answered 503" in function.said()


def test_a_timer_for_another_cluster_fails(there: Google) -> None:
    one = there.run("verify", MEDUSA_STORAGE_PREFIX="plain", WORK_QUEUE="t")
    assert push(one, b'{"timer": "verify", "prefix": "elsewhere"}') == 500
    assert "which this function does not serve" in one.said()


def test_when_its_time_is_over_nothing_is_acknowledged(there: Google) -> None:
    late = there.run("verify", MEDUSA_STORAGE_PREFIX="plain", WORK_QUEUE="t", FUNCTION_TIMEOUT_SEC="0.000001")
    assert push(late, TIMER) == 500
    assert "the time that this run was given is over" in late.said()
