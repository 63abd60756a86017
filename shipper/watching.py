"""How a local bucket tells that something was written: by the kernel's events, or by looking again and again.

Only two kinds of folder are watched, which grow with the number of backups and not with their files: announcements, and
stock's index for what stock's nodes write. Inotify sees nothing that other machines write to a network mount, so there
the folders are listed at intervals. Both lose events now and then; the periodic reconcile finds what they lost.
"""

from __future__ import annotations

import os
import queue
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from backupstore.core.events import ObjectEvent, from_directory
from backupstore.core.layout import ANNOUNCED, Layout
from backupstore.errors import Misconfigured
from backupstore.ports import ObjectStore

_CREATED = frozenset({"created", "modified", "moved", "closed"})
_REMOTE = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "glusterfs", "lustre", "beegfs", "afs"})
_MOUNTS = Path("/proc/self/mounts")


class Watcher(Protocol):
    """Where events come from."""

    def follow(self, prefixes: Iterable[str]) -> None:
        """Also watch these clusters. Repeatable."""
        ...

    def wait(self, seconds: float) -> list[ObjectEvent]:
        """Events since the last call; waits for the first one, at most so long."""
        ...

    def close(self) -> None:
        """Stop."""
        ...


def is_remote(path: Path, mounts: Path = _MOUNTS) -> bool:
    """Whether other machines may write there unseen: it lies on a network file system, or on one in user space."""
    best, kind = "", ""
    for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines():
        fields = line.split(" ")
        point = fields[1].encode().decode("unicode_escape")
        if len(point) >= len(best) and (path == Path(point) or Path(point) in path.parents):
            best, kind = point, fields[2]
    return kind in _REMOTE or kind.startswith("fuse.")


def watched_folders(prefixes: Iterable[str]) -> tuple[str, ...]:
    """The folders that tell of every backup of these clusters."""
    return (ANNOUNCED, *(Layout(prefix).all_rows() for prefix in prefixes))


class DirectoryWatcher(FileSystemEventHandler):
    """The kernel's events of a local bucket."""

    def __init__(self, bucket: Path) -> None:
        self._bucket = bucket
        self._events: queue.Queue[ObjectEvent] = queue.Queue()
        self._observer: BaseObserver = Observer()
        self._followed: set[str] = set()
        self._observer.start()

    def follow(self, prefixes: Iterable[str]) -> None:
        """Also watch these clusters."""
        for folder in watched_folders(prefixes):
            if folder not in self._followed:
                path = self._bucket / folder
                try:
                    path.mkdir(parents=True, exist_ok=True)
                    self._observer.schedule(self, str(path), recursive=True)
                except OSError as error:
                    raise Misconfigured(
                        (f"{path} cannot be watched: {error.strerror}.",),
                        hint="Raise fs.inotify.max_user_watches, or set watch = poll in the [shipper] section.",
                    ) from error
                self._followed.add(folder)

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Called by the observer's thread."""
        if event.is_directory:
            return
        for path in (event.src_path, event.dest_path):
            if path:
                kind = "created" if event.event_type in _CREATED and os.path.lexists(path) else "removed"
                relative = os.path.relpath(os.fsdecode(path), self._bucket)
                self._events.put(from_directory(relative, "created" if kind == "created" else "removed"))

    def wait(self, seconds: float) -> list[ObjectEvent]:
        """Events since the last call."""
        try:
            events = [self._events.get(timeout=max(0.0, seconds))]
        except queue.Empty:
            return []
        while True:
            try:
                events.append(self._events.get_nowait())
            except queue.Empty:
                return events

    def close(self) -> None:
        """Stop the observer's threads."""
        self._observer.stop()
        self._observer.join()


class Poller:
    """The same by listing, for mounts whose writers cannot be seen."""

    def __init__(self, store: ObjectStore, interval: float, sleep: Callable[[float], object]) -> None:
        self._store = store
        self._interval = interval
        self._sleep = sleep
        self._prefixes: set[str] = set()
        self._seen: dict[str, float] | None = None

    def follow(self, prefixes: Iterable[str]) -> None:
        """Also list these clusters."""
        self._prefixes.update(prefixes)

    def wait(self, seconds: float) -> list[ObjectEvent]:
        """List, and compare with the time before."""
        if self._seen is None:
            self._seen = self._list()
            return []
        self._sleep(max(0.0, min(seconds, self._interval)))
        now = self._list()
        before, self._seen = self._seen, now
        changed = [from_directory(key, "created") for key, at in now.items() if before.get(key) != at]
        return changed + [from_directory(key, "removed") for key in before if key not in now]

    def close(self) -> None:
        """Nothing is held."""

    def _list(self) -> dict[str, float]:
        folders = watched_folders(sorted(self._prefixes))
        return {stored.key: stored.modified for folder in folders for stored in self._store.list(folder)}
