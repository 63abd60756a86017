"""Work items in SQS: all of them get there, and what goes wrong is told as what it is."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from backupstore.core.work import MOST_TEXT
from backupstore.errors import BackupError, Denied, Misconfigured, Retryable
from backupstore.queues.sqs import SqsQueue
from tests.harness.s3_servers import REGION, free_port
from tests.harness.scripted_server import scripted_server
from tests.harness.sqs_server import SqsServer, sqs


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqsServer]:
    with sqs(tmp_path_factory.mktemp("sqs")) as found:
        yield found


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


def test_every_text_becomes_a_message(server: SqsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", server.url)
    queue = server.queue("many")
    texts = [f'{{"number": {number}}}' for number in range(23)]
    sender = SqsQueue(queue.url, region=REGION)
    sender.send(texts)
    sender.send([])
    sender.close()
    assert sorted(message["Body"] for message in queue.receive_all()) == sorted(texts)


def test_texts_that_are_too_long_together_go_one_by_one(server: SqsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", server.url)
    queue = server.queue("long")
    sender = SqsQueue(queue.url, region=REGION)
    sender.send(["a" * (MOST_TEXT // 2 + 1), "b" * (MOST_TEXT // 2 + 1), "c"])
    sender.close()
    assert sorted(message["Body"][0] for message in queue.receive_all()) == ["a", "b", "c"]


def test_a_queue_that_is_not_there_is_a_setting_that_is_wrong(
    server: SqsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", server.url)
    with pytest.raises(Misconfigured, match="WORK_QUEUE"):
        SqsQueue(f"{server.url}/123456789012/nobody", region=REGION).send(["a"])


def test_without_a_region_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(Misconfigured, match="region"):
        SqsQueue("https://sqs.example.com/1/q")


def test_a_service_that_does_not_answer_may_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Retryable, match="does not answer"):
        SqsQueue("https://sqs.example.com/1/q", region=REGION).send(["a"])


def answer(status: int, document: object, kind: str = "") -> bytes:
    body = json.dumps(document).encode()
    head = f"HTTP/1.1 {status} Said\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: {len(body)}\r\n"
    return f"{head}{f'x-amzn-query-error: {kind};Sender' if kind else 'x-a: b'}\r\n\r\n".encode() + body


def refusing(*numbers: int, sender: bool = False) -> bytes:
    failed = [{"Id": str(n), "SenderFault": sender, "Code": "Odd", "Message": "why"} for n in numbers]
    return answer(200, {"Successful": [], "Failed": failed})


def test_what_the_queue_did_not_take_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted_server([refusing(0, 2)], [refusing(1)], [refusing()]) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", f"http://127.0.0.1:{server.port}")
        SqsQueue("https://sqs.example.com/1/q", region=REGION).send(["aaaa", "b", "cccc"])
    assert len(server.heads) == 3
    assert server.bodies == sorted(server.bodies, reverse=True), "less and less"


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ([refusing(0)] * 3, Retryable),
        ([refusing(0, sender=True)], Denied),
        ([answer(400, {"__type": "com.amazonaws.sqs#AccessDeniedException", "message": "no"})], Denied),
        ([answer(400, {"__type": "com.amazonaws.sqs#KmsAccessDenied", "message": "no"}, "KMS.AccessDenied")], Denied),
        ([answer(400, {"__type": "com.amazonaws.sqs#OverLimit", "message": "many"})], Retryable),
    ],
    ids=["it never takes it", "it takes no such message", "no right", "no right to the key", "too many"],
)
def test_what_goes_wrong_is_told(said: list[bytes], error: type[BackupError], monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted_server(*([one] for one in said)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", f"http://127.0.0.1:{server.port}")
        with pytest.raises(error) as caught:
            SqsQueue("https://sqs.example.com/1/q", region=REGION).send(["a"])
    assert caught.value.hint
