"""Asking a node that has just opened its port: it may still refuse logins, miss its replicas, and build indexes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from backupstore.errors import Denied, NodeTrouble
from backupstore.ports import Clock
from shipper.cassandra.port import Undecoded

T = TypeVar("T")

_SECONDS = 30.0


def patiently(clock: Clock, question: Callable[[], T]) -> T:
    """Ask again and again for half a minute. NodeTrouble, Denied as in the last answer."""
    end = clock.running() + _SECONDS
    while True:
        try:
            return question()
        except Undecoded:
            raise  # the node has answered
        except (NodeTrouble, Denied):
            if clock.running() >= end:
                raise
        clock.sleep(1.0)
