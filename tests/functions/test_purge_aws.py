"""Purge on AWS: its real runtime client, a real gateway, and a queue that delivers twice, late and in any order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from backupstore.core.layout import Layout
from backupstore.core.purge_records import NodeResult, PurgeRecord
from backupstore.core.work import PurgeWork, VerifyWork, encode_work
from tests.functions.purging import HANDLER, NODES, TIMER, Cluster, Site, World, world
from tests.functions.world import BUCKET
from tests.harness.lambda_runtime import deployed
from tests.harness.s3_servers import add_user
from tests.harness.sqs_server import Message

ROOT = Path(__file__).resolve().parents[2]
SCHEDULED = {"detail-type": "Scheduled Event", "source": "aws.events", "resources": [], "detail": {}}
STAY = ["b4", "b5", "b6"]


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("world")) as made:
        yield made


def sent(site: Site, event: object = TIMER) -> list[Message]:
    """Plan; the messages that there are then."""
    answer = site.plan(event)
    assert answer.ok, f"{answer.document}\n{site.function.said()[-3000:]}"
    return site.queue.receive_all()


def node_of(message: Message) -> str:
    return str(json.loads(message["Body"])["node"])


def by_node(results: tuple[NodeResult, ...]) -> dict[str, NodeResult]:
    return {result.node: result for result in results}


def over(cluster: Cluster) -> PurgeRecord:
    """The only record, of a purge that did everything."""
    (record,) = cluster.records()
    assert record.is_done
    return record


def told(site: Site, name: str) -> list[float]:
    """The values of a metric, as the function has put them into its log."""
    lines = (line for line in site.function.said().splitlines() if '"CloudWatchMetrics"' in line)
    found = (json.loads(line).get(name) for line in lines)
    return [value[0] if isinstance(value, list) else value for value in found if value is not None]


@pytest.mark.parametrize("event", [TIMER, SCHEDULED, {"timer": "purge", "prefix": "plain2"}], ids=["0", "1", "2"])
def test_a_timer_leads_to_a_message_for_each_node_and_each_does_its_node(
    there: World, event: dict[str, object], request: pytest.FixtureRequest
) -> None:
    prefix = f"plain{request.node.callspec.id}"
    with there.site(prefix) as site:
        messages = sent(site, event)
        assert sorted(map(node_of, messages)) == list(NODES)
        (record,) = site.cluster.records()
        assert record.is_open
        assert record.deletes == {"b1", "b2", "b3"}
        for message in messages:
            assert site.cluster.backups(node_of(message)) == ["b1", "b2", "b3", *STAY]
            assert site.work([message]) == []
            assert site.cluster.backups(node_of(message)) == STAY
        record = over(site.cluster)
        assert {result.node: result.done for result in record.results} == dict.fromkeys(NODES, True)
        assert record.scheduled
        assert site.cluster.states() == [f"{name} complete" for name in STAY]
        assert told(site, "medusa-node-backup.purge-error") == [0]
        assert sum(told(site, "purged-objects")) == sum(result.objects for result in record.results) > 0


@pytest.mark.parametrize("seed", range(2))
def test_in_any_order_twice_and_at_the_same_time_it_is_what_the_command_line_does(there: World, seed: int) -> None:
    beside = Cluster(there, Layout(f"beside{seed}"))
    beside.fill()
    done = beside.command("purge")
    assert done.returncode == 0, done.stderr
    with there.site(f"disorder{seed}", processes=2) as site:
        random = Random(seed)
        for _ in range(random.randint(1, 3)):
            assert site.plan().ok, "a timer may come twice as well"
        assert site.drain(random) == 0, site.function.said()[-3000:]
        over(site.cluster)
        assert site.cluster.contents() == beside.contents()


def test_a_message_that_fails_comes_again_and_keeps_nobody_from_working(there: World) -> None:
    with there.site("failing") as site:
        messages = sent(site)
        (record,) = site.cluster.records()
        odd = site.cluster.layout.condemned_document("n2", f"{record.run}-odd")
        there.store.put(odd, b"rubbish")
        there.write_in_two_days(odd)
        failed = site.work(messages)
        assert [node_of(message) for message in messages if message["MessageId"] in failed] == ["n2"]
        assert [site.cluster.backups(node) for node in NODES] == [STAY, ["b1", "b2", "b3", *STAY], STAY]
        assert site.cluster.records()[0].is_open
        assert told(site, "purge-failures") == [1]
        assert "clock is behind the store's" in site.function.said()
        there.store.delete([odd])
        assert site.drain(Random(1)) == 0
        assert over(site.cluster).pending == frozenset()
        assert site.cluster.backups("n2") == STAY


def test_what_is_out_of_time_is_handed_back_and_gone_on_with(there: World) -> None:
    with there.site("late") as site:
        messages = sent(site)
        failed = site.work(messages, limit=0.001)
        assert sorted(failed) == sorted(message["MessageId"] for message in messages)
        assert "the time that this run was given is over" in site.function.said()
        assert all(site.cluster.backups(node) == ["b1", "b2", "b3", *STAY] for node in NODES)
        for limit in (0.03, 0.06, 0.1, 0.15, 0.2, 0.3):
            for message in site.queue.receive_all():
                site.work([message], limit=limit)
        site.drain(Random(2))
        over(site.cluster)
        assert all(site.cluster.backups(node) == STAY for node in NODES)


def test_a_plan_that_does_not_fit_into_the_time_fails_and_says_what_to_do(there: World) -> None:
    with there.site("slow") as site:
        answer = site.plan(limit=0.001)
        assert answer.document["errorType"] == "OutOfTime"
        assert "give the function more time" in site.function.said()
        assert site.cluster.records() == []
        assert told(site, "medusa-node-backup.purge-error") == [1]


def test_a_plan_that_deletes_too_much_is_put_on_record_and_nothing_is_sent(there: World) -> None:
    with there.site("braked", {"MEDUSA_SHIPPER_PURGE_MAX_SHARE": "10%"}) as site:
        assert sent(site) == []
        (record,) = site.cluster.records()
        assert record.braked
        assert site.cluster.backups() == ["b1", "b2", "b3", *STAY]
        assert told(site, "medusa-node-backup.purge-error") == [1]
        forged = PurgeWork(prefix="braked", run=record.run, node="n1")
        site.queue.client.send_message(QueueUrl=site.queue.url, MessageBody=encode_work(forged))
        assert site.drain(Random(3)) == 0
        assert site.cluster.backups() == ["b1", "b2", "b3", *STAY], "nobody carries out what was braked"


def test_a_plan_that_was_sent_in_part_is_gone_on_with(there: World) -> None:
    """The timer comes again, as Lambda does it, after some of the messages were lost."""
    with there.site("lost") as site:
        first = sent(site)
        site.queue.settle(first, [])
        site.work([message for message in first if node_of(message) == "n1"])
        again = sent(site)
        assert sorted(map(node_of, again)) == ["n2", "n3"]
        site.work(again)
        assert len(over(site.cluster).results) == 3


def test_a_message_that_comes_after_its_purge_is_over_does_nothing(there: World) -> None:
    with there.site("after") as site:
        messages = sent(site)
        assert site.work(messages) == []
        before = site.cluster.contents()
        assert site.work(messages) == []
        assert site.cluster.contents() == before
        assert "is over: nothing is left to do" in site.function.said()


@pytest.mark.parametrize(
    "body",
    [
        "{",
        encode_work(PurgeWork(prefix="elsewhere", run="r", node="n1")),
        encode_work(VerifyWork(prefix="odd", round="r", node="n1", backups=("b1",))),
    ],
    ids=["no work", "another cluster's", "work of another kind"],
)
def test_what_is_no_work_of_it_fails_after_the_rest_was_done(body: str, odd: Site) -> None:
    odd.queue.client.send_message(QueueUrl=odd.queue.url, MessageBody=body)
    (message,) = odd.queue.receive_all()
    assert odd.work([message]) == [message["MessageId"]]
    assert odd.cluster.backups() == ["b1", "b2", "b3", *STAY]
    assert "batchItemFailures" not in odd.function.said()
    odd.queue.settle(odd.queue.receive_all(), [])


@pytest.fixture(scope="module")
def odd(there: World) -> Iterator[Site]:
    with there.site("odd") as site:
        yield site


def test_work_for_a_node_that_the_plan_knows_nothing_of_is_refused(odd: Site) -> None:
    messages = sent(odd)
    (record,) = odd.cluster.records()
    forged = {**messages[0], "Body": encode_work(PurgeWork(prefix="odd", run=record.run, node="n9"))}
    answer = odd.function.invoke({"Records": [{**record_of(forged), "eventSource": "aws:sqs"}]})
    assert len(answer.document["batchItemFailures"]) == 1
    assert "has no work for n9" in odd.function.said()
    assert odd.work(messages) == []


def record_of(message: Message) -> dict[str, object]:
    return {"messageId": "1", "receiptHandle": "r", "body": message["Body"], "attributes": {}, "messageAttributes": {}}


@pytest.mark.parametrize("event", [{}, {"Records": [{"eventSource": "aws:s3"}]}, [], 5, {"timer": "verify"}])
def test_what_is_neither_timer_nor_work_fails(odd: Site, event: object) -> None:
    assert odd.plan(event).document["errorType"] == "Corrupt"


def test_a_timer_for_another_cluster_fails(odd: Site) -> None:
    assert odd.plan({"timer": "purge", "prefix": "elsewhere"}).document["errorType"] == "Corrupt"


def test_without_a_prefix_every_cluster_of_the_bucket_is_planned(there: World) -> None:
    with there.site("all") as site:
        settings = there.settings(site.queue, "")
        del settings["MEDUSA_STORAGE_PREFIX"]
        with deployed(there.place, HANDLER, settings) as function:
            answer = function.invoke(TIMER)
        assert answer.ok, function.said()[-2000:]
        prefixes = {json.loads(message["Body"])["prefix"] for message in site.queue.receive_all()}
        assert "all" in prefixes
        assert len(prefixes) > 1


def test_without_a_queue_it_says_what_is_missing(there: World) -> None:
    with there.site("queueless", {"WORK_QUEUE": ""}) as site:
        assert site.plan().document["errorType"] == "Misconfigured"
        assert "WORK_QUEUE" in site.function.said()


def test_without_a_catalog_it_fails_and_says_what_to_do(there: World) -> None:
    with there.site("uncatalogued") as site:
        there.store.delete([site.cluster.layout.head()])
        assert site.plan().document["errorType"] == "NotFound"
        assert "build-index" in site.function.said()


def test_the_rights_in_its_readme_are_enough_and_no_more(there: World) -> None:
    text = (ROOT / "functions" / "purge" / "README.md").read_text(encoding="utf-8")
    documented = text.partition("```json\n")[2].partition("```")[0]
    policy = json.loads(documented.replace("BUCKET", BUCKET).replace("/P/", "/rights/"))
    for statement in policy["Statement"]:
        statement["Principal"] = {"AWS": ["purger"]}
    add_user(there.server, "purger", "purgersecret")
    with there.server.boto() as boto:
        boto.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy))
    keys = {"AWS_ACCESS_KEY_ID": "purger", "AWS_SECRET_ACCESS_KEY": "purgersecret"}
    with there.site("rights", keys) as site:
        assert site.work(sent(site)) == []
        over(site.cluster)
        assert site.cluster.states() == [f"{name} complete" for name in STAY]
    with there.site("forbidden", keys) as site:
        assert site.plan().document["errorType"] == "Denied"
        assert site.cluster.records() == []
    with there.server.boto() as boto:
        boto.delete_bucket_policy(Bucket=BUCKET)


def test_no_thread_outlives_an_invocation(there: World) -> None:
    with there.site("threads") as site:
        site.work(sent(site))
        assert [len(list(Path(f"/proc/{process.pid}/task").iterdir())) for process in site.function.processes] == [1]
