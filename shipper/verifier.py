"""What ``serve`` verifies by itself, as ``core.due`` says: what becomes complete, and everything again from time to time.

It happens in a thread of its own, one cluster at a time, so that the catalog never waits for it. That thread only reads,
but for findings about backups that are gone, which it sweeps. What it found is put down by the loop that made sure that
the bucket is there (``put_down``); what was found while it went away is forgotten.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import NamedTuple

from backupstore.core.documents import Findings, Head, Level
from backupstore.core.due import Rhythm, due
from backupstore.core.events import CLUSTER, Subject
from backupstore.core.layout import Layout
from backupstore.core.verification import WARNING
from backupstore.errors import BackupError, NotFound, Retryable
from backupstore.operations.findings import write_findings
from backupstore.operations.verify import Verified, sweep_findings, verify
from backupstore.operations.verify_node import Wanted
from backupstore.ports import Clock, ObjectStore
from shipper.in_threads import Ended, hands

_log = logging.getLogger("medusa-shipper")
_WORKERS = 8


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
    _taken: dict[tuple[str, Level, str], float] = field(default_factory=dict, init=False)

    def start(self) -> None:
        """Begin to work. The thread goes with the process: it only reads, and what it writes is written whole."""
        threading.Thread(target=self._run, name="verifier", daemon=True).start()

    def stop(self) -> None:
        """End at the next step, whatever is being done."""
        self._ending.set()

    def look(self, prefix: str, head: Head) -> None:
        """Take what is due in this cluster, unless it was taken already and not yet put down."""
        now = self.clock.now()
        rhythm = Rhythm(self.interval, self.share)
        for one in due(head, rhythm, now=now, under_way=self._under_way(prefix, now)):
            self._taken |= {(prefix, one.level, name): now for name in one.backups}
            wanted = Wanted(one.level, subset=one.subset, part_size=self.part_size)
            self._queue.put(_Work(prefix, one.backups, wanted, self._round))

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
                self._failed(result.prefix, result.findings.level, (result.findings.backup,), error)

    def forget(self) -> None:
        """The bucket went away: nothing that was seen of it since it was there is believed."""
        self._round += 1
        self._taken.clear()

    def _under_way(self, prefix: str, now: float) -> set[tuple[Level, str]]:
        """What was taken. What failed in a way that a person has to mend counts as well, until its time comes again."""
        taken = self._taken.copy()
        return {(level, name) for (of, level, name), at in taken.items() if of == prefix and now - at < self.interval}

    def _run(self) -> None:
        with suppress(Ended):
            while True:
                self._do(self._queue.get())

    def _keep_on(self) -> None:
        if self._ending.is_set():
            raise Ended

    def _do(self, work: _Work) -> None:
        if work.round != self._round:
            return
        layout, now = Layout(work.prefix), self.clock.now()
        try:
            with hands(self.store, _WORKERS, self._keep_on) as held:
                found = verify(held.store, layout, work.names, work.wanted, held.each)
            for verified in found:
                _tell(verified)
                self._done.put(_Result(work.prefix, verified.findings(now=now, revision=self.revision()), work.round))
            if work.wanted.level == "structure":
                sweep_findings(self.store, layout, set(work.names), before=now - self.interval)
        except BackupError as error:
            self._failed(work.prefix, work.wanted.level, work.names, error)

    def _failed(self, prefix: str, level: Level, names: Iterable[str], error: BackupError) -> None:
        # Of a bucket that is not there the loop tells.
        severity = logging.INFO if isinstance(error, NotFound) else logging.ERROR
        _log.log(severity, "verify of %s: %s", ", ".join(names), error.message)
        if isinstance(error, Retryable):  # at the next look; what a person has to mend waits for the next time
            for name in names:
                self._taken.pop((prefix, level, name), None)


def _tell(verified: Verified) -> None:
    name, level, counts = verified.document.name, verified.wanted.level, verified.tally.counts
    if verified.tally.ok:
        _log.info("verified %s on level %s", name, level)
        return
    kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(counts.items()) if kind != WARNING)
    _log.error("%s is not good on level %s: %s", name, level, kinds)
