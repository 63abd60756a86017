"""The indexer on Google's cloud: object notifications of the bucket, by Pub/Sub. A timer has everything compared with it.

A message whose work could not be done is answered with a failure: Pub/Sub sends it again, and after so many times to the
dead letter topic.
"""

from __future__ import annotations

import os
from functools import cache

import functions_framework
from cloudevents.http import CloudEvent

from backupstore.clock import SystemClock
from backupstore.core.cloud_events import Timer, pushed_of, timer_of
from backupstore.core.notifications import read_google_notification
from backupstore.google_function import counter, function_logger, time_limit
from backupstore.settings import load
from backupstore.wiring import open_store
from functions.indexer.host import Host

_logger = function_logger("indexer")


@functions_framework.cloud_event
def handler(event: CloudEvent) -> None:
    """Bring the catalog up to date for what the message speaks of; all of it, when a timer says so."""
    host, message, seconds = _host(), pushed_of(event.data), time_limit(os.environ)
    match timer_of(message.text):
        case Timer("reconcile", prefix):
            host.reconcile(seconds, prefix)
        case _:
            notified = read_google_notification(message.attributes, host.bucket)
            for error in host.deliver({f"message {message.id}": notified}, seconds).failures.values():
                raise error


@cache
def _host() -> Host:
    """Kept from one call to the next with its connections. Its own retries are few: Pub/Sub has its own."""
    settings = load(None, os.environ).settings
    store = open_store(settings, patient=False)
    return Host(settings=settings, store=store, clock=SystemClock(), log=_logger, count=counter(_logger))
