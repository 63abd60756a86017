"""Report on AWS: its real runtime client, a real gateway, and the lines from which CloudWatch takes its numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backupstore.core.measures import NEVER
from tests.functions.verifying import RemoteRing
from tests.functions.world import BUCKET, settings_of
from tests.harness.lambda_runtime import Function, bundle, deployed
from tests.harness.s3_servers import S3Server, add_user, versitygw
from tests.harness.s3_stores import opened

ROOT = Path(__file__).resolve().parents[2]
HANDLER = "functions.report.handler_aws.handler"
TIMER = {"timer": "report"}
SCHEDULED = {"detail-type": "Scheduled Event", "source": "aws.events", "resources": [], "detail": {}}


class World:
    """One gateway, one bucket with two clusters in it, of which one has a catalog that cannot be read."""

    def __init__(self, folder: Path, server: S3Server) -> None:
        self.place = bundle(folder / "report", "report")
        self.server = server
        self.store = opened(server, server.bucket(BUCKET))
        for prefix in ("east", "west"):
            ring = RemoteRing(self.store, prefix)
            ring.back_up("b")
            ring.index()
        self.store.put(ring.layout.head(), b"{")

    def settings(self, **more: str) -> dict[str, str]:
        return {**settings_of(self.server), **more}


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    (folder / "gateway").mkdir()
    with versitygw(folder / "gateway") as server:
        made = World(folder, server)
        yield made
        made.store.close()


def told(function: Function) -> list[dict[str, Any]]:
    """What CloudWatch would take from the log: each value with its dimensions."""
    found = []
    for line in function.said().splitlines():
        document: dict[str, Any] = json.loads(line) if line.startswith('{"_aws"') else {}
        for directive in document["_aws"]["CloudWatchMetrics"] if document else ():
            assert directive["Namespace"] == "medusa-shipper"
            for metric in directive["Metrics"]:
                (value,) = document[metric["Name"]]
                about = {"cluster": document["cluster"], "node": document.get("node")}
                found.append({"name": metric["Name"], "value": value, **about})
    return found


def values(function: Function, name: str) -> dict[str, float]:
    return {each["cluster"]: each["value"] for each in told(function) if each["name"].endswith(f".{name}")}


@pytest.mark.parametrize("event", [TIMER, SCHEDULED], ids=["timer", "scheduled"])
def test_every_cluster_is_told_of_and_what_cannot_be_read_as_bad_as_can_be(there: World, event: object) -> None:
    with deployed(there.place, HANDLER, there.settings()) as function:
        answer = function.invoke(event)
        assert answer.ok, function.said()
        assert answer.document == {"unreadable": 1}
        assert values(function, "report-error") == {"east": 0, "west": 1}
        assert values(function, "seconds-since-backup")["west"] == NEVER
        assert values(function, "complete-backups") == {"east": 1}
        nodes = {each["node"] for each in told(function) if each["name"] == "medusa-node-backup.seconds-since-backup"}
        assert nodes == {"n1", "n2", "n3"}
        assert "the backups of cluster west cannot be told of: " in function.said()


def test_one_cluster_alone(there: World) -> None:
    with deployed(there.place, HANDLER, there.settings()) as function:
        assert function.invoke({"timer": "report", "prefix": "east"}).document == {"unreadable": 0}
        assert values(function, "report-error") == {"east": 0}
    with deployed(there.place, HANDLER, there.settings(MEDUSA_STORAGE_PREFIX="east")) as function:
        assert function.invoke(TIMER).document == {"unreadable": 0}
        assert not function.invoke({"timer": "report", "prefix": "west"}).ok


def test_a_cluster_without_a_catalog_and_a_bucket_that_does_not_answer_are_failures(there: World) -> None:
    with deployed(there.place, HANDLER, there.settings(MEDUSA_STORAGE_PREFIX="empty")) as function:
        assert function.invoke(TIMER).document == {"unreadable": 1}
        assert values(function, "report-error") == {"empty": 1}
        assert "there is no list of backups" in function.said()
    with deployed(there.place, HANDLER, there.settings(MEDUSA_STORAGE_BUCKET_NAME="nowhere")) as function:
        assert function.invoke(TIMER).document == {"unreadable": 1}
        (error,) = (each for each in _without_cluster(function) if each.endswith("report-error"))
        assert error


def _without_cluster(function: Function) -> list[str]:
    lines = (json.loads(line) for line in function.said().splitlines() if line.startswith('{"_aws"'))
    return [name for line in lines for name, value in line.items() if value == [1.0]]


def test_when_there_is_no_time_it_is_told_as_a_failure(there: World) -> None:
    with deployed(there.place, HANDLER, there.settings(MEDUSA_STORAGE_PREFIX="east")) as function:
        assert function.invoke(TIMER, limit=0).document == {"unreadable": 1}
        assert values(function, "report-error") == {"east": 1}


def test_another_receiver(there: World) -> None:
    local = there.settings(MEDUSA_STORAGE_PREFIX="east", MEDUSA_MONITORING_MONITORING_PROVIDER="local")
    with deployed(there.place, HANDLER, local) as function:
        assert function.invoke(TIMER).ok
        assert not told(function)
        assert "complete-backups" in function.said()


@pytest.mark.parametrize("event", [{}, None, {"timer": "purge"}, {"Records": []}])
def test_what_is_no_timer_fails(there: World, event: object) -> None:
    with deployed(there.place, HANDLER, there.settings()) as function:
        answer = function.invoke(event)
    assert not answer.ok
    assert answer.document["errorType"] == "Corrupt"


def test_the_rights_in_its_readme_are_enough(there: World) -> None:
    text = (ROOT / "functions" / "report" / "README.md").read_text(encoding="utf-8")
    policy = json.loads(
        text.partition("```json\n")[2].partition("```")[0].replace("BUCKET", BUCKET).replace("/P/", "/east/")
    )
    for statement in policy["Statement"]:
        statement["Principal"] = {"AWS": ["reporter"]}
    add_user(there.server, "reporter", "reportersecret")
    settings = there.settings(
        MEDUSA_STORAGE_PREFIX="east", AWS_ACCESS_KEY_ID="reporter", AWS_SECRET_ACCESS_KEY="reportersecret"
    )
    with there.server.boto() as boto:
        boto.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy))
        with deployed(there.place, HANDLER, settings) as function:
            assert function.invoke(TIMER).document == {"unreadable": 0}, function.said()
            assert values(function, "report-error") == {"east": 0}
        boto.delete_bucket_policy(Bucket=BUCKET)
