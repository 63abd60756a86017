"""Verify on Google's cloud, called by Pub/Sub: a timer's message begins what is due, and each of work does one node.

A message whose work could not be done is answered with a failure: Pub/Sub sends it again, and after so many times to the
dead letter topic.
"""

from __future__ import annotations

import os
from functools import cache

import functions_framework
from cloudevents.http import CloudEvent
from flask import request

from backupstore.clock import SystemClock
from backupstore.core.cloud_events import Timer, attempt_of, pushed_of, timer_of
from backupstore.google_function import counter, function_logger, time_limit, work_topic
from backupstore.queues.pubsub import PubSubQueue
from backupstore.settings import load
from backupstore.wiring import open_store
from functions.verify.host import Host

_logger = function_logger("verify")


@functions_framework.cloud_event
def handler(event: CloudEvent) -> None:
    """Begin what is due, when a timer says so; else do the work that the message asks for."""
    text, seconds = pushed_of(event.data).text, time_limit(os.environ)
    match timer_of(text):
        case Timer("verify", prefix):
            _host().plan(seconds, prefix)
        case _:
            # The framework leaves out of the event how often it came.
            _host().work(text, seconds, times=attempt_of(request.get_json(silent=True)), all_day=True)


@cache
def _host() -> Host:
    """Kept from one call to the next with its connections. Its own retries are few: Pub/Sub has its own."""
    settings = load(None, os.environ).settings
    return Host(
        settings=settings,
        store=open_store(settings, patient=False),
        clock=SystemClock(),
        queue=cache(lambda: PubSubQueue(work_topic(os.environ))),
        log=_logger,
        count=counter(_logger),
    )
