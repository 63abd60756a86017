"""The coordinator on Google's cloud: bucket → Pub/Sub → push → functions-framework → commands, each of them real."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from backupstore.core.job_documents import OVER
from backupstore.ports import ObjectStore
from tests.functions.google import BUCKET, OBJECTS, Google, google, push
from tests.harness.gcp_runtime import CloudFunction
from tests.played_nodes import SEED, Pair, PlayedCluster, cluster, pair
from tests.shipper.cli.program import until

TOPIC = f"projects/lab/topics/{OBJECTS}"
TIMER = b'{"timer": "coordinate"}'


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Google]:
    with google(tmp_path_factory.mktemp("google")) as made:
        yield made


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return pair(tmp_path_factory.mktemp("keys") / "pair")


@pytest.fixture(scope="module")
def mounted(there: Google, keys: Pair) -> Path:
    """The key as Secret Manager mounts it: everybody in there may read it."""
    file = there.folder / "secrets" / "signing-key"
    file.parent.mkdir()
    file.write_text(f"{keys.line}\n", encoding="ascii")
    return file


@pytest.fixture(scope="module")
def function(there: Google, mounted: Path, keys: Pair) -> Iterator[CloudFunction]:
    made = there.run("coordinator", TOPIC, MEDUSA_STORAGE_PREFIX="life", SIGNING_KEY_SECRET=str(mounted))
    yield made
    assert keys.secret not in made.said()


def played(there: Google, prefix: str, keys: Pair) -> PlayedCluster:
    return cluster(cast("ObjectStore", there.store), prefix, keys.keys)


def told(key: str, bucket: str = BUCKET) -> dict[str, str]:
    return {"eventType": "OBJECT_FINALIZE", "bucketId": bucket, "objectId": key, "payloadFormat": "NONE"}


def led(cluster: PlayedCluster, job: str, function: CloudFunction) -> None:
    """Let nodes obey until the job is over: the bucket's own notifications do the rest."""

    def is_over() -> bool:
        cluster.turn()
        return cluster.phase(job) in OVER

    until(is_over, 60, lambda: f"{cluster.job(job)}\n{function.said()[-3000:]}")


def test_what_is_asked_and_answered_leads_a_job_to_its_end(there: Google, function: CloudFunction, keys: Pair) -> None:
    nodes = played(there, "life", keys)
    job = nodes.ask()
    led(nodes, job, function)
    assert (nodes.phase(job), nodes.obeyed) == ("committed", [SEED] * 3)
    assert '"metric": "job-commands"' in function.said()


def test_a_timer_leads_it_on_when_events_are_lost_and_more_of_them_change_nothing(
    there: Google, mounted: Path, keys: Pair
) -> None:
    nodes = played(there, "timed", keys)
    alone = there.run("coordinator", MEDUSA_STORAGE_PREFIX="timed", SIGNING_KEY_SECRET=str(mounted))
    nodes.nodes[2].answers = {"prepare": "failed"}
    job = nodes.ask()
    for _ in range(8):
        assert push(alone, TIMER) == 200
        assert push(alone, attributes=told(nodes.layout.job_request(job))) == 200
        nodes.turn()
    assert nodes.phase(job) == "rolled-back"
    assert nodes.obeyed == [["prepare", "put-back"]] * 3
    assert push(alone, b'{"timer": "coordinate", "prefix": "elsewhere"}') == 500
    assert "which this function does not serve" in alone.said()


def test_a_key_that_is_exchanged_is_used_at_once(there: Google, keys: Pair, tmp_path: Path) -> None:
    file = tmp_path / "signing-key"
    file.write_text(keys.line, encoding="ascii")
    old = played(there, "exchanged", keys)
    after = pair(tmp_path / "after")
    new = played(there, "exchanged", after)
    alone = there.run("coordinator", MEDUSA_STORAGE_PREFIX="exchanged", SIGNING_KEY_SECRET=str(file))
    old.ask()
    assert push(alone, TIMER) == 200
    assert old.nodes[0].command() is not None
    file.write_text(after.line, encoding="ascii")
    assert push(alone, TIMER) == 200
    assert new.turn(), "what was under way is signed again"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "Neither of SIGNING_KEY and SIGNING_KEY_SECRET is set"),
        ({"SIGNING_KEY": "id c2VjcmV0", "SIGNING_KEY_SECRET": ""}, "SIGNING_KEY does not hold a private key"),
        ({"SIGNING_KEY_SECRET": "/nowhere/signing-key"}, "SIGNING_KEY_SECRET = /nowhere/signing-key: No such file"),
    ],
)
def test_without_a_key_nothing_is_signed_and_the_reason_is_told(
    there: Google, keys: Pair, settings: dict[str, str], said: str
) -> None:
    nodes = played(there, f"keyless{len(said)}", keys)
    job = nodes.ask()
    alone = there.run("coordinator", MEDUSA_STORAGE_PREFIX=nodes.layout.prefix, **settings)
    assert push(alone, TIMER) == 500
    assert push(alone, attributes=told(nodes.layout.job_request(job))) == 500
    assert said in alone.said()
    assert "c2VjcmV0" not in alone.said()
    assert list(nodes.store.list(nodes.layout.commands())) == []


def test_what_is_none_of_its_business_is_acknowledged_and_what_makes_no_sense_is_not(
    there: Google, function: CloudFunction, keys: Pair
) -> None:
    nodes = played(there, "life", keys)
    assert push(function, attributes=told(nodes.layout.job_turn())) == 200
    assert push(function, attributes=told(nodes.layout.job_request("x"), bucket="elsewhere")) == 200
    assert push(function, b'{"timer": "reconcile"}') == 500
    assert push(function, b"rubbish", {"eventType": "rubbish"}) == 500
    assert nodes.job("x") is None
