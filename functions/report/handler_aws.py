"""Report on AWS Lambda: a timer (EventBridge) has the numbers of every cluster told, by default to CloudWatch.

The function's log is where CloudWatch takes them from (embedded metric format); ``monitoring_provider`` names another
receiver. Reading one catalog takes two reads and a listing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.utilities.typing import LambdaContext

from backupstore.errors import Corrupt
from functions.report.host import Host, opened

_logger = Logger(service="report")


@_logger.inject_lambda_context(correlation_id_path=correlation_paths.EVENT_BRIDGE, clear_state=True)
def handler(event: Any, context: LambdaContext) -> Mapping[str, Any]:  # noqa: ANN401 -- whatever JSON somebody sends
    """Tell monitoring, when a timer says so."""
    left = context.get_remaining_time_in_millis() / 1000
    match event:
        case {"timer": "report", "prefix": str(prefix)}:
            return {"unreadable": _host().report(left, prefix)}
        case {"timer": "report"} | {"detail-type": "Scheduled Event"}:
            return {"unreadable": _host().report(left)}
    raise Corrupt(
        "This event is no timer",
        hint='Only a timer, with the input {"timer": "report"}, should call this function.',
        operation="report",
    )


@cache
def _host() -> Host:
    """Kept from one call to the next with its connections."""
    return opened(os.environ, _logger, provider="cloudwatch")
