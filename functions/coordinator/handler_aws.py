"""The coordinator on AWS Lambda: events of S3, directly, by EventBridge, or either of them by SNS and SQS; and a timer.

From SQS only the messages that failed come again (``ReportBatchItemFailures`` has to be on); otherwise the invocation
fails, and Lambda repeats it. Commands are signed with ``SIGNING_KEY``, or with what ``SIGNING_KEY_SECRET`` names: a secret of
Secrets Manager or a parameter of Systems Manager, by its ARN. That one is asked again after five minutes, so that a key can
be exchanged.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache, partial
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.parameters import GetParameterError, SecretsProvider, SSMProvider
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config

from backupstore.clock import SystemClock
from backupstore.core.notifications import read_notification, read_notification_text
from backupstore.errors import Misconfigured
from backupstore.lambda_function import Telling, seconds_left
from backupstore.settings import load
from backupstore.wiring import open_store
from functions.coordinator.host import Host, signer_by

_THE_EVENT = "the event"
_KEPT = 300  # seconds
_PARTS = 6  # of an ARN
_WHERE = "the ARN of the secret, or of the parameter, that holds the private key"

_logger = Logger(service="coordinator")
_metrics = Metrics(namespace="medusa-shipper", service="coordinator")


@_logger.inject_lambda_context(correlation_id_path=correlation_paths.EVENT_BRIDGE, clear_state=True)
@_metrics.log_metrics(raise_on_empty_metrics=False)
def handler(event: Any, context: LambdaContext) -> Mapping[str, Any]:  # noqa: ANN401 -- whatever JSON somebody sends
    """Take the jobs further that the event speaks of; all of them, when a timer says so."""
    host, left = _host(), seconds_left(context)
    match event:
        case {"timer": "coordinate", "prefix": str(prefix)}:
            return {"clusters": host.look(left, prefix)}
        case {"timer": "coordinate"} | {"detail-type": "Scheduled Event"}:
            return {"clusters": host.look(left)}
        case {"Records": [{"eventSource": "aws:sqs"}, *_] as records}:
            messages = {one["messageId"]: read_notification_text(one.get("body"), host.bucket) for one in records}
            failures = host.deliver(messages, left)

            def answer(record: SQSRecord) -> None:
                if record.message_id in failures:
                    raise failures[record.message_id]

            return process_partial_response(event, answer, Telling(_logger), context)
    for error in host.deliver({_THE_EVENT: read_notification(event, host.bucket)}, left).values():
        raise error
    return {}


def _count(name: str, value: float) -> None:
    _metrics.add_metric(name, MetricUnit.Count, value)


def _secret(arn: str) -> str:
    """What the store holds there, asked for once in five minutes."""
    parts = arn.split(":", 5)
    kind, region = (parts[2], parts[3]) if len(parts) == _PARTS and parts[0] == "arn" else ("", "")
    try:
        match kind:
            case "secretsmanager":
                return str(_secrets(region).get(arn, max_age=_KEPT))
            case "ssm":
                return str(_parameters(region).get(arn, max_age=_KEPT, decrypt=True))
    except GetParameterError as error:
        action = "ssm:GetParameter" if kind == "ssm" else "secretsmanager:GetSecretValue"
        raise Misconfigured(
            (f"SIGNING_KEY_SECRET = {arn}: {error}",),
            hint=f"See that it is there, and that the function's role has {action} on it.",
        ) from error
    raise Misconfigured(
        (f"SIGNING_KEY_SECRET = {arn}: is no ARN of a secret or of a parameter",),
        hint="It begins with arn:aws:secretsmanager: or with arn:aws:ssm:.",
    )


@cache
def _secrets(region: str) -> SecretsProvider:
    return SecretsProvider(boto3_client=_client("secretsmanager", region))


@cache
def _parameters(region: str) -> SSMProvider:
    return SSMProvider(boto3_client=_client("ssm", region))


def _client(service: str, region: str) -> Any:  # noqa: ANN401 -- Amazon's own, without types here
    """One that gives up in time: what hangs must not use up the time of the invocation."""
    session: Any = boto3.session.Session()
    config = Config(connect_timeout=5, read_timeout=5, retries={"total_max_attempts": 2})
    return session.client(service, region_name=region, config=config)


@cache
def _host() -> Host:
    """Kept from one invocation to the next with its connections. Its own retries are few: Lambda and SQS have theirs."""
    settings = load(None, os.environ).settings
    return Host(
        settings=settings,
        store=open_store(settings, patient=False),
        clock=SystemClock(),
        signer=partial(signer_by, os.environ, _secret, _WHERE),
        log=_logger,
        count=_count,
    )
