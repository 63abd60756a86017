"""The indexer on AWS Lambda: events of S3, directly, by EventBridge, or either of them by SNS and SQS.

From SQS only the messages that failed come again (``ReportBatchItemFailures`` has to be on); otherwise the invocation
fails, and Lambda repeats it. Either way the readable rest was done before.
"""

from __future__ import annotations

import os
import uuid
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
from backupstore.core.notifications import Notified, read_notification, read_notification_text
from backupstore.errors import BackupError
from backupstore.operations.deliver import Delivery, deliver
from backupstore.ports import ObjectStore
from backupstore.settings import Settings, load
from backupstore.stores.deadline import DeadlineStore
from backupstore.wiring import open_store

_RESERVE = 0.2  # of the time that is left: the last call may take longer, and the answer has to be given
_THE_EVENT = "the event"

_clock = SystemClock()
_logger = Logger(service="indexer")
_metrics = Metrics(namespace="medusa-shipper", service="indexer")


@_logger.inject_lambda_context(correlation_id_path=correlation_paths.EVENT_BRIDGE, clear_state=True)
@_metrics.log_metrics(raise_on_empty_metrics=False)
def handler(event: Any, context: LambdaContext) -> Mapping[str, Any]:  # noqa: ANN401 -- whatever JSON somebody sends
    """Bring the catalog up to date for what the event speaks of."""
    bucket = _settings().storage.bucket_name
    records = _queued(event)
    if records is None:
        delivery = _deliver({_THE_EVENT: read_notification(event, bucket)}, context)
        for error in delivery.failures.values():
            raise error
        return {"written": len(delivery.report.written), "removed": len(delivery.report.removed)}
    messages = {record["messageId"]: read_notification_text(record.get("body"), bucket) for record in records}
    failures = _deliver(messages, context).failures

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


def _deliver(messages: Mapping[str, Notified], context: LambdaContext) -> Delivery:
    left = context.get_remaining_time_in_millis() / 1000 * (1 - _RESERVE)
    store = DeadlineStore(_store(), _clock, _clock.running() + left)
    prefix = _settings().storage.prefix
    delivery = deliver(store, messages, now=_clock.now(), revision=_revision, prefix=prefix)
    _tell(messages, delivery)
    return delivery


def _tell(messages: Mapping[str, Notified], delivery: Delivery) -> None:
    for name, error in delivery.failures.items():
        _logger.error("%s: %s", name, error.message, extra=_details(error))
    elsewhere = frozenset[str]().union(*(notified.elsewhere for notified in messages.values()))
    if elsewhere:
        _logger.warning("events of other buckets were left out: %s", ", ".join(sorted(elsewhere)))
    written, removed = len(delivery.report.written), len(delivery.report.removed)
    done = delivery.wanted - delivery.report.failed.keys()
    if done and (written or removed):
        backups = sorted(f"{subject.backup} of {subject.node}" for subject in done)
        _logger.info("indexed %s", ", ".join(backups), extra={"written": written, "removed": removed})
    _metrics.add_metric("indexed-node-backups", MetricUnit.Count, len(done))
    _metrics.add_metric("index-failures", MetricUnit.Count, len(delivery.failures))


def _details(error: BackupError) -> dict[str, str]:
    return {"error": type(error).__name__, "hint": error.hint, "operation": error.operation, "key": error.key}


def _revision() -> str:
    return uuid.uuid4().hex


@cache
def _settings() -> Settings:
    """Read once per process. What only warns, and what no function obeys, is of no interest here."""
    return load(None, os.environ).settings


@cache
def _store() -> ObjectStore:
    """Kept from one invocation to the next with its connections. Its own retries are few: Lambda and SQS have theirs."""
    return open_store(_settings(), patient=False)
