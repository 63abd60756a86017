"""Work items in Pub/Sub, as Google's own emulator takes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backupstore.errors import Misconfigured, Retryable
from backupstore.queues.pubsub import PubSubQueue
from tests.harness.pubsub_emulator import PubSub, pubsub
from tests.harness.s3_servers import free_port


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PubSub]:
    with pubsub(tmp_path_factory.mktemp("pubsub")) as running:
        yield running


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, emulator: PubSub) -> pytest.MonkeyPatch:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", emulator.host)
    return monkeypatch


def pulled(emulator: PubSub, name: str, wanted: int) -> list[bytes]:
    found: list[bytes] = []
    while len(found) < wanted:
        found += [message.data for message in emulator.pull(name)]
    return found + [message.data for message in emulator.pull(name)]


def test_each_text_is_one_message(emulator: PubSub) -> None:
    topic = emulator.topic("each")
    emulator.pulled_by("each", topic)
    texts = ['{"kind":"purge-node"}', "ä", "x" * 200_000]
    queue = PubSubQueue(topic)
    queue.send(texts)
    queue.close()
    assert sorted(pulled(emulator, "each", 3)) == sorted(text.encode() for text in texts)


@pytest.mark.parametrize("size", [1, 12_000])
def test_more_than_one_request_takes(emulator: PubSub, size: int) -> None:
    topic = emulator.topic(f"many{size}")
    emulator.pulled_by(f"many{size}", topic)
    texts = [f"{number:04}".ljust(size, "x") for number in range(1203)]
    queue = PubSubQueue(topic)
    queue.send(texts)
    queue.send([])
    queue.close()
    assert sorted(pulled(emulator, f"many{size}", 1203)) == [text.encode() for text in texts]


@pytest.mark.parametrize("topic", ["projects/lab/topics/absent", "absent", "projects/lab/topics/"])
def test_a_topic_that_is_not_there_is_named(topic: str) -> None:
    queue = PubSubQueue(topic)
    with pytest.raises(Misconfigured, match=f"WORK_QUEUE = {topic}") as caught:
        queue.send(["x"])
    assert "projects/PROJECT/topics/TOPIC" in caught.value.hint
    queue.close()


def test_a_service_that_does_not_answer_is_retryable(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{free_port()}")
    queue = PubSubQueue("projects/lab/topics/t", patience=1.0)
    with pytest.raises(Retryable):
        queue.send(["x"])
    queue.close()


def test_without_credentials_it_says_what_to_do(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.delenv("PUBSUB_EMULATOR_HOST")
    environment.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    environment.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    environment.setenv("NO_GCE_CHECK", "true")
    with pytest.raises(Misconfigured, match="no credentials"):
        PubSubQueue("projects/lab/topics/t")
