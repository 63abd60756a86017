"""Purge on AWS Lambda: a timer (EventBridge) plans and sends work to SQS, and messages of SQS do one node each.

From SQS only the messages that failed come again (``ReportBatchItemFailures`` has to be on). A timer's invocation fails when
a cluster could not be planned, after all others were, and Lambda repeats it: what was planned already is gone on with.
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
from backupstore.metrics.cloudwatch import CloudWatch
from backupstore.settings import load
from backupstore.wiring import open_store
from functions.purge.host import Host

_logger = Logger(service="purge")
_metrics = Metrics(namespace="medusa-shipper", service="purge")


@_logger.inject_lambda_context(correlation_id_path=correlation_paths.EVENT_BRIDGE, clear_state=True)
@_metrics.log_metrics(raise_on_empty_metrics=False)
def handler(event: Any, context: LambdaContext) -> Mapping[str, Any]:  # noqa: ANN401 -- whatever JSON somebody sends
    """Plan, when a timer says so; else do the work that the messages ask for."""
    match event:
        case {"Records": [{"eventSource": "aws:sqs"}, *_]}:

            def work(record: SQSRecord) -> None:
                _host().work(record.body, seconds_left(context))

            processor = Telling(_logger)
            return process_partial_response(event, work, processor, context)
        case {"timer": "purge", "prefix": str(prefix)}:
            return {"sent": _host().plan(seconds_left(context), prefix)}
        case {"timer": "purge"} | {"detail-type": "Scheduled Event"}:
            return {"sent": _host().plan(seconds_left(context))}
    raise Corrupt(
        "This event is neither a timer nor work of a queue",
        hint='Only a timer, with the input {"timer": "purge"}, and the queue that WORK_QUEUE names should call this function.',
        operation="purge",
    )


def _count(name: str, value: float) -> None:
    unit = MetricUnit.Bytes if name.endswith("-bytes") else MetricUnit.Count
    _metrics.add_metric(name, unit, value)


@cache
def _host() -> Host:
    """Kept from one invocation to the next with its connections. Its own retries are few: Lambda and SQS have theirs."""
    settings = load(None, os.environ).settings
    return Host(
        settings=settings,
        store=open_store(settings, patient=False),
        clock=SystemClock(),
        queue=cache(lambda: work_queue(os.environ)),
        log=_logger,
        metrics=CloudWatch(os.environ, _logger.warning),
        count=_count,
    )
