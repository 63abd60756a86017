"""How a bucket tells that something was written: by the kernel's events, or by looking again and again.

Only few kinds of folder are watched, which grow with the number of backups and not with their files: announcements,
stock's index for what stock's nodes write, and by a coordinator what operators ask for. Inotify sees nothing that other
machines write to a network mount, so there the folders are listed at intervals. Both lose events now and then: where a
watcher notices that it may have, it says so by ``EventsLost``; the rest is found by the periodic reconcile.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from backupstore.core.events import ObjectEvent, from_directory
from backupstore.core.layout import ANNOUNCED, Layout
from backupstore.errors import NotFound
from backupstore.ports import Clock, ObjectStore
from backupstore.stores.local_errors import missing_bucket, translate

_NFS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "virtiofs", "vboxsf", "fuse"}
_REMOTE = _NFS | {"ceph", "glusterfs", "lustre", "beegfs", "gfs2", "ocfs2"}
_ASKED_LATE = {"nfs", "nfs4"}
_ASKS = {"lookupcache=none", "noac", "actimeo=0", "acdirmax=0"}
MOUNTS = Path("/proc/self/mounts")
_OCTAL = re.compile(rb"\\([0-7]{3})")


class EventsLost(Exception):
    """Something may have been written unseen: compare everything with the bucket, and go on."""


class Watcher(Protocol):
    """Where events come from. Raises what the store raises; NotFound when the bucket itself is not there."""

    def follow(self, prefixes: Iterable[str]) -> None:
        """Also watch these clusters, and whatever is written to them from now on. Repeatable. EventsLost."""
        ...

    def wait(self, seconds: float) -> list[ObjectEvent]:
        """Events since the last call; waits for the first one, at most so long. EventsLost."""
        ...

    def close(self) -> None:
        """Stop."""
        ...


class Mount(NamedTuple):
    """What is mounted where a path lies."""

    point: Path
    kind: str
    options: tuple[str, ...]


def mount_of(path: Path, mounts: Path = MOUNTS) -> Mount:
    """The file system that a path lies on."""
    best = Mount(Path(), "", ())
    for line in mounts.read_bytes().splitlines():
        fields = line.split(b" ")
        point = Path(_OCTAL.sub(lambda octal: bytes([int(octal[1], 8)]), fields[1]).decode(errors="surrogateescape"))
        # Of two mounts on one point, the later one hides the other.
        if path.is_relative_to(point) and len(point.parts) >= len(best.point.parts):
            best = Mount(point, fields[2].decode(), tuple(fields[3].decode(errors="replace").split(",")))
    return best


def remembers_directories(mount: Mount) -> bool:
    """Whether this machine may be shown a directory as it was a while ago, without what others wrote since.

    NFS does so unless it has to ask for each name, or may keep no attributes.
    """
    return mount.kind in _ASKED_LATE and _ASKS.isdisjoint(mount.options)


def is_remote(path: Path, mounts: Path = MOUNTS) -> bool:
    """Whether other machines may write there unseen: it lies on a network file system, or on one in user space."""
    kind = mount_of(path, mounts).kind
    return kind in _REMOTE or kind.startswith("fuse.")


@dataclass(frozen=True, slots=True)
class Watched:
    """What is watched. ``announced``: where to look for announcements; ``jobs``: also for what operators ask for."""

    announced: str = ANNOUNCED
    jobs: bool = False

    def folders(self, prefixes: Iterable[str]) -> tuple[str, ...]:
        """The folders that tell of all there is to be known of these clusters."""
        layouts = [Layout(prefix) for prefix in prefixes]
        asked = (layout.all_job_requests() for layout in layouts if self.jobs)
        return (self.announced, *(layout.all_rows() for layout in layouts), *asked)


BACKUPS = Watched()
"""What everybody watches."""


class Presence:
    """Whether a local bucket is there. Another directory without backups is the mount point of what is not mounted."""

    def __init__(self, bucket: Path) -> None:
        self._bucket = bucket
        self._known: tuple[int, int] | None = None

    def check(self) -> None:
        """NotFound when it is not there; Denied or Retryable when that cannot be told."""
        try:
            facts = self._bucket.stat()
            identity = (facts.st_dev, facts.st_ino)
            # An index may lie there: a write that was on its way when the file system went.
            if self._known not in {None, identity} and {path.name for path in self._bucket.iterdir()} <= {"index"}:
                raise NotFound(
                    f"the bucket directory {self._bucket} is another one than before, and holds no backups",
                    hint="Is it mounted? If it was made anew on purpose, restart this.",
                    operation="open bucket",
                )
        except FileNotFoundError as error:
            raise missing_bucket(self._bucket) from error
        except OSError as error:
            raise translate(error, "open bucket", "", self._bucket) from error
        self._known = identity


class Poller:
    """Looks again and again, every ``interval`` seconds, into any store: one listing of each watched folder.

    ``check`` is asked before each look, and while waiting.
    """

    def __init__(
        self,
        store: ObjectStore,
        clock: Clock,
        interval: float,
        check: Callable[[], None],
        watched: Watched = BACKUPS,
    ) -> None:
        self._store = store
        self._clock = clock
        self._interval = interval
        self._check = check
        self._watched = watched
        self._folders: set[str] = set()
        self._seen: dict[str, tuple[float, str | None]] = {}
        self._due = clock.running() + interval

    def follow(self, prefixes: Iterable[str]) -> None:
        """Also list these clusters; what lies there already is known to whoever looks after this."""
        new = set(self._watched.folders(prefixes)) - self._folders
        self._seen |= self._list(new)
        self._folders |= new

    def wait(self, seconds: float) -> list[ObjectEvent]:
        """Wait, and when it is time, list and compare with the time before."""
        self._clock.sleep(max(0.0, min(seconds, self._due - self._clock.running())))
        self._check()
        if self._clock.running() < self._due:
            return []
        before, self._seen = self._seen, self._list(self._folders)
        self._due = self._clock.running() + self._interval
        changed = [from_directory(key, "created") for key, at in self._seen.items() if before.get(key) != at]
        return changed + [from_directory(key, "removed") for key in before if key not in self._seen]

    def close(self) -> None:
        """Nothing is held."""

    def _list(self, folders: Iterable[str]) -> dict[str, tuple[float, str | None]]:
        self._check()
        # Some stores tell times in whole seconds only: the digest tells what was written twice within one.
        return {
            stored.key: (stored.modified, stored.digest) for folder in folders for stored in self._store.list(folder)
        }
