"""The coordinator on AWS: its real runtime client, the events of a real gateway, and nodes that the test plays."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import pytest

from backupstore.errors import BackupError
from backupstore.operations.job_upkeep import KEPT
from tests.functions.coordinating import HANDLER, TIMER, World, is_over, world
from tests.functions.routes import ROUTES, by_eventbridge, by_s3, by_sqs
from tests.functions.world import BUCKET
from tests.harness.lambda_runtime import Function, deployed
from tests.harness.s3_servers import add_user
from tests.played_nodes import SEED, PlayedCluster, cluster, pair

ROOT = Path(__file__).resolve().parents[2]
SCHEDULED = {"detail-type": "Scheduled Event", "source": "aws.events", "resources": [], "detail": {}}
_ROUNDS = 12


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest.fixture(scope="module")
def function(there: World) -> Iterator[Function]:
    with deployed(there.place, HANDLER, there.settings(), processes=2) as running:
        yield running
        assert there.keys.secret not in running.said()


def tell(function: Function, event: Any) -> Any:  # noqa: ANN401 -- JSON
    """Let the function handle it; all of it has to go well."""
    answer = function.invoke(event)
    assert answer.ok, f"{answer.document}\n{function.said()[-3000:]}"
    assert not answer.document.get("batchItemFailures"), function.said()[-3000:]
    return answer.document


def told(function: Function, name: str) -> list[float]:
    """The values of a metric, as the function has put them into its log. Two processes may share a line of it."""
    said, decoder = function.said(), json.JSONDecoder()
    found = (decoder.raw_decode(said, start.start())[0].get(name) for start in re.finditer(r'\{"_aws"', said))
    return [value[0] if isinstance(value, list) else value for value in found if value is not None]


def led(played: PlayedCluster, job: str, look: Any) -> None:  # noqa: ANN401 -- a call
    """Let nodes and coordinator take turns until the job is over."""
    for _ in range(_ROUNDS):
        look()
        if is_over(played, job):
            return
        played.turn()
    raise AssertionError(played.job(job))


@pytest.mark.parametrize("route", ROUTES)
def test_each_way_of_an_event_leads_a_job_on(there: World, function: Function, route: str) -> None:
    played = there.cluster(route.replace(" ", "-"))
    job = played.ask()
    led(played, job, lambda: tell(function, ROUTES[route](there.events(played))))
    assert played.phase(job) == "committed"
    assert played.obeyed == [SEED] * 3


def test_eventbridge_alone(there: World, function: Function) -> None:
    played = there.cluster("bridge")
    job = played.ask("backup")
    led(played, job, lambda: [tell(function, by_eventbridge(record)) for record in there.events(played)])
    assert played.phase(job) == "done"


@pytest.mark.parametrize("event", [TIMER, SCHEDULED, {**TIMER, "prefix": "timer2"}], ids=["0", "1", "2"])
def test_a_timer_alone_leads_a_job_on(
    there: World, function: Function, event: dict[str, object], request: pytest.FixtureRequest
) -> None:
    played = there.cluster(f"timer{request.node.callspec.id}")
    played.nodes[1].answers = {"place": "failed"}
    job = played.ask()
    led(played, job, lambda: tell(function, event))
    assert played.phase(job) == "rolled-back"
    assert '"why":"n2: place failed: as the test wants it"' in function.said()


@pytest.mark.parametrize("seed", range(3))
def test_events_that_are_lost_late_double_and_at_the_same_time_change_nothing(
    there: World, function: Function, seed: int
) -> None:
    played, random = there.cluster(f"disorder{seed}"), Random(seed)
    jobs = [played.ask(number=1), played.ask("backup", number=2)]
    with ThreadPoolExecutor(3) as senders:
        for _ in range(40):
            records = there.events(played)
            some = random.choices(records, k=4)
            sent = [senders.submit(tell, function, by_sqs([by_s3([one])])) for one in (*some, *some[:1])]
            if random.random() < 0.3:
                sent.append(senders.submit(tell, function, TIMER))
            random.choice(played.nodes).turn()
            assert all(one.result() is not None for one in sent)
            if all(is_over(played, job) for job in jobs):
                break
    for job in jobs:
        led(played, job, lambda: tell(function, TIMER))
    assert [played.phase(job) for job in jobs] == ["committed", "done"]
    assert [sorted(verbs) for verbs in played.obeyed] == [sorted([*SEED, "backup"])] * 3, "each command once"


def test_only_what_failed_comes_again(there: World, function: Function) -> None:
    good, broken = there.cluster("good"), there.cluster("broken")
    job = good.ask()
    there.store.put(broken.layout.job(broken.ask()), b"{")
    bodies = [by_s3(there.events(broken)), by_s3(there.events(good)), "{", by_s3([])]
    before = len(told(function, "coordinate-failures"))
    answer = function.invoke(by_sqs(bodies))
    assert answer.ok
    assert [failed["itemIdentifier"] for failed in answer.document["batchItemFailures"]] == ["0", "2"]
    assert good.phase(job) == "preparing"
    assert "records/" in function.said()
    assert told(function, "coordinate-failures")[before:] == [2]
    assert not function.invoke(by_s3(there.events(broken))).ok, "Lambda repeats what comes directly"
    assert not function.invoke({**TIMER, "prefix": "broken"}).ok
    there.store.delete([stored.key for stored in there.store.list(broken.layout.jobs())])


@pytest.mark.parametrize("kind", ["records", "turn", "commands", "over"])
def test_what_it_writes_itself_does_not_wake_it(there: World, function: Function, kind: str) -> None:
    played = there.cluster(f"quiet-{kind}")
    job = played.ask()
    layout = played.layout
    keys = {
        "records": layout.job(job),
        "turn": layout.job_turn(),
        "commands": layout.command("n1"),
        "over": layout.job_over(job),
    }
    record = {"eventName": "s3:ObjectCreated:Put", "s3": {"bucket": {"name": BUCKET}, "object": {"key": keys[kind]}}}
    tell(function, {"Records": [record]})
    assert played.job(job) is None


def test_when_the_time_is_over_the_rest_is_told_as_failed(there: World, function: Function) -> None:
    played = there.cluster("late")
    job = played.ask()
    messages = by_sqs([by_s3(there.events(played)), by_s3([])])
    answer = function.invoke(messages, limit=0.001)
    assert answer.document == {"batchItemFailures": [{"itemIdentifier": "0"}]}
    assert "the time that this run was given is over" in function.said()
    for limit in (0.02, 0.04, 0.06, 0.1, 0.15):
        function.invoke(messages, limit=limit)
    tell(function, messages)
    led(played, job, lambda: tell(function, TIMER))
    assert played.obeyed == [SEED] * 3


def test_other_buckets_and_other_clusters_are_none_of_its_business(there: World) -> None:
    ours, other = there.cluster("east"), there.cluster("west")
    jobs = [ours.ask(), other.ask()]
    with deployed(there.place, HANDLER, there.settings(MEDUSA_STORAGE_PREFIX="east")) as alone:
        tell(alone, by_s3([*there.events(ours), *there.events(other)]))
        tell(alone, TIMER)
        moved = [{**r, "s3": {**r["s3"], "bucket": {"name": "elsewhere"}}} for r in there.events(ours)]
        tell(alone, by_s3(moved))
        assert "events of other buckets were left out: elsewhere" in alone.said()
        assert alone.invoke({**TIMER, "prefix": "west"}).document["errorType"] == "Corrupt"
    assert [ours.phase(jobs[0]), other.job(jobs[1])] == ["preparing", None]


@pytest.mark.parametrize("kind", ["secret", "parameter"])
def test_the_key_comes_from_a_secret_store_and_is_never_told(there: World, kind: str) -> None:
    if kind == "secret":
        client = there.client("secretsmanager")
        arn = client.create_secret(Name="medusa-signing-key", SecretString=f"{there.keys.line}\n")["ARN"]
    else:
        client = there.client("ssm")
        client.put_parameter(Name="/medusa/key", Value=there.keys.line, Type="SecureString")
        arn = client.get_parameter(Name="/medusa/key")["Parameter"]["ARN"]
    played = there.cluster(f"by-{kind}")
    job = played.ask()
    with deployed(there.place, HANDLER, there.settings(SIGNING_KEY_SECRET=arn)) as alone:
        event = {**TIMER, "prefix": played.layout.prefix}
        led(played, job, lambda: tell(alone, event))
        assert there.keys.secret not in alone.said()
    assert played.phase(job) == "committed"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"SIGNING_KEY": ""}, "Neither of SIGNING_KEY and SIGNING_KEY_SECRET is set"),
        ({"SIGNING_KEY": "x", "SIGNING_KEY_SECRET": "y"}, "Both of SIGNING_KEY"),
        ({"SIGNING_KEY": "id c2VjcmV0"}, "SIGNING_KEY does not hold a private key"),
        ({"SIGNING_KEY_SECRET": "arn:aws:secretsmanager:us-east-1:123456789012:secret:none"}, "GetSecretValue on it"),
        ({"SIGNING_KEY_SECRET": "medusa-signing-key"}, "is no ARN of a secret or of a parameter"),
        ({"SIGNING_KEY_SECRET": "arn:aws:ssm:us-east-1:123456789012:parameter/none"}, "ssm:GetParameter on it"),
    ],
)
def test_without_a_key_nothing_is_signed_and_the_reason_is_told(
    there: World, settings: dict[str, str], said: str
) -> None:
    played = there.cluster("keyless")
    if not list(there.store.list(played.layout.all_job_requests())):
        played.ask()
    with deployed(there.place, HANDLER, there.settings(**settings)) as alone:
        answer = alone.invoke(TIMER)
        assert answer.document["errorType"] == "Misconfigured"
        messages = alone.invoke(by_sqs([by_s3(there.events(played)), by_s3([])]))
        assert messages.document == {"batchItemFailures": [{"itemIdentifier": "0"}]}
        assert said in alone.said()
        assert "c2VjcmV0" not in alone.said()
    assert not list(there.store.list(played.layout.commands()))


def test_nodes_do_not_believe_another_key(there: World, function: Function, tmp_path: Path) -> None:
    played = cluster(there.store, "foreign", pair(tmp_path / "other").keys)
    played.ask()
    tell(function, {**TIMER, "prefix": "foreign"})
    with pytest.raises(BackupError, match="which this node does not know"):
        played.turn()


@pytest.mark.parametrize("event", [{}, None, 5, "x", {"Records": [5]}, {"timer": "reconcile"}])
def test_what_makes_no_sense_fails_and_harms_nobody(function: Function, event: object) -> None:
    assert function.invoke(event).document["errorType"] == "Corrupt"
    assert all(process.poll() is None for process in function.processes)


def test_the_rights_in_its_readme_are_enough_and_no_more(there: World) -> None:
    ours, other = there.cluster("rights"), there.cluster("forbidden")
    job, foreign = ours.ask(), other.ask()
    policy = json.loads(readme_policy().replace("BUCKET", BUCKET).replace("/P/", "/rights/"))
    for statement in policy["Statement"]:
        statement["Principal"] = {"AWS": ["coordinator"]}
    add_user(there.server, "coordinator", "coordinatorsecret")
    settings = there.settings(AWS_ACCESS_KEY_ID="coordinator", AWS_SECRET_ACCESS_KEY="coordinatorsecret")
    with there.server.boto() as boto:
        boto.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy))
        with deployed(there.place, HANDLER, settings) as alone:
            led(ours, job, lambda: tell(alone, {**TIMER, "prefix": "rights"}))
            denied = alone.invoke({**TIMER, "prefix": "forbidden"})
        boto.delete_bucket_policy(Bucket=BUCKET)
    assert ours.obeyed == [SEED] * 3
    assert denied.document["errorType"] == "Denied"
    assert other.job(foreign) is None


def test_a_reason_to_wait_is_told_once_and_again_when_it_is_so_again(there: World) -> None:
    played = there.cluster("waiting")
    job, event = played.ask(), {**TIMER, "prefix": "waiting"}
    played.nodes[2].answers = {"place": "failed", "put-back": "failed"}
    with deployed(there.place, HANDLER, there.settings()) as alone:
        for times in (1, 2):
            for _ in range(8):
                tell(alone, event)
                played.turn()
            assert played.phase(job) == "rolling-back"
            assert alone.said().count(f"job {job} of cluster waiting waits: put-back failed") == times
            played.wish(job, "resume", str(times))


def test_a_timer_deletes_what_is_left_of_old_jobs(there: World) -> None:
    """Time passes by setting the times of the gateway's files."""
    played = there.cluster("aged")
    event, jobs = {**TIMER, "prefix": "aged"}, []
    for number in (1, 2):
        jobs.append(played.ask("backup", number))
        for _ in range(3):
            with deployed(there.place, HANDLER, there.settings()) as alone:
                tell(alone, event)
            played.turn()
    mark = there.folder / "gateway" / "data" / BUCKET / played.layout.job_over(jobs[0])
    at = mark.stat().st_mtime - KEPT - 60
    os.utime(mark, (at, at))
    with deployed(there.place, HANDLER, there.settings()) as alone:
        tell(alone, event)
        assert "what was on record about 1 jobs of cluster aged is deleted" in alone.said()
    assert [played.phase(job) for job in jobs] == ["", "done"]
    assert [stored.key for stored in there.store.list(played.layout.jobs()) if jobs[0] in stored.key] == [
        played.layout.job_over(jobs[0])
    ]


def test_a_job_of_each_of_many_clusters_and_one_that_is_silent(there: World, function: Function) -> None:
    """A batch about many clusters looks at each of them once; what one of them lacks holds up nobody."""
    clusters = [there.cluster(f"many{number}") for number in range(4)]
    silent = clusters[0]
    for node in silent.nodes:
        node.answers = {"prepare": None}
    jobs = [played.ask() for played in clusters]
    for _ in range(_ROUNDS):
        tell(function, by_sqs([by_s3(there.events(played)) for played in clusters]))
        for played in clusters:
            played.turn()
    assert [played.phase(job) for played, job in zip(clusters, jobs, strict=True)] == [
        "preparing",
        *["committed"] * 3,
    ]
    silent.wish(jobs[0], "rollback")
    for node in silent.nodes:
        node.answers = {}
    led(silent, jobs[0], lambda: tell(function, by_s3(there.events(silent))))
    assert silent.phase(jobs[0]) == "rolled-back"


def readme_policy() -> str:
    text = (ROOT / "functions" / "coordinator" / "README.md").read_text(encoding="utf-8")
    return text.partition("```json\n")[2].partition("```")[0]


def test_the_wishes_of_operators_are_news(there: World, function: Function) -> None:
    played = there.cluster("wished")
    job = played.ask()
    tell(function, by_s3(there.events(played)))
    played.wish(job, "rollback")
    wishes = [record for record in there.events(played) if "/wishes/" in record["s3"]["object"]["key"]]
    tell(function, by_s3(wishes))
    assert played.phase(job) == "rolled-back"
