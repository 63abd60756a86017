"""Verify on AWS: its real runtime client, a real gateway, and a queue that delivers twice, late and in any order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest

from backupstore.core import layout as grammar
from backupstore.core.documents import Level
from backupstore.core.work import PurgeWork, VerifyWork, encode_work
from tests.functions.verifying import HANDLER, TIMER, LargeRing, RemoteRing, Site, World, world
from tests.functions.world import BUCKET
from tests.harness.lambda_runtime import deployed
from tests.harness.s3_servers import add_user
from tests.operations.ring import NODES
from tests.operations.team import plain

ROOT = Path(__file__).resolve().parents[2]
SCHEDULED = {"detail-type": "Scheduled Event", "source": "aws.events", "resources": [], "detail": {}}
LEVELS: tuple[Level, ...] = ("listing", "content")


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("world")) as made:
        yield made


def same(site: Site) -> bool:
    """Whether all levels came to what one process finds; the time apart."""
    pairs = [(site.ring.found(level), site.ring.alone(level)) for level in LEVELS]
    told = [(plain(found) | {"at": 0.0}, plain(alone)) for found, alone in pairs]
    assert [found for found, _ in told] == [alone for _, alone in told]
    return all(alone.ok for _, alone in pairs)


def spoil(ring: RemoteRing) -> None:
    """An object is gone, another one is changed, and a node has no backup."""
    ring.store.delete([ring.key("n1", "nb-1-big-Data.db")])
    ring.store.put(ring.key("n2", "nb-2-big-Index.db"), b"something else")
    ring.store.delete([ring.layout.meta("n3", "b", grammar.MANIFEST)])


@pytest.mark.parametrize("event", [TIMER, SCHEDULED, {"timer": "verify", "prefix": "plain2"}], ids=["0", "1", "2"])
def test_a_timer_leads_to_a_message_for_each_node_and_each_does_its_node(
    there: World, event: dict[str, object], request: pytest.FixtureRequest
) -> None:
    with there.site(f"plain{request.node.callspec.id}") as site:
        messages = site.begin(event)
        nodes = sorted(json.loads(message["Body"])["node"] for message in messages)
        assert nodes == sorted([*NODES, *NODES]), "on two levels"
        assert site.begin() == [], "it is under way"
        for message in messages:
            assert site.work([message]) == []
        assert site.ring.levels() == {"listing": True, "content": True}
        assert same(site)
        assert site.ring.left() == []
        assert site.begin() == [], "nothing is due"
        assert "verified b on level content" in site.function.said()


@pytest.mark.parametrize("seed", range(2))
def test_messages_in_any_order_twice_and_at_the_same_time(there: World, seed: int) -> None:
    random = Random(seed)
    with there.site(f"disorder{seed}", processes=2) as site:
        messages = site.begin()
        spoil(site.ring)
        messages += random.sample(messages, 3)
        random.shuffle(messages)
        with ThreadPoolExecutor(2) as pool:
            failed = list(pool.map(lambda message: site.work([message]), messages))
        assert failed == [[]] * len(messages)
        assert not same(site)
        assert site.ring.levels() == {"listing": False, "content": False}
        assert "b is not good on level content: " in site.function.said()
        for message in messages:
            assert site.work([message]) == [], "late"
        assert not same(site)


@pytest.mark.parametrize(
    "body",
    [
        "{",
        encode_work(PurgeWork(prefix="odd", run="r", node="n1")),
        encode_work(VerifyWork(prefix="elsewhere", round="r", node="n1", backups=("b",))),
    ],
    ids=["none", "purge", "elsewhere"],
)
def test_what_is_no_work_of_it_fails_and_the_rest_is_done(
    there: World, body: str, request: pytest.FixtureRequest
) -> None:
    with there.site(f"odd-{request.node.callspec.id}") as site:
        site.queue.client.send_message(QueueUrl=site.queue.url, MessageBody=body)
        (odd,) = site.queue.receive_all()
        messages = site.begin()
        assert site.work([messages[0], odd, *messages[1:]]) == [odd["MessageId"]]
        assert same(site)


def test_what_there_is_no_time_for_comes_again(there: World) -> None:
    with there.site("late") as site:
        messages = site.begin()
        ids = [message["MessageId"] for message in messages]
        assert sorted(site.work(messages, limit=0)) == sorted(ids)
        assert "the time that this run was given is over" in site.function.said()
        again = site.queue.receive_all()
        assert sorted(message["MessageId"] for message in again) == sorted(ids)
        assert site.work(again) == []
        assert same(site)


def test_a_node_that_does_not_fit_is_read_in_pieces(there: World) -> None:
    """The line is so slow that reading a node takes longer than a worker has; a quarter of it does not."""
    slow = {"MEDUSA_STORAGE_TRANSFER_MAX_BANDWIDTH": "100KB/s"}
    with there.site("pieces", slow, processes=2, ring=LargeRing(there.store, "pieces")) as site:
        messages = [message for message in site.begin() if json.loads(message["Body"])["node"] == "n1"]
        pieces, sent = list[str](), 0
        while messages:
            pieces += [json.loads(message["Body"])["piece"] for message in messages]
            with ThreadPoolExecutor(2) as pool:
                for _ in pool.map(lambda message: site.work([message], limit=10.0), messages):
                    sent += 1
            messages = site.queue.receive_all()
            assert sent < 60
        assert {"1/1", "1/4", "2/4", "3/4", "4/4"} <= set(pieces)
        looked = {key.rpartition("/")[2] for key in site.ring.left() if "/n1/" in key}
        assert "4-4.json" in looked or any(file.endswith("-16.json") for file in looked)
        assert "not all of n1 could be done: it goes on in 4 messages" in site.function.said()


def test_without_a_catalog_or_an_interval_there_is_nothing_to_do(there: World) -> None:
    queue = there.queues.queue("nothing")
    with deployed(there.place, HANDLER, there.settings(queue, "nothing")) as function:
        assert function.invoke(TIMER).document == {"sent": 0}
    with there.site("never", {"MEDUSA_SHIPPER_VERIFY_INTERVAL": "0"}) as site:
        assert site.begin() == []
        assert "nothing is verified" in site.function.said()


@pytest.mark.parametrize("event", [{}, {"timer": "purge"}, [], {"timer": "verify", "prefix": "elsewhere"}])
def test_what_makes_no_sense_fails(there: World, event: object) -> None:
    queue = there.queues.queue("senseless")
    with deployed(there.place, HANDLER, there.settings(queue, "senseless")) as function:
        answer = function.invoke(event)
    assert not answer.ok
    assert answer.document["errorType"] == "Corrupt"


def test_without_a_queue_nothing_is_left_as_if_it_were_under_way(there: World) -> None:
    with there.site("queueless", {"WORK_QUEUE": ""}) as site:
        answer = site.function.invoke(TIMER)
        assert answer.document["errorType"] == "Misconfigured"
        assert site.ring.left() == []


def test_all_clusters_of_a_bucket(there: World) -> None:
    rings = [RemoteRing(there.store, f"many{number}") for number in range(2)]
    for ring in rings:
        ring.back_up("b")
        ring.index()
    queue = there.queues.queue("many")
    settings = there.settings(queue, "", MEDUSA_SHIPPER_VERIFY_DATA_SHARE="0")
    del settings["MEDUSA_STORAGE_PREFIX"]
    with deployed(there.place, HANDLER, settings) as function:
        site = Site(rings[0], queue, function)
        messages = [message for message in site.begin() if json.loads(message["Body"])["prefix"].startswith("many")]
        assert site.work(messages) == []
    assert [ring.levels() for ring in rings] == [{"listing": True}] * 2


def test_no_thread_outlives_an_invocation(there: World) -> None:
    with there.site("threads") as site:
        for message in site.begin():
            assert site.work([message]) == []
        (process,) = site.function.processes
        assert len(list(Path(f"/proc/{process.pid}/task").iterdir())) == 1


def test_the_rights_in_its_readme_are_enough_and_no_more(there: World) -> None:
    policy = json.loads(readme_policy().replace("BUCKET", BUCKET).replace("/P/", "/rights/"))
    for statement in policy["Statement"]:
        statement["Principal"] = {"AWS": ["verifier"]}
    add_user(there.server, "verifier", "verifiersecret")
    ring = RemoteRing(there.store, "forbidden")
    ring.back_up("b")
    ring.index()
    with there.server.boto() as boto:
        boto.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy))
        keys = {"AWS_ACCESS_KEY_ID": "verifier", "AWS_SECRET_ACCESS_KEY": "verifiersecret"}
        with there.site("rights", keys) as site:
            spoil(site.ring)
            for message in site.begin():
                assert site.work([message]) == [], site.function.said()[-3000:]
            assert not same(site)
            assert site.ring.left() == []
        with deployed(there.place, HANDLER, {**there.settings(site.queue, "forbidden"), **keys}) as function:
            assert function.invoke(TIMER).document["errorType"] == "Denied"
        boto.delete_bucket_policy(Bucket=BUCKET)


def readme_policy() -> str:
    text = (ROOT / "functions" / "verify" / "README.md").read_text(encoding="utf-8")
    return text.partition("```json\n")[2].partition("```")[0]
