"""The kernel's events of a local bucket, and what to do where the kernel gives no more of them.

Watches are lost when a directory is removed and made again, and when the bucket is unmounted. Each wait looks whether
every watched folder is still the one that is watched.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

from backupstore.core.events import Kind, ObjectEvent, from_directory
from backupstore.errors import BackupError
from backupstore.stores.local_errors import translate
from shipper.watching import BACKUPS, EventsLost, Watched, Watcher

# Reading makes events too (opened, closed_no_write): an index that was read has not changed.
_KINDS: dict[str, Kind] = {"created": "created", "moved": "created", "closed": "created", "deleted": "removed"}


class WatchesUsedUp(Exception):
    """The kernel has no more watches for us."""


class DirectoryWatcher(FileSystemEventHandler):
    """``watching.Watcher`` by inotify. ``check`` raises when the bucket is not there."""

    def __init__(self, bucket: Path, check: Callable[[], None], watched: Watched = BACKUPS) -> None:
        self._bucket = bucket
        self._check = check
        self._folders = watched.folders
        self._events: queue.Queue[ObjectEvent] = queue.Queue()
        self._observer: BaseObserver | None = None
        self._watched: dict[str, tuple[int, int]] = {}
        self._lost = threading.Event()
        self._grown = threading.Event()

    def follow(self, prefixes: Iterable[str]) -> None:
        """Also watch these clusters. WatchesUsedUp when that cannot be."""
        self._check()
        for folder in self._folders(prefixes):
            if folder not in self._watched:
                path = self._bucket / folder
                try:
                    path.mkdir(parents=True, exist_ok=True)
                    identity = _identity(path)
                except OSError as error:
                    raise translate(error, "watch", folder, self._bucket) from error
                self._watched[folder] = identity
                self._schedule(path, recursive=True)
                self._grown.set()
        self._look_for_room()

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Called by the observer's thread."""
        kind = _KINDS.get(event.event_type)
        paths = [os.fsdecode(path) for path in (event.src_path, event.dest_path) if path] if kind else []
        for path in paths:
            key = os.path.relpath(path, self._bucket)
            there = os.path.lexists(path)
            if not event.is_directory:
                self._events.put(from_directory(key, "created" if there else "removed"))
            elif kind == "created":
                self._grown.set()
            elif f"{key}/" in self._watched:
                self._lost.set()

    def wait(self, seconds: float) -> list[ObjectEvent]:
        """Events since the last call."""
        events = self._taken(seconds)
        try:
            self._check()
        except BackupError:
            self._forget()
            raise
        if not self._is_whole():
            self._forget()
            raise EventsLost
        self._look_for_room()
        return events

    def close(self) -> None:
        """Stop the observer's threads."""
        self._forget()

    def _taken(self, seconds: float) -> list[ObjectEvent]:
        try:
            events = [self._events.get(timeout=max(0.0, seconds))]
        except queue.Empty:
            return []
        while True:
            try:
                events.append(self._events.get_nowait())
            except queue.Empty:
                return events

    def _is_whole(self) -> bool:
        """Whether every folder is watched as it is now."""
        if (
            self._lost.is_set()
        ):  # looking is not enough: a directory that is made anew may get the number of the old one
            return False
        try:
            return all(_identity(self._bucket / folder) == known for folder, known in self._watched.items())
        except OSError:
            return False

    def _look_for_room(self) -> None:
        """New directories are watched by watchdog, which does not tell when the kernel refuses: so ask for one more."""
        if self._grown.is_set():
            self._grown.clear()
            watch = self._schedule(self._bucket, recursive=False)
            if self._observer:
                self._observer.unschedule(watch)

    def _schedule(self, path: Path, *, recursive: bool) -> ObservedWatch:
        try:
            if self._observer is None:
                self._observer = Observer()
                self._observer.start()
            return self._observer.schedule(self, str(path), recursive=recursive)
        except OSError as error:
            self._forget()
            raise WatchesUsedUp(error.strerror or str(error)) from error

    def _forget(self) -> None:
        observer, self._observer = self._observer, None
        if observer:
            observer.stop()
            observer.join()
        self._watched.clear()
        self._lost.clear()


class EventsOrLooks:
    """``watching.Watcher`` that goes over from the kernel's events to looking when these come to an end."""

    def __init__(self, events: Watcher, looks: Callable[[], Watcher], tell: Callable[[str], None]) -> None:
        self._current = events
        self._looks = looks
        self._tell = tell

    def follow(self, prefixes: Iterable[str]) -> None:
        """Also watch these clusters."""
        try:
            self._current.follow(prefixes)
        except WatchesUsedUp as why:
            self._go_over(why)

    def wait(self, seconds: float) -> list[ObjectEvent]:
        """Events since the last call."""
        try:
            return self._current.wait(seconds)
        except WatchesUsedUp as why:
            return self._go_over(why)

    def close(self) -> None:
        """Stop."""
        self._current.close()

    def _go_over(self, why: WatchesUsedUp) -> list[ObjectEvent]:
        self._current.close()
        self._current = self._looks()
        self._tell(str(why))
        raise EventsLost from why


def _identity(path: Path) -> tuple[int, int]:
    facts = path.stat()
    return facts.st_dev, facts.st_ino
