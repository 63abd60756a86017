"""Amazon's queue service as moto plays it, and an event source mapping that hands messages to a function as Lambda's does.

moto's own mapping never delivers again what failed; this one does.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from tests.harness.s3_servers import REGION, running

_HOST = "127.0.0.1"
_INVISIBLE = 600
Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue. ``url``: what programs are told; ``client``: Amazon's own, to look from outside."""

    url: str
    client: Any

    def receive(self, most: int = 10) -> list[Message]:
        """Some of what is visible, in any order, which is then invisible until it is deleted or given back."""
        answer = self.client.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=most, VisibilityTimeout=_INVISIBLE, AttributeNames=["All"]
        )
        return list(answer.get("Messages", ()))

    def receive_all(self) -> list[Message]:
        """All that is visible."""
        found: list[Message] = []
        while some := self.receive():
            found += some
        return found

    def settle(self, messages: Sequence[Message], failed: Sequence[str]) -> None:
        """Delete what was done, and let come again what was not: message ids."""
        for message in messages:
            told = {"QueueUrl": self.url, "ReceiptHandle": message["ReceiptHandle"]}
            if message["MessageId"] in failed:
                self.client.change_message_visibility(**told, VisibilityTimeout=0)
            else:
                self.client.delete_message(**told)


def batch(messages: Sequence[Message]) -> dict[str, Any]:
    """The event that Lambda gets for these."""
    return {
        "Records": [
            {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": message.get("Attributes", {}),
                "messageAttributes": {},
                "md5OfBody": message["MD5OfBody"],
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:{REGION}:123456789012:work",
                "awsRegion": REGION,
            }
            for message in messages
        ]
    }


@dataclass(frozen=True, slots=True)
class SqsServer:
    """``url``: what ``AWS_ENDPOINT_URL_SQS`` has to say."""

    url: str
    client: Any

    def queue(self, name: str) -> Queue:
        """A new queue."""
        return Queue(self.client.create_queue(QueueName=name)["QueueUrl"], self.client)


@contextmanager
def sqs(folder: Path) -> Iterator[SqsServer]:
    """A queue service without any queue, which takes every key."""
    command = _command()
    with running(command, {}, folder / "sqs.log") as port:
        url = f"http://{_HOST}:{port}"
        client: Any = boto3.session.Session().client(
            "sqs", endpoint_url=url, region_name=REGION, aws_access_key_id="a", aws_secret_access_key="b"
        )
        try:
            yield SqsServer(url, client)
        finally:
            client.close()


def _command() -> Callable[[int], Sequence[str]]:
    program = str(Path(sys.executable).with_name("moto_server"))
    return lambda port: [program, "--host", _HOST, "--port", str(port)]
