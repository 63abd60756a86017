"""Findings: what verify found out about a cluster backup, one document for each level.

They are no part of any backup and follow from what was looked at, so the last one to look is right: they are written
over unconditionally.
"""

from __future__ import annotations

from typing import get_args

from backupstore.core.documents import Findings, Level, Verification, encode
from backupstore.core.layout import Layout
from backupstore.core.verification import is_harm
from backupstore.errors import Corrupt
from backupstore.operations.documents import read_own
from backupstore.ports import ObjectStore

LEVELS: tuple[Level, ...] = get_args(Level)


def read_findings(store: ObjectStore, layout: Layout, backup: str, level: Level) -> Findings | None:
    """What the last verification on a level found; None when there was none. Corrupt when it cannot be read."""
    key = layout.finding(backup, level)
    found = read_own(store, Findings, key)
    if found is not None and (found.backup, found.level) != (backup, level):
        raise Corrupt(
            f"{key} speaks of {found.backup} on level {found.level}",
            hint=f"Delete it, and run verify --level {level} --backup-name {backup} again.",
            operation="read findings",
            key=key,
        )
    return found


def read_verified(store: ObjectStore, layout: Layout, backup: str) -> tuple[Verification, ...]:
    """When it was last verified on each level, and whether all was good. What cannot be read is not good.

    One listing, and a read for each level that there is.
    """
    listed = {stored.key: stored for stored in store.list(layout.findings(backup))}
    verified = []
    for level in LEVELS:
        stored = listed.get(layout.finding(backup, level))
        if stored is None:
            continue
        try:
            found = read_findings(store, layout, backup, level)
        except Corrupt:
            verified.append(Verification(at=stored.modified, level=level, ok=False, harm=True))
        else:
            if found is not None:
                harm = not found.ok and is_harm(found.counts)
                verified.append(Verification(at=found.at, level=level, ok=found.ok, harm=harm, subset=found.subset))
    return tuple(verified)


def write_findings(store: ObjectStore, layout: Layout, findings: Findings) -> str:
    """Write them over what was found before; returns the key."""
    key = layout.finding(findings.backup, findings.level)
    store.put(key, encode(findings))
    return key
