"""Purge on Google's cloud, called by Pub/Sub: a timer's message plans and publishes work, and each of those does one node.

A message whose work could not be done is answered with a failure: Pub/Sub sends it again, and after so many times to the
dead letter topic. One that is sent again goes on with what was planned and done already.
"""

from __future__ import annotations

import os
from functools import cache

import functions_framework
from cloudevents.http import CloudEvent

from backupstore.clock import SystemClock
from backupstore.core.cloud_events import Timer, pushed_of, timer_of
from backupstore.google_function import counter, function_logger, time_limit, work_topic
from backupstore.metrics.cloud_monitoring import CloudMonitoring
from backupstore.queues.pubsub import PubSubQueue
from backupstore.settings import load
from backupstore.wiring import open_store
from functions.purge.host import Host

_logger = function_logger("purge")


@functions_framework.cloud_event
def handler(event: CloudEvent) -> None:
    """Plan, when a timer says so; else do the work that the message asks for."""
    text, seconds = pushed_of(event.data).text, time_limit(os.environ)
    match timer_of(text):
        case Timer("purge", prefix):
            _host().plan(seconds, prefix)
        case _:
            _host().work(text, seconds)


@cache
def _host() -> Host:
    """Kept from one call to the next with its connections. Its own retries are few: Pub/Sub has its own."""
    settings, clock = load(None, os.environ).settings, SystemClock()
    return Host(
        settings=settings,
        store=open_store(settings, patient=False),
        clock=clock,
        queue=cache(lambda: PubSubQueue(work_topic(os.environ))),
        log=_logger,
        metrics=CloudMonitoring(clock, _logger.warning),
        count=counter(_logger),
    )
