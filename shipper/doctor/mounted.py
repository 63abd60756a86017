"""A local bucket: how the file system is mounted that it lies on, whether it can link, and whether there is room."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from backupstore.errors import Conflict
from backupstore.stores.local import NO_LINKS, LocalStore
from shipper.doctor.case import Case, bucket_of
from shipper.doctor.findings import Report, fail, ok, warn
from shipper.restore.places import existing
from shipper.watching import Mount, is_remote, mount_of, remembers_directories

_GIB = 1 << 30
_LEAST_SHARE = 0.1
_OF_NFS = frozenset({"nfs", "nfs4"})
_LOCAL_LOCKS = frozenset({"nolock", "local_lock=all", "local_lock=flock"})
_IN_MEMORY = frozenset({"tmpfs", "ramfs"})
_OBJECT_MOUNTS = ("s3fs", "gcsfuse", "rclone", "goofys", "mount-s3", "geesefs", "blobfuse")
_GUIDE = "docs/guides/nfs.md has the options."


def look_at_mount(case: Case) -> Iterator[Report]:
    """Where it lies."""
    path = existing(bucket_of(case.settings.storage)).resolve()
    mount = mount_of(path)
    yield from judge_mount(mount, remote=is_remote(path))


def judge_mount(mount: Mount, *, remote: bool) -> Iterator[Report]:
    """Whether backups are safe on a file system that is mounted like this."""
    options = set(mount.options)
    what = f"{mount.point} ({mount.kind})"
    found = []
    if "ro" in options:
        found.append(fail(f"{what} is mounted read-only", "Mount it read-write; dmesg tells if it was an error."))
    if any(mount.kind.endswith(name) for name in _OBJECT_MOUNTS):
        found.append(
            fail(f"{what} is an object store behind a file system", "Name the store itself in storage_provider.")
        )
    if mount.kind in _OF_NFS and "soft" in options:
        found.append(fail(f"{what} is mounted soft: what was written may never arrive", f"Mount it hard. {_GUIDE}"))
    if mount.kind in _OF_NFS and options & _LOCAL_LOCKS:
        named = ", ".join(sorted(options & _LOCAL_LOCKS))
        found.append(
            fail(f"{what} is mounted with {named}: two indexers cannot exclude each other", f"Leave that out. {_GUIDE}")
        )
    if remembers_directories(mount):
        found.append(
            warn(
                f"{what} shows late what others write: purge leaves the shared data of nodes with such a mount alone",
                f"Mount it with lookupcache=none. {_GUIDE}",
            )
        )
    if mount.kind in _IN_MEMORY:
        found.append(
            warn(
                f"{what} is in memory: all backups are gone with the next boot", "Mount a disk or a file server there."
            )
        )
    yield from found or [ok(f"on {what}{', which other machines may share' if remote else ''}")]


def look_at_room(case: Case) -> Iterator[Report]:
    """Whether more backups fit, and whether the bucket would outlive the node's disks."""
    path = existing(bucket_of(case.settings.storage))
    usage = shutil.disk_usage(path)
    yield judge_room(usage.free, usage.total, path)
    beside = [data for data in _data_directories(case) if data.exists() and data.stat().st_dev == path.stat().st_dev]
    if beside:
        yield warn(
            f"the bucket is on the same file system as Cassandra's {beside[0]}: one broken disk takes both",
            "Mount a file server there. If one should be mounted there, it is not.",
        )


def judge_room(free: int, total: int, path: Path) -> Report:
    """``free`` and ``total`` in bytes."""
    text = f"{free / _GIB:,.1f} GiB of {total / _GIB:,.1f} GiB are free at {path}"
    if free < _LEAST_SHARE * total:
        return warn(text, "Make room before the next backup: a full bucket stops all nodes.")
    return ok(text)


def _data_directories(case: Case) -> tuple[Path, ...]:
    """None where this machine has no Cassandra."""
    if not case.settings.cassandra.config_file.exists():
        return ()
    return case.wiring.configuration.directories.data


def look_at_links(case: Case) -> Iterator[Report]:
    """Whether a new name is given by ``link``, which fails when the name is taken, also between two machines."""
    if case.no_probe:
        yield case.no_probe
        return
    refused: list[int] = []

    def link(src: bytes, dst: bytes, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        try:
            os.link(src, dst, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        except OSError as error:
            refused.append(error.errno or 0)
            raise

    try:
        LocalStore(bucket_of(case.settings.storage), link=link).create(case.layout.node_probe(case.name), b"x")
    except Conflict:
        yield ok("a name that is taken is refused")
        return
    yield judge_links(refused)


def judge_links(refused: list[int]) -> Report:
    """``refused``: the error numbers that linking met."""
    if NO_LINKS.intersection(refused):
        return warn(
            f"this file system has no hard links ({os.strerror(refused[0])}): new objects are protected by locks instead",
            "That is as safe as long as every machine that writes here is in the same position.",
        )
    return ok("new objects get their name by a hard link, and are on the disk before it")
