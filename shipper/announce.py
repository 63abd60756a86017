"""Announcements: what has just become true of a backup, at the root of the bucket, for hosts that can only watch that.

The first one is also where it is found out whether the bucket keeps its conditions at all: asked once for each bucket,
on an object that is written anyway.
"""

from __future__ import annotations

from backupstore.core.documents import Announcement, CorruptFile, encode
from backupstore.core.keys import Announced
from backupstore.stores.probe import probe_create_only
from shipper.meta import create_any
from shipper.progress import Progress
from shipper.site import Site

_CONDITIONS = "conditions"
MOST_FILES = 1000


def announce(site: Site, backup: str, what: Announced, attempt: int, files: tuple[CorruptFile, ...] = ()) -> None:
    """Say it; once is enough."""
    key, body = _announcement(site, backup, what, Announcement(attempt=attempt, at=site.clock.now(), files=files))
    create_any(site.store, (key,), body)


def announce_started(site: Site, backup: str, attempt: int, progress: Progress) -> None:
    """Say that it has begun. Warns where the bucket overwrites what it was told to keep."""
    seen = site.state.read(_CONDITIONS)
    if seen.get("bucket") == site.bucket and seen.get("create_only") is True:
        announce(site, backup, "started", attempt)
        return
    key, body = _announcement(site, backup, "started", Announcement(attempt=attempt, at=site.clock.now()))
    kept = probe_create_only(site.store, key, body)
    site.state.write(_CONDITIONS, {"bucket": site.bucket, "create_only": kept})
    if not kept:
        progress.warn(
            "This bucket ignores conditional writes: it overwrites objects that were to be created only if absent."
            " Backups are safe only as long as one single process writes under each node's name, and one single"
            " 'serve' indexes and purges. Upgrade the store (Ceph, rclone) or use another one."
        )


def _announcement(site: Site, backup: str, what: Announced, document: Announcement) -> tuple[str, bytes]:
    return site.layout.announced(site.name, backup, what), encode(document)
