"""Is somebody keeping the catalog, and does he hear of new backups? Told from what lies in the bucket alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from backupstore.core import layout as grammar
from backupstore.core.catalog import lines_of
from backupstore.operations.reading import is_behind
from shipper.doctor.case import MOST, Case
from shipper.doctor.findings import Report, ok, unchecked, warn
from shipper.meta import look

_PATIENCE = 60.0
_SERVE = (
    "Run 'medusa-shipper serve' on one machine that sees the bucket, or deploy the indexer (docs/guides/events.md)."
)
_EVENTS = (
    "Compare the bucket's notifications with docs/guides/events.md; until then lists are as late as reconcile is rare."
)


def look_at_catalog(case: Case) -> Iterator[Report]:
    """Whether it was confirmed lately, and knows the last backup that this machine made."""
    head, now = case.head, case.clock.now()
    reason = is_behind(
        head,
        now=now,
        interval=float(case.settings.shipper.reconcile_interval),
        last_own=case.last_own,
        node=case.name if case.is_named else "",
    )
    if head is None or reason is not None:
        yield warn(f"{reason}: nobody keeps the list of backups; the backups themselves are not affected", _SERVE)
    else:
        yield ok(f"confirmed {max(0.0, now - head.checked):.0f} seconds ago, {len(head.backups)} cluster backups")


def look_at_events(case: Case) -> Iterator[Report]:
    """Whether what this node has finished has got into the catalog."""
    listed = {line.name for line in lines_of(case.head, case.name)} if case.head else set()
    silent = {}
    for name in [name for name in case.backups if name not in listed][-MOST:]:
        found = look(case.store, case.layout, case.name, name)
        if found.attempts and grammar.MANIFEST in found.files and grammar.ABANDONED not in found.files:
            silent[name] = found.files[grammar.MANIFEST]
    if silent or listed.intersection(case.backups):
        poll = float(case.settings.shipper.poll_interval)
        yield judge_events(silent, case.clock.now(), max(_PATIENCE, 2 * poll))
    else:
        yield unchecked(
            "this node has finished no backup yet, by which it could be told", "Ask again after the first one."
        )


def judge_events(silent: Mapping[str, float], now: float, patience: float) -> Report:
    """``silent``: what was finished, when, and is not in the catalog; ``patience``: seconds that whoever looks may take."""
    late = {name: now - at for name, at in silent.items() if now - at > patience}
    if not late:
        return ok("what this node has finished is in the catalog, or was told just now")
    name = min(late, key=lambda each: late[each])
    return warn(
        f"{name} was finished {late[name] / 60:.0f} minutes ago and is not in the catalog"
        + (f", nor are {len(late) - 1} others" if len(late) > 1 else "")
        + ": no event has arrived, or nobody acts on it",
        _EVENTS,
    )
