"""What the node remembers of the backup that is under way, so that the next run can finish it, or clear up after it.

``open-backups``: the names that were begun here and not ended, and the snapshots taken for them. It is written before a
snapshot is taken, so that a killed run's snapshot is found again even when it was to be kept. Where it is lost, unfinished
backups are found by listing.

``snapshot``: a snapshot that is whole, with everything that describes it as of its own time. It is written after the
snapshot, and dropped before anything is done to that: without it, what lies on disk may be half a snapshot, of a run
that was killed while it was being taken or cleared, and is not used.

``last``: the last backup that ended well, for whoever wants to know whether the catalog is behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, TypeGuard

from shipper.site import Site
from shipper.state import StateDirectory

_OPEN = "open-backups"
_SNAPSHOT = "snapshot"
_LAST = "last"


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Backups that were begun here and not ended, and the snapshots that were taken for them."""

    names: tuple[str, ...] = ()
    snapshots: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Taken:
    """A whole snapshot. ``folders`` are its table folders; ``meta`` holds the bodies of the files that describe it.

    ``stamp``: when the last of its folders was written, in nanoseconds; another one of the same name has another.
    """

    backup: str
    tag: str
    folders: int
    stamp: int
    meta: Mapping[str, str]


def unfinished(site: Site) -> Unfinished | None:
    """What is remembered of unfinished backups in this bucket; None when nobody knows."""
    value = site.state.read(_OPEN)
    names, snapshots = value.get("names"), value.get("snapshots", [])
    if not _is_of(site, value) or not _is_texts(names) or not _is_texts(snapshots):
        return None
    return Unfinished(tuple(names), tuple(snapshots))


def remember_unfinished(site: Site, value: Unfinished) -> None:
    """Write it, durably."""
    site.state.write(_OPEN, {**_of(site), **asdict(value)})


def remember_snapshot(site: Site, backup: str, tag: str, meta: Mapping[str, str]) -> Taken:
    """The snapshot is whole."""
    taken = Taken(backup, tag, *_look(site, tag), meta)
    site.state.write(_SNAPSHOT, {**_of(site), **asdict(taken)})
    return taken


def forget_snapshot(site: Site) -> None:
    """The snapshot is about to be cleared, or taken anew."""
    site.state.forget(_SNAPSHOT)


def recall_snapshot(site: Site, backup: str) -> Taken | None:
    """The whole snapshot of that backup, if it still is on disk as it was taken."""
    value = site.state.read(_SNAPSHOT)
    tag, meta = value.get("tag"), value.get("meta")
    if not _is_of(site, value) or value.get("backup") != backup or not isinstance(tag, str):
        return None
    if not isinstance(meta, dict) or not _is_texts(list(meta.values())) or tag not in site.cassandra.snapshot_tags(tag):
        return None
    seen = _look(site, tag)
    return Taken(backup, tag, *seen, meta) if seen == (value.get("folders"), value.get("stamp")) else None


def _look(site: Site, tag: str) -> tuple[int, int]:
    """How many folders a snapshot has, and when the last of them was written."""
    folders = [folder.path for folder in site.cassandra.snapshot_tables(tag)]
    with suppress(FileNotFoundError):  # cleared at this moment: it is not the one that was taken
        return len(folders), max((path.stat().st_mtime_ns for path in folders), default=0)
    return len(folders), 0


def used_before(state: StateDirectory, bucket: str) -> bool:
    """Whether a backup into this bucket has ended well on this machine: then the bucket was there."""
    return state.read(_LAST).get("bucket") == bucket


def remember_last(site: Site, backup: str) -> None:
    """This backup has ended well."""
    site.state.write(_LAST, {**_of(site), "backup": backup})


def _of(site: Site) -> dict[str, str]:
    return {"bucket": site.bucket, "node": site.name}


def _is_of(site: Site, value: dict[str, Any]) -> bool:
    return (value.get("bucket"), value.get("node")) == (site.bucket, site.name)


def _is_texts(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)
