"""Report on Google's cloud: a timer's message has the numbers of every cluster told, by default to Cloud Monitoring."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cache

import functions_framework
from cloudevents.http import CloudEvent

from backupstore.clock import SystemClock
from backupstore.core.cloud_events import Timer, pushed_of, timer_of
from backupstore.errors import Corrupt
from backupstore.google_function import function_logger, time_limit
from backupstore.settings import load
from backupstore.wiring import open_metrics, open_store
from functions.report.host import Host

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
    """Kept from one call to the next with its connections. Its own retries are few: Pub/Sub has its own."""
    settings = load(None, os.environ).settings
    if settings.monitoring.monitoring_provider is None:
        settings = replace(settings, monitoring=replace(settings.monitoring, monitoring_provider="cloud-monitoring"))
    return Host(
        settings=settings,
        store=open_store(settings, patient=False),
        clock=SystemClock(),
        log=_logger,
        metrics=open_metrics(settings, os.environ, say=_logger.info, warn=_logger.warning),
    )
