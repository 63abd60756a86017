"""What ``serve`` coordinates: cluster restores and backups, where it was given a key to sign commands with.

A cluster is looked at as soon as something was said about a job of it, every few seconds while a job is under way, and now
and then in any case. It happens in a thread of its own, one cluster after the other, so that the catalog never waits for it; no
trouble with it ends anything else. The thread may be killed at any moment, and others may coordinate beside it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from backupstore.core.job_documents import OVER
from backupstore.core.layout import Layout
from backupstore.errors import BackupError, NotFound
from backupstore.operations.coordinate import Coordinated, Coordinator
from backupstore.operations.job_news import JobNews
from backupstore.operations.job_search import JobSearch
from backupstore.operations.job_upkeep import tidy_jobs
from backupstore.ports import Clock, ObjectStore, Signer
from backupstore.stores.checked import CheckedStore
from backupstore.wiring import check_bucket
from shipper.in_threads import Ended

_log = logging.getLogger("medusa-shipper")
_QUIET = 60.0
"""Seconds between two looks for clusters with jobs, and at one of which nothing is asked."""
_TRY_AGAIN = 10.0
_DAY = 86_400.0
"""Seconds between two looks for what is left of jobs that are long over."""
_AT_THE_END = 5.0


@dataclass(slots=True)
class Coordinating:
    """``store``: the bucket; ``interval``: seconds between two looks at a job that is under way; ``prefix``: None for all."""

    store: ObjectStore
    clock: Clock
    signer: Signer
    revision: Callable[[], str]
    interval: float
    prefix: str | None = None
    search: JobSearch = field(default_factory=JobSearch, init=False)
    _ending: threading.Event = field(default_factory=threading.Event, init=False)
    _news: set[str] = field(default_factory=set, init=False)
    _due: dict[str, float] = field(default_factory=dict, init=False)
    _search: float = field(default=0.0, init=False)
    _told: dict[str, str] = field(default_factory=dict, init=False)
    _waits: JobNews = field(default_factory=JobNews, init=False)
    _tidied: dict[str, float] = field(default_factory=dict, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)

    def look(self, news: Iterable[str], written: ObjectStore) -> None:
        """Begin what is due, unless it is being done. ``news``: clusters about whose jobs something was said.

        ``written``: the bucket as this process may write to it.
        """
        self._news |= set(news)
        if self._thread is not None and self._thread.is_alive():
            return
        now = self.clock.running()
        due = self._news | {prefix for prefix, at in self._due.items() if at <= now}
        if due or self._search <= now:
            self._news = set()
            self._thread = threading.Thread(target=self._run, args=(due, written), name="coordinator", daemon=True)
            self._thread.start()

    def once(self, written: ObjectStore) -> bool:
        """Take every step that can be taken now; whether all of it went well."""
        found = self._clusters(written)
        went_well = [self._try(prefix, written) for prefix in sorted(found or ())]
        return found is not None and all(went_well)

    def stop(self) -> None:
        """End at the next call, whatever is being done; not waited for beyond a few seconds."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join(_AT_THE_END)

    def _run(self, due: set[str], written: ObjectStore) -> None:
        store = CheckedStore(written, self._keep_on)
        with suppress(Ended):
            now = self.clock.running()
            if self._search <= now:
                self._search = now + _TRY_AGAIN
                found = self._clusters(store)
                self._search = now + (_TRY_AGAIN if found is None else _QUIET)
                due |= (found or set()) - self._due.keys()
            for prefix in sorted(due):
                self._due[prefix] = self.clock.running() + _TRY_AGAIN  # also after a defect, which ends this thread
                self._try(prefix, store)

    def _clusters(self, store: ObjectStore) -> set[str] | None:
        """Whose jobs there may be. None when that cannot be told."""
        if self.prefix is not None:
            return {self.prefix}
        try:
            check_bucket(self.store)
            found = set(self.search.clusters(store, self.clock.running()))
        except BackupError as error:
            self._failed("", error)
            return None
        self._told.pop("", None)
        return found

    def _try(self, prefix: str, store: ObjectStore) -> bool:
        try:
            check_bucket(self.store)
            done = Coordinator(store, Layout(prefix), self.signer, self.revision).coordinate(self.clock.now())
        except BackupError as error:
            self._failed(Layout(prefix).jobs(), error)
            return False
        self._told.pop(Layout(prefix).jobs(), None)
        for each in done:
            self._tell(prefix, each)
        self._tidy(prefix, store)
        is_open = any(each.phase not in OVER for each in done)
        self._due[prefix] = self.clock.running() + (self.interval if is_open else _QUIET)
        return True

    def _tidy(self, prefix: str, store: ObjectStore) -> None:
        """Delete what is left of jobs that are long over: nothing that anybody waits for."""
        now = self.clock.running()
        if now - self._tidied.get(prefix, -_DAY) < _DAY:
            return
        self._tidied[prefix] = now
        about = Layout(prefix).jobs_over()
        try:
            gone = tidy_jobs(store, Layout(prefix), self.clock.now())
        except BackupError as error:
            self._tell_once(about, error, logging.WARNING)
            return
        self._told.pop(about, None)
        if gone:
            _log.info("what was on record about %d jobs that are long over is deleted", len(gone))

    def _failed(self, about: str, error: BackupError) -> None:
        # Of a bucket that is not there the loop tells.
        self._tell_once(about, error, logging.INFO if isinstance(error, NotFound) else logging.ERROR)

    def _keep_on(self, _call: str, _key: str) -> None:
        if self._ending.is_set():
            raise Ended

    def _tell(self, prefix: str, done: Coordinated) -> None:
        """What is new of a job."""
        for error in done.strange:  # of a folder once: whoever writes there may write as much as he likes
            folder = error.key.rpartition("/")[0]
            if folder not in self._told:
                self._tell_once(folder, error, logging.WARNING)
        if done.before != done.phase:
            _log.info("job %s: %s", done.job, f"{done.phase}{f' ({done.why})' if done.why else ''}")
        if done.told:
            _log.debug("job %s: told %s", done.job, ", ".join(done.told))
        for wait in self._waits.waits(prefix, done):
            _log.warning("job %s waits: %s", done.job, f"{wait.node}: {wait.why}" if wait.node else wait.why)

    def _tell_once(self, about: str, error: BackupError, level: int) -> None:
        if self._told.get(about) != error.message:
            _log.log(level, "coordinating: %s", error.message, extra={"error": error})
        self._told[about] = error.message
