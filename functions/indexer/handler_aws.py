"""The indexer on AWS Lambda: events of S3, directly, by EventBridge, or either of them by SNS and SQS.

From SQS only the messages that failed come again (``ReportBatchItemFailures`` has to be on); otherwise the invocation
fails, and Lambda repeats it. Either way the readable rest was done before. A timer (EventBridge) has everything compared
with the bucket.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from backupstore.clock import SystemClock
from backupstore.core.notifications import read_notification, read_notification_text
from backupstore.settings import load
from backupstore.wiring import open_store
from functions.indexer.host import Host

_THE_EVENT = "the event"

_logger = Logger(service="indexer")
_metrics = Metrics(namespace="medusa-shipper", service="indexer")


@_logger.inject_lambda_context(correlation_id_path=correlation_paths.EVENT_BRIDGE, clear_state=True)
@_metrics.log_metrics(raise_on_empty_metrics=False)
def handler(event: Any, context: LambdaContext) -> Mapping[str, Any]:  # noqa: ANN401 -- whatever JSON somebody sends
    """Bring the catalog up to date for what the event speaks of; all of it, when a timer says so."""
    host, left = _host(), context.get_remaining_time_in_millis() / 1000
    match event:
        case {"timer": "reconcile", "prefix": str(prefix)}:
            return {"repaired": host.reconcile(left, prefix)}
        case {"timer": "reconcile"} | {"detail-type": "Scheduled Event"}:
            return {"repaired": host.reconcile(left)}
    records = _queued(event)
    if records is None:
        delivery = host.deliver({_THE_EVENT: read_notification(event, host.bucket)}, left)
        for error in delivery.failures.values():
            raise error
        return {"written": len(delivery.report.written), "removed": len(delivery.report.removed)}
    messages = {record["messageId"]: read_notification_text(record.get("body"), host.bucket) for record in records}
    failures = host.deliver(messages, left).failures

    def answer(record: SQSRecord) -> None:
        if record.message_id in failures:
            raise failures[record.message_id]

    return process_partial_response(event, answer, BatchProcessor(EventType.SQS), context)


def _queued(event: Any) -> list[Any] | None:  # noqa: ANN401 -- the same
    """The records of SQS; None when the event came another way."""
    match event:
        case {"Records": [{"eventSource": "aws:sqs"}, *_] as records}:
            return list(records)
    return None


def _count(name: str, value: float) -> None:
    _metrics.add_metric(name, MetricUnit.Count, value)


@cache
def _host() -> Host:
    """Kept from one invocation to the next with its connections. Its own retries are few: Lambda and SQS have theirs."""
    settings = load(None, os.environ).settings
    store = open_store(settings, patient=False)
    return Host(settings=settings, store=store, clock=SystemClock(), log=_logger, count=_count)
