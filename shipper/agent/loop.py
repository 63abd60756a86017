"""The agent: a loop that looks, decides what is done next, and hands it to the worker. It waits for its next turn only.

One thing is done at a time. A command goes before the schedule: what it may be left for is left (``verbs.LEFT_AT_ONCE``), a
backup of the schedule for every command but ``backup``. The rest is waited for.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn

from backupstore.errors import BackupError
from backupstore.ports import Clock
from shipper.agent.backups import Backups
from shipper.agent.orders import Orders
from shipper.agent.systemd import Pulse
from shipper.agent.verbs import LEFT_AT_ONCE
from shipper.agent.worker import KeepOn, Worker
from shipper.in_threads import Ended, never_ends

_log = logging.getLogger("medusa-shipper")
_TICK = 1.0
_SETTLE_AGAIN = 60.0
_SETTLING = "looking at the node"
_NO_COMMANDS = 300.0
"""Seconds without a look at the commands after which that is a problem."""


@dataclass(slots=True)
class Agent:
    """``orders`` None: this node takes no commands. ``interval``: seconds until the next look for one, asked each time.

    ``keep_on`` is asked all the time, and raises what ends the agent.
    """

    backups: Backups
    orders: Orders | None
    clock: Clock
    interval: Callable[[], float]
    pulse: Pulse = field(default_factory=Pulse)
    keep_on: Callable[[], None] = never_ends
    worker: Worker = field(init=False)
    _wake: threading.Event = field(default_factory=threading.Event, init=False)
    _rung: threading.Event = field(default_factory=threading.Event, init=False)
    _look_at: float = field(default=0.0, init=False)
    _looked: float = field(init=False)
    _trouble: str = field(default="", init=False)
    _settle_at: float | None = field(default=0.0, init=False)
    _unsettled: str = field(default="", init=False)
    _stuck: str = field(default="", init=False)

    def __post_init__(self) -> None:
        """Nothing is under way."""
        self.worker = Worker(self._wake)
        self._looked = self.clock.running()

    def run(self) -> NoReturn:
        """Go on until a signal ends it."""
        self.pulse.ready()
        while True:
            self.keep_on()
            self.turn()
            self._wake.wait(_TICK)
            self._wake.clear()

    def turn(self) -> None:
        """Look once, and begin what there is to do."""
        self.pulse.beat(self.worker.what or "waiting")
        if self.orders is not None and (self._rung.is_set() or self.clock.running() >= self._look_at):
            self._look(self.orders)
        if self.orders is not None and self.orders.waiting is not None and not self.worker.is_free:
            self._make_way(self.orders)
        if self.worker.is_free:
            try:
                self._begin_next()
                self._stuck = ""
            except BackupError as error:  # the disk of our memory is full, or the like: it may be better soon
                if error.message != self._stuck:
                    _log.error("nothing can be begun: %s", error.message, extra={"error": error})
                self._stuck = error.message

    def ring(self) -> None:
        """Look for a command at once. Called by any thread."""
        self._rung.set()
        self._wake.set()

    def stop(self, seconds: float) -> bool:
        """End what is being done, or wait for its end, so long at most. Whether nothing is left running."""
        self.pulse.stopping()
        at_work = self.orders.at_work if self.orders else None
        what = self.worker.what
        if at_work is None or at_work.verb in LEFT_AT_ONCE:
            self.worker.leave()
        done = self.worker.wait(seconds)
        if what:
            how = "was ended" if done else f"did not end within {seconds:.0f} seconds, and is cut off"
            _log.info("%s %s; when the agent starts again it goes on with what is not over", what, how)
        return done

    @property
    def problems(self) -> tuple[str, ...]:
        """What an operator has to look at."""
        found = [self.backups.problem, self._stuck]
        if self._trouble and self.clock.running() - self._looked > _NO_COMMANDS:
            found.append(f"commands cannot be read: {self._trouble}")
        return tuple(problem for problem in found if problem)

    def _look(self, orders: Orders) -> None:
        self._rung.clear()  # first: whoever rings from here on may know of something newer
        self._look_at = self.clock.running() + self.interval()
        try:
            orders.look()
        except BackupError as error:
            if error.message != self._trouble:
                _log.warning("commands cannot be read: %s", error.message, extra={"error": error})
            self._trouble = error.message
        else:
            self._looked, self._trouble = self.clock.running(), ""

    def _make_way(self, orders: Orders) -> None:
        """A command waits while something is done."""
        waiting, at_work = orders.waiting, orders.at_work
        if waiting is None:
            return
        leave = at_work is not None and at_work.verb in LEFT_AT_ONCE
        if self.backups.slot_at_work is not None and waiting.verb != "backup":
            self.backups.give_up(f"{waiting.job} goes first")
            leave = True
        if leave:
            self.worker.leave()
        orders.say_waiting(self.worker.what)

    def _begin_next(self) -> None:
        now = self.clock.now()
        order = self.orders.begin() if self.orders else None
        slot = None if order else self.backups.due(now)
        if self.backups.blocked and self._settle_at is None:
            self._settle_at = self.clock.running() + _SETTLE_AGAIN
        if order is not None:
            self.worker.begin(*order)
        elif slot is not None:
            self.worker.begin("backup by the schedule", lambda keep_on: self.backups.work(slot, keep_on))
        elif self._settle_at is not None and self.clock.running() >= self._settle_at:
            self.worker.begin(_SETTLING, self._settle)

    def _settle(self, keep_on: KeepOn) -> None:
        self._settle_at = self.clock.running() + _SETTLE_AGAIN
        try:
            if self.orders is not None:
                self.orders.forget_missed(keep_on)
            self.backups.settle(keep_on)
        except Ended:
            raise
        except BackupError as error:
            if error.message != self._unsettled:
                _log.warning("the node was not looked at yet: %s", error.message, extra={"error": error})
            self._unsettled = error.message
        else:
            self._settle_at = None
