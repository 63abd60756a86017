"""Being woken by SQS and by Pub/Sub: what comes is heard at once, is gone when it is acknowledged, and trouble is told."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import botocore.session
import pytest

from backupstore.errors import BackupError, Denied, Misconfigured, Retryable
from backupstore.queues import pubsub_bell, sqs_bell
from backupstore.queues.pubsub_bell import PubSubBell
from backupstore.queues.sqs_bell import SqsBell
from tests.harness.pubsub_emulator import PubSub, pubsub
from tests.harness.s3_servers import REGION, free_port
from tests.harness.scripted_server import scripted_server
from tests.harness.sqs_server import SqsServer, sqs

AMAZON = f"https://sqs.{REGION}.amazonaws.com/123456789012/n1"
SUBSCRIPTION = "projects/lab/subscriptions/n1-commands"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqsServer]:
    with sqs(tmp_path_factory.mktemp("sqs")) as found:
        yield found


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PubSub]:
    with pubsub(tmp_path_factory.mktemp("pubsub")) as running:
        yield running


@pytest.fixture
def amazon(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in {"ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "MAX_ATTEMPTS": "1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    return monkeypatch


def sqs_bell_at(url: str) -> SqsBell:
    return SqsBell(url, botocore.session.Session())


class TestSqs:
    def test_a_message_is_heard_and_does_not_come_again(self, server: SqsServer, amazon: pytest.MonkeyPatch) -> None:
        amazon.setenv("AWS_ENDPOINT_URL_SQS", server.url)
        amazon.setenv("AWS_DEFAULT_REGION", REGION)
        amazon.setattr(sqs_bell, "_WAIT", 1)
        queue = server.queue("heard")
        bell = sqs_bell_at(queue.url)
        assert list(bell.wait()) == []
        for text in ("{", "anything"):
            queue.client.send_message(QueueUrl=queue.url, MessageBody=text)
        receipts: list[str] = []
        while len(receipts) < 2:
            receipts += bell.wait()
        bell.acknowledge(receipts)
        bell.close()
        shown = queue.client.get_queue_attributes(QueueUrl=queue.url, AttributeNames=["All"])["Attributes"]
        assert int(shown["ApproximateNumberOfMessages"]) + int(shown["ApproximateNumberOfMessagesNotVisible"]) == 0

    def test_what_comes_while_it_waits_is_heard_at_once(self, server: SqsServer, amazon: pytest.MonkeyPatch) -> None:
        amazon.setenv("AWS_ENDPOINT_URL_SQS", server.url)
        amazon.setenv("AWS_DEFAULT_REGION", REGION)
        queue = server.queue("waits")
        heard: list[str] = []
        bell = sqs_bell_at(queue.url)
        waiting = threading.Thread(target=lambda: heard.extend(bell.wait()))
        waiting.start()
        queue.client.send_message(QueueUrl=queue.url, MessageBody="x")
        waiting.join(60)
        bell.close()
        assert len(heard) == 1

    def test_the_region_stands_in_the_url(self, amazon: pytest.MonkeyPatch) -> None:
        with scripted_server([answer(200, {})]) as script:
            amazon.setenv("AWS_ENDPOINT_URL_SQS", f"http://127.0.0.1:{script.port}")
            assert list(sqs_bell_at(AMAZON).wait()) == []
            assert f"/{REGION}/sqs/aws4_request".encode() in script.heads[0]
            assert b"AmazonSQS.ReceiveMessage" in script.heads[0]

    @pytest.mark.parametrize("url", ["https://queues.example.com/1/q", "https://sqs.example.com/1/q"])
    def test_one_without_a_region_is_a_mistake_or_an_address_of_its_own(
        self, amazon: pytest.MonkeyPatch, url: str
    ) -> None:
        if "queues" in url:
            with pytest.raises(Misconfigured, match="command_queue") as caught:
                sqs_bell_at(url)
            assert "AWS_DEFAULT_REGION" in caught.value.hint
        amazon.setenv("AWS_DEFAULT_REGION", REGION)
        sqs_bell_at(url).close()

    @pytest.mark.parametrize(
        ("said", "error", "hint"),
        [
            ({"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "no"}, Misconfigured, "URL"),
            ({"__type": "com.amazonaws.sqs#AccessDeniedException", "message": "no"}, Denied, "sqs:DeleteMessage"),
            ({"__type": "com.amazonaws.sqs#OverLimit", "message": "many"}, Retryable, "SQS"),
        ],
        ids=["no such queue", "no right", "too many"],
    )
    @pytest.mark.parametrize("verb", ["wait", "acknowledge"])
    def test_trouble_is_told(
        self, amazon: pytest.MonkeyPatch, verb: str, said: object, error: type[BackupError], hint: str
    ) -> None:
        with scripted_server([answer(400, said)]) as script:
            amazon.setenv("AWS_ENDPOINT_URL_SQS", f"http://127.0.0.1:{script.port}")
            bell = sqs_bell_at(AMAZON)
            with pytest.raises(error) as caught:
                bell.wait() if verb == "wait" else bell.acknowledge(["r"])
        assert hint in caught.value.hint

    def test_a_service_that_does_not_answer_may_later(self, amazon: pytest.MonkeyPatch) -> None:
        amazon.setenv("AWS_ENDPOINT_URL_SQS", f"http://127.0.0.1:{free_port()}")
        with pytest.raises(Retryable, match="does not answer"):
            sqs_bell_at(AMAZON).wait()


class TestPubSub:
    @pytest.fixture(autouse=True)
    def environment(self, monkeypatch: pytest.MonkeyPatch, emulator: PubSub) -> pytest.MonkeyPatch:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", emulator.host)
        return monkeypatch

    def test_a_message_is_heard_and_does_not_come_again(
        self, emulator: PubSub, environment: pytest.MonkeyPatch
    ) -> None:
        environment.setattr(pubsub_bell, "_WAIT", 1.0)
        topic = emulator.topic("commands")
        emulator.pulled_by("n1-commands", topic)
        bell = PubSubBell(SUBSCRIPTION)
        assert list(bell.wait()) == [], "however long the service itself would wait"
        emulator.publish(topic, b"anything")
        receipts: list[str] = []
        while not receipts:
            receipts += bell.wait()
        bell.acknowledge(receipts)
        assert len(receipts) == 1
        assert list(bell.wait()) == []
        bell.close()

    @pytest.mark.parametrize("subscription", ["projects/lab/subscriptions/absent", "absent"])
    def test_a_subscription_that_is_not_there_is_named(self, subscription: str) -> None:
        bell = PubSubBell(subscription)
        with pytest.raises(Misconfigured, match=f"command_queue = {subscription}") as caught:
            bell.wait()
        assert "projects/PROJECT/subscriptions/NAME" in caught.value.hint
        with pytest.raises(Misconfigured):
            bell.acknowledge(["x"])
        bell.close()

    def test_who_cannot_be_reached_is_not_taken_for_silent(self, environment: pytest.MonkeyPatch) -> None:
        with socket.socket() as mute:  # takes connections, and never says a word
            mute.bind(("127.0.0.1", 0))
            mute.listen()
            for port in (mute.getsockname()[1], free_port()):
                environment.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{port}")
                bell = PubSubBell(SUBSCRIPTION)
                with pytest.raises(Retryable):
                    bell.wait()
                bell.close()

    def test_without_credentials_it_says_what_to_do(self, environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
        environment.delenv("PUBSUB_EMULATOR_HOST")
        environment.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
        environment.setenv("CLOUDSDK_CONFIG", str(tmp_path))
        environment.setenv("NO_GCE_CHECK", "true")
        (tmp_path / "no-key").write_text("{}")
        for key_file in (None, tmp_path / "absent", tmp_path / "no-key"):
            with pytest.raises(Misconfigured, match="no credentials") as caught:
                PubSubBell(SUBSCRIPTION, key_file)
            assert "key_file" in caught.value.hint


def answer(status: int, document: object) -> bytes:
    body = json.dumps(document).encode()
    lines = [f"HTTP/1.1 {status} Said", "Content-Type: application/x-amz-json-1.0", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body
