"""The ways of an event to a function: what versitygw told, as Amazon would have said it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote_plus

Record = dict[str, Any]
Route = Callable[[Sequence[Record]], Any]


def as_it_is(records: Sequence[Record]) -> Any:  # noqa: ANN401 -- JSON
    """From the gateway itself: keys not encoded, ETags in quotes."""
    return {"Records": list(records)}


def by_s3(records: Sequence[Record]) -> Any:  # noqa: ANN401 -- the same
    """Keys encoded as Amazon does it, ETags without quotes, and no sequencer."""
    return {"Records": [_amazons(record) for record in records]}


def by_eventbridge(record: Record) -> Record:
    """One event; EventBridge has no batches."""
    removed = "Removed" in record["eventName"]
    told = record["s3"]["object"]
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": "Object Deleted" if removed else "Object Created",
        "source": "aws.s3",
        "time": "2026-11-23T02:00:00Z",
        "detail": {"bucket": {"name": record["s3"]["bucket"]["name"]}, "object": {"key": told["key"]}},
    }


def by_sns(message: Any) -> Record:  # noqa: ANN401 -- the same
    """As SNS hands a message on."""
    return {"Type": "Notification", "MessageId": "1", "TopicArn": "arn:aws:sns:::t", "Message": json.dumps(message)}


def by_sqs(bodies: Sequence[Any]) -> Any:  # noqa: ANN401 -- the same
    """A batch; a message's id is its place in it. A text is a body as it is."""
    return {"Records": [_queued(number, body) for number, body in enumerate(bodies)]}


ROUTES: dict[str, Route] = {
    "versitygw": as_it_is,
    "s3": by_s3,
    "a list": lambda records: [by_eventbridge(record) for record in records],
    "s3 by sqs": lambda records: by_sqs([by_s3([record]) for record in records]),
    "eventbridge by sqs": lambda records: by_sqs([by_eventbridge(record) for record in records]),
    "s3 by sns by sqs": lambda records: by_sqs([by_sns(by_s3([record])) for record in records]),
}


def _amazons(record: Record) -> Record:
    told = record["s3"]["object"]
    key = quote_plus(told["key"], safe="/")
    etag = (told.get("eTag") or "").strip('"')
    return {**record, "s3": {**record["s3"], "object": {"key": key, "size": told["size"], "eTag": etag}}}


def _queued(number: int, body: Any) -> Record:  # noqa: ANN401 -- the same
    return {
        "messageId": str(number),
        "receiptHandle": "r",
        "body": body if isinstance(body, str) else json.dumps(body),
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {},
        "md5OfBody": "0",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:events",
        "awsRegion": "us-east-1",
    }
