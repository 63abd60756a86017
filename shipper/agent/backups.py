"""The backups of the schedule: which one is due, doing it, and what is remembered of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from backupstore.core.documents import Mode
from backupstore.core.names import name_of_time
from backupstore.core.shown import some_of
from backupstore.errors import BackupError, Corrupt, Refused
from backupstore.ports import Clock
from shipper import manifest, snapshot
from shipper.agent.memory import Memory
from shipper.agent.news import News
from shipper.agent.slots import Begin, Diary, Ended, Stand, Turn, Wait, believable, decide
from shipper.agent.worker import KeepOn
from shipper.backup import Limits, Report, back_up
from shipper.begin import Request
from shipper.in_threads import Ended as Left
from shipper.measures import Tell
from shipper.memory import Unfinished, recall_snapshot, unfinished
from shipper.meta import look
from shipper.progress import Progress
from shipper.restore.journal import check_untouched
from shipper.site import Site
from shipper.stagger import place_of
from shipper.state import StateDirectory
from shipper.timetable import Timetable

_log = logging.getLogger("medusa-shipper")
_SHOWN = 5
_LOOK_AGAIN = 60.0

Open = Callable[[KeepOn], AbstractContextManager[Site]]
"""The node and its bucket, for one piece of work; each call to the bucket asks first whether to keep on."""
Measured = Callable[[str], AbstractContextManager[Tell]]
"""Tells monitoring of the backup of that name."""


@dataclass(slots=True)
class Backups:
    """``timetable`` None: there is no schedule. ``stagger``: seconds between two nodes in their order.

    ``blocked`` says why the backup that is due is not begun; empty when it may be.
    """

    timetable: Timetable | None
    diary: Memory[Diary]
    state: StateDirectory
    clock: Clock
    open_site: Open
    measured: Measured
    limits: Limits
    mode: Mode = "differential"
    stagger: float = 0.0
    blocked: str = field(default="", init=False)
    news: News | None = field(default=None, init=False)
    slot_at_work: float | None = field(default=None, init=False)
    _until: float = field(default=0.0, init=False)

    @property
    def offset(self) -> float:
        """So many seconds after a slot this node begins."""
        return self.stagger * self.diary.value.place

    @property
    def problem(self) -> str:
        """What is wrong with the last slot; empty when nothing is."""
        turn = self.diary.value.turn
        return self.blocked or (f"backup {turn.backup}: {turn.why}" if turn and turn.why else "")

    def upcoming(self, now: float) -> float | None:
        """When the next slot begins here; None when there is no schedule."""
        if self.timetable is None:
            return None
        found = self.timetable.after(now - self.offset) + self.offset
        return found if found != float("inf") else None

    def due(self, now: float) -> Begin | None:
        """The slot that is to be begun now. What is in its way is told once."""
        if self.timetable is None or now < self._until:
            return None
        diary = self.diary.change(lambda diary: believable(diary, now))
        action = decide(self.timetable, diary, now=now, offset=self.offset)
        if isinstance(action, Wait):
            self._until = min(action.until, now + _LOOK_AGAIN)  # the clock may be set meanwhile
            self.blocked = ""
            return None
        if self._is_blocked(action):
            return None
        self._until = now + _LOOK_AGAIN  # unless it begins
        return action

    def work(self, begin: Begin, keep_on: KeepOn) -> None:
        """Back up, and remember what came of it. Ended when it is left: it is gone on with at the next look."""
        turn = self._turn_begins(begin)
        self.news = News(self.clock, f"backup {turn.backup}")
        self.slot_at_work = turn.slot
        stand: Stand = "failed"
        why, hint = "this is a defect in medusa-shipper", "Look into the log of the agent on this node, and report it."
        try:
            report = self._back_up(turn.backup, keep_on)
            stand, why, hint = _judged(report)
            self._ended(report)
        except BackupError as error:
            _log.error("backup %s failed: %s", turn.backup, error.message, extra={"error": error})
            why, hint = error.message, error.hint
        except Left:
            stand = "doing"
            _log.warning("backup %s was left before its end", turn.backup)
            raise
        finally:
            self._turn_ends(turn, stand, why, hint)
            self.slot_at_work = self.news = None

    def settle(self, keep_on: KeepOn) -> None:
        """Clear what killed runs have left, and see which place the node has in the ring. NodeTrouble while it is down."""
        with self.open_site(keep_on) as site:
            check_untouched(self.state)
            clear_stale(site)
            self._look_at_ring(site)

    def give_up(self, why: str) -> None:
        """The backup that is under way is not gone on with: something else goes first."""

        def given_up(diary: Diary) -> Diary:
            turn = diary.turn
            if turn is None or not turn.is_open:
                return diary
            return diary.model_copy(update={"turn": turn.model_copy(update={"stand": "given-up", "why": why})})

        self.diary.change(given_up)

    def _is_blocked(self, begin: Begin) -> bool:
        try:
            check_untouched(self.state)
        except BackupError as error:
            if not self.blocked:
                name = name_of_time(begin.slot)
                _log.error("backup %s is not begun: %s", name, error.message, extra={"error": error})
            self.blocked = error.message
            return True
        self.blocked = ""
        return False

    def _turn_begins(self, begin: Begin) -> Turn:
        now = self.clock.now()
        last = self.diary.value.turn
        if last and last.slot == begin.slot:
            turn = last.model_copy(update={"stand": "doing", "tries": last.tries + 1, "tried": now})
        else:
            turn = Turn(slot=begin.slot, stand="doing", tries=1, tried=now)
            _tell_left_out(last, begin)
        self.diary.change(lambda diary: diary.model_copy(update={"turn": turn}))
        self._until = 0.0
        _log.info("backup %s begins%s", turn.backup, f", try {turn.tries}" if turn.tries > 1 else "")
        return turn

    def _turn_ends(self, turn: Turn, stand: Stand, why: str, hint: str) -> None:
        said = {"why": why, "hint": hint} if stand != "doing" else {}
        ended = turn.model_copy(update={"stand": stand, "tried": self.clock.now(), **said})

        def changed(diary: Diary) -> Diary:
            # Given up by somebody meanwhile, it stays so.
            still = diary.turn is not None and diary.turn.slot == turn.slot and diary.turn.is_open
            return diary.model_copy(update={"turn": ended}) if still else diary

        self.diary.change(changed)

    def _back_up(self, name: str, keep_on: KeepOn) -> Report:
        with self.measured(name) as tell, self.open_site(keep_on) as site:
            report = back_up_once(site, Request(name, self.mode), self.limits, self.news or News(self.clock, name))
            tell(report)
            with after_backup(name):
                clear_stale(site)
                self._look_at_ring(site)
        return report

    def _ended(self, report: Report) -> None:
        totals = report.totals
        ended = Ended(
            backup=report.backup,
            at=self.clock.now(),
            seconds=report.seconds,
            size=totals.size,
            new_size=totals.new_size,
            corrupt=totals.corrupt,
        )
        self.diary.change(lambda diary: diary.model_copy(update={"ended": ended}))
        _log.info("backup %s is finished: %s files, %.1f s", report.backup, f"{totals.files:,}", report.seconds)

    def _look_at_ring(self, site: Site) -> None:
        if self.stagger:
            place = place_of(site.cassandra.identity().host_id, site.cassandra.ring())
            self.diary.change(lambda diary: diary.model_copy(update={"place": place}))
            self._until = 0.0


def back_up_once(site: Site, request: Request, limits: Limits, progress: Progress) -> Report:
    """``back_up``; of a backup that is finished already, which a killed agent may not remember, what it came to."""
    try:
        return back_up(site, request, limits, progress)
    except Refused:
        listed = look(site.store, site.layout, site.name, request.backup)
        if not listed.is_finished:
            raise
        totals, findings = manifest.look_back(site, request.backup)
        return Report(request.backup, listed.attempts, totals, 0.0, findings)


@contextmanager
def after_backup(name: str) -> Iterator[None]:
    """What fails after a backup is told, and the backup is what it is all the same."""
    try:
        yield
    except BackupError as error:
        _log.warning("after backup %s: %s", name, error.message, extra={"error": error})


def clear_stale(site: Site) -> None:
    """Clear snapshots of ours that no unfinished backup needs. Refused while another backup or restore runs."""
    with site.state.locked("clearing snapshots"):
        remembered = unfinished(site) or Unfinished()
        needed = [taken.tag for name in remembered.names if (taken := recall_snapshot(site, name))]
        for tag in snapshot.stale(site.cassandra, remembered.snapshots, keep=needed[0] if needed else None):
            _log.info("clearing the snapshot %s, which was left behind", tag)
            site.cassandra.clear_snapshot(tag)


def _judged(report: Report) -> tuple[Stand, str, str]:
    try:
        report.check()
    except Corrupt as error:
        _log.error("%s", error.message, extra={"error": error})
        return "corrupt", error.message, error.hint
    return "good", "", ""


def _tell_left_out(last: Turn | None, begin: Begin) -> None:
    if last and last.is_open:
        _log.error(
            "backup %s is given up after %d tries: %s", last.backup, last.tries, last.why, extra={"hint": last.hint}
        )
    if begin.skipped:
        _log.warning(
            "skipped, for an earlier backup took so long, or nothing ran here: %s",
            some_of(map(name_of_time, begin.skipped), most=_SHOWN),
        )
