"""What ``serve`` verifies by itself: each backup when it becomes complete, and all of them again from time to time.

It happens in a thread of its own, one cluster at a time, so that the catalog never waits for it. That thread only reads.
What it found is put down by the loop that made sure that the bucket is there (``put_down``); what was found while it went
away is forgotten.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from typing import NamedTuple

from backupstore.core.documents import Findings, Head, Line
from backupstore.core.events import CLUSTER, Subject
from backupstore.core.layout import Layout
from backupstore.core.verification import WARNING, rotating
from backupstore.errors import BackupError, NotFound, Retryable
from backupstore.operations.findings import read_findings, write_findings
from backupstore.operations.verify import Verified, sweep_findings
from backupstore.operations.verify_node import Wanted
from backupstore.ports import Clock, ObjectStore
from shipper.verifying import verify_in_threads

_log = logging.getLogger("medusa-shipper")
_WORKERS = 8


class _Ended(Exception):
    """The process ends."""


class _Work(NamedTuple):
    """Backups of one cluster, and how closely to look at them."""

    prefix: str
    names: tuple[str, ...]
    wanted: Wanted
    round: int


class _Result(NamedTuple):
    """What was found about one of them."""

    prefix: str
    findings: Findings
    round: int


@dataclass(slots=True)
class Verifier:
    """``interval`` in seconds; ``share`` from 0 to 1; ``part_size`` as in ``Wanted``."""

    store: ObjectStore
    clock: Clock
    revision: Callable[[], str]
    interval: float
    share: float
    part_size: int
    _queue: SimpleQueue[_Work] = field(default_factory=SimpleQueue, init=False)
    _done: SimpleQueue[_Result] = field(default_factory=SimpleQueue, init=False)
    _round: int = field(default=0, init=False)
    _ending: threading.Event = field(default_factory=threading.Event, init=False)
    _looked: dict[tuple[str, str], float] = field(default_factory=dict, init=False)
    _read: dict[str, float] = field(default_factory=dict, init=False)

    def start(self) -> None:
        """Begin to work. The thread goes with the process: it only reads, and what it writes is written whole."""
        threading.Thread(target=self._run, name="verifier", daemon=True).start()

    def stop(self) -> None:
        """End at the next step, whatever is being done."""
        self._ending.set()

    def look(self, prefix: str, head: Head) -> None:
        """Take what is due in this cluster."""
        now = self.clock.now()
        finished = [line for line in head.backups if line.finished is not None]
        self._take(prefix, [line for line in finished if line.verified is None], Wanted(), now)
        again = [line for line in finished if line.verified and now - line.verified.at >= self.interval]
        self._take(prefix, again, Wanted("structure"), now)
        complete = [line for line in finished if line.state == "complete"]
        if self.share and complete and now - self._read.get(prefix, -self.interval) >= self.interval:
            self._read[prefix] = now
            last = max(complete, key=lambda line: (line.finished or 0.0, line.name))
            subset = rotating(self.share, now=now, every=self.interval)
            self._queue.put(
                _Work(prefix, (last.name,), Wanted("content", subset=subset, part_size=self.part_size), self._round)
            )

    def work(self) -> None:
        """Do all that was taken, now."""
        while True:
            try:
                work = self._queue.get_nowait()
            except Empty:
                return
            self._do(work)

    def put_down(self) -> set[Subject]:
        """Write what was found since the last call; what the catalog has to look at."""
        written = set[Subject]()
        while True:
            try:
                result = self._done.get_nowait()
            except Empty:
                return written
            if result.round != self._round:
                continue
            try:
                write_findings(self.store, Layout(result.prefix), result.findings)
                written.add(Subject(result.prefix, CLUSTER, result.findings.backup))
            except BackupError as error:
                self._failed(result.prefix, (result.findings.backup,), error)

    def forget(self) -> None:
        """The bucket went away: nothing that was seen of it since it was there is believed."""
        self._round += 1
        self._looked.clear()
        self._read.clear()

    def _take(self, prefix: str, lines: Iterable[Line], wanted: Wanted, now: float) -> None:
        due = [
            line.name for line in lines if now - self._looked.get((prefix, line.name), -self.interval) >= self.interval
        ]
        if due:
            self._looked |= {(prefix, name): now for name in due}
            self._queue.put(_Work(prefix, tuple(due), wanted, self._round))

    def _run(self) -> None:
        with suppress(_Ended):
            while True:
                self._do(self._queue.get())

    def _keep_on(self) -> None:
        if self._ending.is_set():
            raise _Ended

    def _do(self, work: _Work) -> None:
        layout = Layout(work.prefix)
        if work.round != self._round or (work.wanted.reads and self._was_read(layout, work.names)):
            return
        wanted = replace(work.wanted, keep_on=self._keep_on)
        try:
            for verified in verify_in_threads(self.store, layout, work.names, wanted, workers=_WORKERS):
                _tell(verified)
                findings = verified.findings(now=self.clock.now(), revision=self.revision())
                self._done.put(_Result(work.prefix, findings, work.round))
            if wanted.level == "structure":
                sweep_findings(self.store, layout, before=self.clock.now() - self.interval)
        except BackupError as error:
            self._failed(work.prefix, work.names, error)

    def _failed(self, prefix: str, names: Iterable[str], error: BackupError) -> None:
        # Of a bucket that is not there the loop tells.
        level = logging.INFO if isinstance(error, NotFound) else logging.ERROR
        _log.log(level, "verify of %s: %s", ", ".join(names), error.message)
        if isinstance(error, Retryable):  # at the next look; what a person has to mend waits for the next time
            for name in names:
                self._looked.pop((prefix, name), None)

    def _was_read(self, layout: Layout, names: Iterable[str]) -> bool:
        """Whether that was done already, before this process began or by another one. What cannot be told has to be done."""
        try:
            before = [read_findings(self.store, layout, name, "content") for name in names]
        except BackupError:
            return False
        return all(found is not None and self.clock.now() - found.at < self.interval for found in before)


def _tell(verified: Verified) -> None:
    name, level, counts = verified.document.name, verified.wanted.level, verified.tally.counts
    if verified.tally.ok:
        _log.info("verified %s on level %s", name, level)
        return
    kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(counts.items()) if kind != WARNING)
    _log.error("%s is not good on level %s: %s", name, level, kinds)
