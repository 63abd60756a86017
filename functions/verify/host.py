"""What the handlers of all clouds do alike: begin what is due, look at a node, and say what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from backupstore.chance import random_text
from backupstore.core.due import Rhythm
from backupstore.core.layout import Layout
from backupstore.core.verification import WARNING
from backupstore.core.work import VerifyWork, encode_work, read_work
from backupstore.errors import BackupError, Corrupt
from backupstore.function_host import Log, clusters, details, named, raise_first, until
from backupstore.operations.round_merge import Desk
from backupstore.operations.round_work import Done, do_work
from backupstore.operations.rounds import Begun, Planner
from backupstore.operations.verify import Verified
from backupstore.ports import Clock, ObjectStore, WorkQueue
from backupstore.settings import Settings

_PART = 0.8  # of the time that is left: the last call may take longer, and what is left has to be handed on
_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One process of the function. ``queue`` is opened when work is to be sent; ``count`` takes a number by its name."""

    settings: Settings
    store: ObjectStore
    clock: Clock
    queue: Callable[[], WorkQueue]
    log: Log
    count: Callable[[str, float], None]

    def plan(self, seconds: float, prefix: str | None = None) -> int:
        """Begin what is due, within so many seconds; the number of messages sent. ``prefix``: of that cluster alone.

        What could not be begun is raised after all other clusters were looked at.
        """
        options = self.settings.shipper
        if not options.verify_interval:
            self.log.warning("MEDUSA_SHIPPER_VERIFY_INTERVAL is 0: nothing is verified")
            return 0
        rhythm = Rhythm(float(options.verify_interval), options.verify_data_share)
        store, sent, troubles = until(self.store, self.clock, seconds * _PART), 0, dict[str, BackupError]()
        for cluster in clusters(self.settings, store, prefix):
            planner = Planner(store, self.queue, rhythm, self.clock.now(), random_text)
            try:
                begun = planner.begin(Layout(cluster))
            except BackupError as error:
                troubles[cluster] = error
            else:
                self._tell_plan(cluster, begun)
                sent += begun.items
        self.count("verify-messages", sent)
        raise_first(self.log, "no verify", troubles)
        return sent

    def work(self, text: str, seconds: float, *, times: int, all_day: bool) -> None:
        """Do what one message asks for, within so many seconds. What is raised lets it come again.

        ``times``: how often it came, this one included; a store that does not answer then is put down as a finding at
        last. ``all_day``: hardly any time of this call was spent on other messages.
        """
        try:
            done = self._work(read_work(text), seconds, times=times, all_day=all_day)
        except BackupError as error:
            self.log.error("%s", error.message, extra=details(error))  # noqa: TRY400 -- its hint says more than a trace
            self.count("verify-failures", 1)
            raise
        self.count("verified-node-backups", done.looked)
        for verified in done.verified:
            self._tell(verified)

    def _work(self, work: object, seconds: float, *, times: int, all_day: bool) -> Done:
        if not isinstance(work, VerifyWork) or self.settings.storage.prefix not in {None, work.prefix}:
            raise Corrupt(
                f"This is no work of this function: {work!r:.200}",
                hint="Give each function a queue of its own.",
                operation="verify",
            )
        store = until(self.store, self.clock, seconds * _PART)
        desk = Desk(
            store,
            store,
            Layout(work.prefix),
            self.clock.now(),
            random_text,
            part_size=self.settings.storage.multipart_chunksize,
            hands_back=times < _TRIES,
            all_day=all_day,
        )
        done = do_work(desk, work)
        if done.rest:
            self.log.info("not all of %s could be done: it goes on in %d messages", work.node, len(done.rest))
            self.queue().send([encode_work(rest) for rest in done.rest])
        return done

    def _tell_plan(self, cluster: str, begun: Begun) -> None:
        for name in begun.died:
            self.log.error("the verification %s of %s did not come to an end, and was given up", name, named(cluster))
        for plan in begun.rounds:
            extra = {"round": plan.round, "backups": sorted(plan.backups)}
            self.log.info("verifying %s on level %s", named(cluster), plan.level, extra=extra)

    def _tell(self, verified: Verified) -> None:
        name, level = verified.document.name, verified.wanted.level
        if verified.tally.ok:
            self.log.info("verified %s on level %s", name, level)
            return
        counts = {kind: number for kind, number in sorted(verified.tally.counts.items()) if kind != WARNING}
        kinds = ", ".join(f"{number} {kind}" for kind, number in counts.items())
        self.log.error("%s is not good on level %s: %s", name, level, kinds, extra={"counts": counts})
