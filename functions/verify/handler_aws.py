"""Verify on AWS Lambda: a timer (EventBridge) begins what is due and sends work to SQS, and messages of SQS do one node each.

From SQS only the messages that failed come again (``ReportBatchItemFailures`` has to be on). A timer's invocation fails when
something could not be begun, after all else was, and Lambda repeats it: what is under way is not begun again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from backupstore.clock import SystemClock
from backupstore.errors import Corrupt
from backupstore.lambda_function import Telling, seconds_left, work_queue
from backupstore.settings import load
from backupstore.wiring import open_store
from functions.verify.host import Host

_ALL_DAY = 0.9
_logger = Logger(service="verify")
_metrics = Metrics(namespace="medusa-shipper", service="verify")


@_logger.inject_lambda_context(correlation_id_path=correlation_paths.EVENT_BRIDGE, clear_state=True)
@_metrics.log_metrics(raise_on_empty_metrics=False)
def handler(event: Any, context: LambdaContext) -> Mapping[str, Any]:  # noqa: ANN401 -- whatever JSON somebody sends
    """Begin what is due, when a timer says so; else do the work that the messages ask for."""
    match event:
        case {"Records": [{"eventSource": "aws:sqs"}, *_]}:
            return _work(event, context)
        case {"timer": "verify", "prefix": str(prefix)}:
            return {"sent": _host().plan(seconds_left(context), prefix)}
        case {"timer": "verify"} | {"detail-type": "Scheduled Event"}:
            return {"sent": _host().plan(seconds_left(context))}
    raise Corrupt(
        "This event is neither a timer nor work of a queue",
        hint='Only a timer, with the input {"timer": "verify"}, and the queue that WORK_QUEUE names should call this function.',
        operation="verify",
    )


def _work(event: Any, context: LambdaContext) -> Mapping[str, Any]:  # noqa: ANN401 -- the same
    whole = seconds_left(context)

    def work(record: SQSRecord) -> None:
        left, times = seconds_left(context), int(record.attributes.approximate_receive_count or 1)
        _host().work(record.body, left, times=times, all_day=left >= whole * _ALL_DAY)

    processor = Telling(_logger)
    return process_partial_response(event, work, processor, context)


def _count(name: str, value: float) -> None:
    _metrics.add_metric(name, MetricUnit.Count, value)


@cache
def _host() -> Host:
    """Kept from one invocation to the next with its connections. Its own retries are few: Lambda and SQS have theirs."""
    settings = load(None, os.environ).settings
    store = open_store(settings, patient=False)
    return Host(
        settings=settings,
        store=store,
        clock=SystemClock(),
        queue=cache(lambda: work_queue(os.environ)),
        log=_logger,
        count=_count,
    )
