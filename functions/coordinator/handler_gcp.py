"""The coordinator on Google's cloud: object notifications of the bucket, by Pub/Sub, and a timer.

A message whose work could not be done is answered with a failure: Pub/Sub sends it again, and after so many times to the
dead letter topic. Commands are signed with ``SIGNING_KEY``, or with what lies in the file that ``SIGNING_KEY_SECRET`` names: a
secret of Secret Manager that is mounted, which is read each time, so that a key can be exchanged.
"""

from __future__ import annotations

import os
from functools import cache, partial
from pathlib import Path

import functions_framework
from cloudevents.http import CloudEvent

from backupstore.clock import SystemClock
from backupstore.core.cloud_events import Timer, pushed_of, timer_of
from backupstore.core.notifications import read_google_notification
from backupstore.errors import Misconfigured
from backupstore.google_function import counter, function_logger, time_limit
from backupstore.settings import load
from backupstore.wiring import open_store
from functions.coordinator.host import Host, signer_by

_WHERE = "the path of the file at which the secret that holds the private key is mounted"

_logger = function_logger("coordinator")


@functions_framework.cloud_event
def handler(event: CloudEvent) -> None:
    """Take the jobs further that the message speaks of; all of them, when a timer says so."""
    host, message, seconds = _host(), pushed_of(event.data), time_limit(os.environ)
    match timer_of(message.text):
        case Timer("coordinate", prefix):
            host.look(seconds, prefix)
        case _:
            notified = read_google_notification(message.attributes, host.bucket)
            for error in host.deliver({f"message {message.id}": notified}, seconds).values():
                raise error


def _mounted(file: str) -> str:
    try:
        # Whoever else is in there may read it: a mounted secret has no owner.
        return Path(file).read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise Misconfigured(
            (f"SIGNING_KEY_SECRET = {file}: {error.strerror}",),
            hint="It is the path at which the secret is mounted; the service account needs to access the secret.",
        ) from error


@cache
def _host() -> Host:
    """Kept from one call to the next with its connections. Its own retries are few: Pub/Sub has its own."""
    settings = load(None, os.environ).settings
    return Host(
        settings=settings,
        store=open_store(settings, patient=False),
        clock=SystemClock(),
        signer=partial(signer_by, os.environ, _mounted, _WHERE),
        log=_logger,
        count=counter(_logger),
    )
