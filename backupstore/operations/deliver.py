"""Deliver: a batch of messages is indexed together, each document once, and answered for one by one.

So that whoever sent them sends again what failed, and nothing else: a message that is no message, or whose backup is in
trouble, never holds up the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from backupstore.core.events import Subject, subjects
from backupstore.core.notifications import Notified
from backupstore.errors import BackupError, Corrupt
from backupstore.operations.index import IndexReport, index
from backupstore.ports import ObjectStore


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came of it. ``failures``: by message, why it has to come again or be looked at."""

    report: IndexReport
    wanted: frozenset[Subject]
    failures: Mapping[str, BackupError]


def deliver(
    store: ObjectStore,
    messages: Mapping[str, Notified],
    *,
    now: float,
    revision: Callable[[], str],
    prefix: str | None = None,
) -> Delivery:
    """Look at all that these messages speak of. With ``prefix``, only that cluster is served; other events are no failure.

    A message with parts that cannot be read fails after the rest of it was done: it ends where failed messages are
    kept, and can be looked at there.
    """
    spoken_of = {name: _served(notified, prefix) for name, notified in messages.items()}
    wanted = frozenset[Subject]().union(*spoken_of.values())
    report = index(store, wanted, now=now, revision=revision)
    failures: dict[str, BackupError] = {}
    for name, notified in messages.items():
        troubles: list[BackupError] = [
            report.failed[subject] for subject in sorted(spoken_of[name]) if subject in report.failed
        ]
        troubles += unreadable(notified)
        if troubles:
            failures[name] = troubles[0]
    return Delivery(report, wanted, failures)


def _served(notified: Notified, prefix: str | None) -> frozenset[Subject]:
    found = subjects(notified.events)
    return found if prefix is None else frozenset(subject for subject in found if subject.prefix == prefix)


def unreadable(notified: Notified) -> list[Corrupt]:
    """Why parts of a message could not be read."""
    return [
        Corrupt(
            f"a message {line}",
            hint="Only object events of the bucket should come here: see what else sends to this queue or function.",
            operation="read event",
        )
        for line in notified.unreadable
    ]
