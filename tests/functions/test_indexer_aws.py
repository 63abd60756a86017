"""The indexer on AWS: its real runtime client, a real gateway, and the events that this one really sends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import pytest

from backupstore.core.layout import ANNOUNCED
from backupstore.operations.reconcile import reconcile
from tests.functions.routes import ROUTES, Record, as_it_is, by_eventbridge, by_s3, by_sqs
from tests.functions.world import BUCKET, HANDLER, Cluster, World, only_below, world
from tests.harness.lambda_runtime import deployed
from tests.harness.s3_servers import add_user
from tests.shipper.cli.handmade import Made

ROOT = Path(__file__).resolve().parents[2]
STOCK = Made(by_stock=True)
WAYS = list(ROUTES.values())
SCHEDULED = {"detail-type": "Scheduled Event", "source": "aws.events"}
TEST_EVENT = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2026-11-23T02:00:00Z", "Bucket": "backups"}


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("world")) as made:
        yield made


def tell(there: World, event: Any) -> Any:  # noqa: ANN401 -- JSON
    """Let the function handle it; all of it has to go well."""
    answer = there.function.invoke(event)
    assert answer.ok, f"{answer.document}\n{there.function.said()[-3000:]}"
    assert not answer.document.get("batchItemFailures"), there.function.said()[-3000:]
    return answer.document


def assert_rebuilt_alike(cluster: Cluster) -> None:
    derived = cluster.derived()
    assert derived == cluster.rebuilt()


@pytest.mark.parametrize("route", ROUTES)
def test_each_way_of_an_event_leads_to_the_catalog(there: World, route: str) -> None:
    cluster = there.cluster(route.replace(" ", "-"))
    cluster.ship(("n1", "b1"), ("n2", "b1"))
    tell(there, ROUTES[route](cluster.events()))
    assert cluster.states() == {"b1": "complete"}
    assert_rebuilt_alike(cluster)


def test_eventbridge_alone(there: World) -> None:
    cluster = there.cluster("bridge")
    cluster.ship(("n1", "b1"))
    for record in only_below(cluster.events(), ANNOUNCED):
        tell(there, by_eventbridge(record))
    assert cluster.states() == {"b1": "incomplete"}
    assert_rebuilt_alike(cluster)


@pytest.mark.parametrize("seed", range(3))
def test_events_in_any_order_twice_and_at_the_same_time(there: World, seed: int) -> None:
    cluster, random = there.cluster(f"disorder{seed}"), Random(seed)
    nodes, names = ("n1", "n2"), ("b1", "b2", "b3", "b4")
    cluster.ship(*((node, name) for name in names[:3] for node in nodes))
    cluster.ship(*((node, "b4") for node in nodes), made=STOCK)
    for node in nodes:
        cluster.write_rows(node, "b4")
    records = cluster.events()
    gone = (random.choice(nodes), random.choice(names))
    first, kept = shuffled_and_dropped(records, random)
    with ThreadPoolExecutor(2) as senders:
        sent = [senders.submit(tell, there, by_s3(batch)) for batch in batches(first, random)]
        told = cluster.events(removed=cluster.remove(*gone))
        removals = [record for record in told if "Removed" in record["eventName"]]
        rest = [*kept, *removals, *random.sample(records, len(records) // 3)]
        random.shuffle(rest)
        sent += [senders.submit(tell, there, random.choice(WAYS)(batch)) for batch in batches(rest, random)]
    assert all(one.result() is not None for one in sent)
    assert_rebuilt_alike(cluster)


def shuffled_and_dropped(records: list[Record], random: Random) -> tuple[list[Record], list[Record]]:
    """A part of them in disorder and some twice; and one for each backup, which comes at the very end."""
    last = only_below(records, ANNOUNCED) + [record for record in records if "tokenmap_" in str(record["s3"])]
    some = [record for record in records if random.random() < 0.5]
    some += random.sample(some, len(some) // 2)
    random.shuffle(some)
    return some, last


def batches(records: list[Record], random: Random) -> Iterator[list[Record]]:
    left = list(records)
    while left:
        size = random.randint(1, 10)
        yield left[:size]
        left = left[size:]


def test_hosts_that_filter_by_prefix_watch_two_folders(there: World) -> None:
    cluster = there.cluster("filtered")
    cluster.ship(("n1", "b1"), ("n2", "b1"), ("n1", "b2"))
    cluster.ship(("n1", "s1"), ("n2", "s1"), made=STOCK)
    for node in ("n1", "n2"):
        cluster.write_rows(node, "s1")
    told = only_below(cluster.events(), cluster.layout.announcements(), cluster.layout.all_rows())
    assert len(told) < len(cluster.events())
    tell(there, as_it_is(told))
    assert cluster.states() == {"b1": "complete", "b2": "incomplete", "s1": "complete"}
    assert_rebuilt_alike(cluster)


def test_what_no_event_told_is_found_by_reconcile(there: World) -> None:
    cluster = there.cluster("lost")
    cluster.ship(("n1", "b1"), ("n1", "b2"))
    tell(there, as_it_is([record for record in cluster.events() if "/b1/" in record["s3"]["object"]["key"]]))
    assert cluster.states() == {"b1": "incomplete"}
    reconcile(there.store, cluster.layout, now=1e9, revision=lambda: "r")
    assert cluster.states() == {"b1": "incomplete", "b2": "incomplete"}
    assert_rebuilt_alike(cluster)


def test_what_was_told_already_writes_nothing(there: World) -> None:
    cluster = there.cluster("again")
    cluster.ship(("n1", "b1"))
    records = cluster.events()
    assert tell(there, as_it_is(records))["written"]
    assert tell(there, as_it_is(records)) == {"written": 0, "removed": 0}


def test_only_what_failed_comes_again(there: World) -> None:
    cluster = there.cluster("partly")
    cluster.ship(("n1", "b1"), ("n1", "b2"))
    there.store.put(cluster.layout.catalog_backup("b1"), b"rubbish")
    one, two = ([r for r in cluster.events() if f"/{name}/" in str(r["s3"])] for name in ("b1", "b2"))
    answer = there.function.invoke(by_sqs([by_s3(one), "{", by_s3(two), TEST_EVENT, by_s3([*one, *two]), {"a": "b"}]))
    assert answer.ok
    assert [failed["itemIdentifier"] for failed in answer.document["batchItemFailures"]] == ["0", "1", "4", "5"]
    assert cluster.states() == {"b2": "incomplete"}
    assert "b1.json cannot be read" in there.function.said()
    assert "build-index" in there.function.said(), "what to do is said too"


def test_a_failure_of_what_comes_directly_is_lambdas_to_repeat(there: World) -> None:
    cluster = there.cluster("directly")
    cluster.ship(("n1", "b1"), ("n1", "b2"))
    there.store.put(cluster.layout.catalog_backup("b1"), b"rubbish")
    answer = there.function.invoke(by_s3(cluster.events()))
    assert not answer.ok
    assert answer.document["errorType"] == "Corrupt"
    assert cluster.states() == {"b2": "incomplete"}, "the rest was done before"


@pytest.mark.parametrize("event", [{"timer": "reconcile"}, SCHEDULED], ids=["timer", "scheduled"])
def test_a_timer_has_everything_compared_and_repaired(there: World, event: dict[str, str]) -> None:
    """The oldest first; a cluster that cannot be done does not keep the others from it."""
    name = "timer" if "timer" in event else "scheduled"
    ours, other, broken = (there.cluster(f"{name}-{which}") for which in ("ours", "other", "broken"))
    for cluster in (ours, other, broken):
        cluster.ship(("n1", "b1"), ("n2", "b1"))
    there.store.put(broken.layout.head(), b"{")
    answer = there.function.invoke(event)
    assert not answer.ok
    assert answer.document["errorType"] == "Corrupt", "Lambda tells, and tries again"
    for cluster in (ours, other):
        assert cluster.states() == {"b1": "complete"}
        assert f"reconcile of cluster {cluster.layout.prefix} repaired what no event told of" in there.function.said()
    there.store.delete([broken.layout.head()])
    assert tell(there, event)["repaired"] > 0
    assert tell(there, event) == {"repaired": 0}
    for cluster in (ours, other, broken):
        assert_rebuilt_alike(cluster)


def test_a_timer_for_one_cluster_and_one_that_nobody_serves(there: World) -> None:
    ours, other = there.cluster("one-ours"), there.cluster("one-other")
    for cluster in (ours, other):
        cluster.ship(("n1", "b1"), ("n2", "b1"))
    assert tell(there, {"timer": "reconcile", "prefix": "one-ours"})["repaired"] > 0
    assert ours.states() == {"b1": "complete"}
    assert not other.derived()
    assert there.function.invoke({"timer": "reconcile", "prefix": "a/b"}).document["errorType"] == "Corrupt"


def test_a_timer_without_time_is_told_and_goes_on_the_next_time(there: World) -> None:
    cluster = there.cluster("timeless")
    cluster.ship(("n1", "b1"), ("n2", "b1"))
    event = {"timer": "reconcile", "prefix": "timeless"}
    assert there.function.invoke(event, limit=0).document["errorType"] == "OutOfTime"
    assert tell(there, event)["repaired"] > 0
    assert_rebuilt_alike(cluster)


@pytest.mark.parametrize("event", [TEST_EVENT, {"Records": []}, []])
def test_what_tells_of_nothing_is_fine(there: World, event: object) -> None:
    assert tell(there, event) == {"written": 0, "removed": 0}


@pytest.mark.parametrize("event", [{}, None, 5, "x", {"Records": [5]}, {"Records": [{"eventSource": "aws:sqs"}] * 2}])
def test_what_makes_no_sense_fails_and_harms_nobody(there: World, event: object) -> None:
    answer = there.function.invoke(event)
    assert not answer.ok
    assert answer.document["errorType"] in {"Corrupt", "KeyError"}
    assert all(process.poll() is None for process in there.function.processes)


def test_other_buckets_are_none_of_its_business(there: World) -> None:
    cluster = there.cluster("elsewhere")
    cluster.ship(("n1", "b1"))
    moved = [{**r, "s3": {**r["s3"], "bucket": {"name": "elsewhere-bucket"}}} for r in cluster.events()]
    assert tell(there, as_it_is(moved)) == {"written": 0, "removed": 0}
    assert "events of other buckets were left out: elsewhere-bucket" in there.function.said()


def test_when_the_time_is_over_the_rest_is_told_as_failed(there: World) -> None:
    cluster = there.cluster("late")
    cluster.ship(("n1", "b1"), ("n2", "b1"))
    messages = by_sqs([TEST_EVENT, by_s3(cluster.events())])
    answer = there.function.invoke(messages, limit=0.001)
    assert answer.ok
    assert answer.document == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    assert "the time that this run was given is over" in there.function.said()
    tell(there, messages)
    assert_rebuilt_alike(cluster)


def test_no_thread_outlives_an_invocation(there: World) -> None:
    cluster = there.cluster("threads")
    cluster.ship(("n1", "b1"))
    records = cluster.events()
    for _ in range(4):
        tell(there, as_it_is(records))
    alone = [len(list(Path(f"/proc/{process.pid}/task").iterdir())) for process in there.function.processes]
    assert alone == [1, 1]


def test_the_rights_in_its_readme_are_enough_and_no_more(there: World) -> None:
    ours, other = there.cluster("rights"), there.cluster("forbidden")
    for cluster in (ours, other):
        cluster.ship(("n1", "b1"), ("n2", "b1"))
    policy = json.loads(readme_policy().replace("BUCKET", BUCKET).replace("/P/", "/rights/"))
    for statement in policy["Statement"]:
        statement["Principal"] = {"AWS": ["indexer"]}
    add_user(there.server, "indexer", "indexersecret")
    with there.server.boto() as boto:
        boto.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy))
    settings = {**there.settings, "AWS_ACCESS_KEY_ID": "indexer", "AWS_SECRET_ACCESS_KEY": "indexersecret"}
    with deployed(there.folder / "indexer", HANDLER, settings) as function:
        assert function.invoke(as_it_is(ours.events())).ok, function.said()
        assert ours.states() == {"b1": "complete"}
        gone = ours.remove("n1", "b1")
        assert function.invoke(as_it_is(ours.events(removed=gone))).ok, function.said()
        assert ours.states() == {"b1": "incomplete"}
        denied = function.invoke(as_it_is(other.events()))
    assert denied.document["errorType"] == "Denied"
    assert not other.derived()
    assert_rebuilt_alike(ours)


def readme_policy() -> str:
    text = (ROOT / "functions" / "indexer" / "README.md").read_text(encoding="utf-8")
    return text.partition("```json\n")[2].partition("```")[0]


def test_settings_that_are_wrong_are_named(there: World) -> None:
    settings = {**there.settings, "MEDUSA_STORAGE_PORT": "x", "MEDUSA_STORAGE_PREFIX": "a/b"}
    with deployed(there.folder / "indexer", HANDLER, settings) as function:
        answer = function.invoke(TEST_EVENT)
    assert answer.document["errorType"] == "Misconfigured"
    assert "[storage] port = x" in answer.document["errorMessage"]
    assert "[storage] prefix = a/b" in answer.document["errorMessage"]


def test_one_cluster_only(there: World) -> None:
    ours, other = there.cluster("east"), there.cluster("west")
    for cluster in (ours, other):
        cluster.ship(("n1", "b1"))
    with deployed(there.folder / "indexer", HANDLER, {**there.settings, "MEDUSA_STORAGE_PREFIX": "east"}) as function:
        answer = function.invoke(as_it_is([*ours.events(), *other.events()]))
    assert answer.ok, function.said()
    assert ours.states() == {"b1": "incomplete"}
    assert not other.derived()
