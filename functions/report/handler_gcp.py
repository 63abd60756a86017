"""Report on Google's cloud: a timer's message has the numbers of every cluster told, by default to Cloud Monitoring."""

from __future__ import annotations

import os
from functools import cache

import functions_framework
from cloudevents.http import CloudEvent

from backupstore.core.cloud_events import Timer, pushed_of, timer_of
from backupstore.errors import Corrupt
from backupstore.google_function import function_logger, time_limit
from functions.report.host import Host, opened

_logger = function_logger("report")


@functions_framework.cloud_event
def handler(event: CloudEvent) -> None:
    """Tell monitoring, when a timer says so."""
    match timer_of(pushed_of(event.data).text):
        case Timer("report", prefix):
            _host().report(time_limit(os.environ), prefix)
        case _:
            raise Corrupt(
                "This message is no timer's",
                hint='Only a timer, with the data {"timer": "report"}, should publish to this topic.',
                operation="report",
            )


@cache
def _host() -> Host:
    """Kept from one call to the next with its connections."""
    return opened(os.environ, _logger, provider="cloud-monitoring")
