"""Obeying: from what lies in the mailbox to the last state that says what came of it.

That a command was accepted is on the disk before it is begun. What was begun and not answered is begun again when the
agent starts, and each verb finds out by itself how far it had come.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from backupstore.core.commands import Payload
from backupstore.core.obedience import Seen, Verdict, answered, obeyed
from backupstore.errors import BackupError
from backupstore.ports import Clock
from shipper.agent.answers import Answers, Said
from shipper.agent.mailbox import UNSIGNED, Letter, Mailbox
from shipper.agent.memory import Memory
from shipper.agent.news import News, Now
from shipper.agent.verbs import Verbs, Work
from shipper.agent.worker import KeepOn
from shipper.in_threads import Ended

_log = logging.getLogger("medusa-shipper")
_SAY_AGAIN = 5.0
_DEFECT = Said(
    "failed",
    "this is a defect in medusa-shipper",
    "Look into the log of the agent on this node, and report what it says there. It is safe to resume the job.",
)


@dataclass(slots=True)
class Orders:
    """``answers`` waits out trouble of the store and is for the worker; ``hasty`` is not patient, and for the loop.

    ``waiting`` is the command that was accepted and not begun, ``at_work`` the one whose verb is being carried out, and
    ``last`` what came of the last one.
    """

    mailbox: Mailbox
    seen: Memory[Seen]
    answers: Answers
    hasty: Answers
    verbs: Verbs
    clock: Clock
    waiting: Payload | None = field(default=None, init=False)
    at_work: Payload | None = field(default=None, init=False)
    news: News | None = field(default=None, init=False)
    last: tuple[Payload, Said] | None = field(default=None, init=False)
    refused: int = field(default=0, init=False)
    failed: int = field(default=0, init=False)
    _told_to_wait: str = field(default="", init=False)
    _refusing: str = field(default="", init=False)

    def look(self) -> None:
        """See whether there is something to obey. Raises what the store, or the disk of the memory, raises."""
        letter = self.mailbox.look(self.seen.value, self.clock.now())
        if letter is None:
            return
        try:
            self._take_up(letter)
        except BackupError:
            self.mailbox.forget()
            raise

    def _take_up(self, letter: Letter) -> None:
        if letter.payload is None or letter.verdict.kind == "refuse":
            self._refuse(letter)
        elif letter.verdict.kind == "obey":
            payload = letter.payload
            self.seen.change(lambda seen: obeyed(seen, payload))
            _log.info("commanded by %s: %s", payload.job, payload.verb)
            self.waiting = payload
        elif letter.verdict.kind == "go-on":
            _log.info("going on with %s of %s", letter.payload.verb, letter.payload.job)
            self.waiting = letter.payload

    def begin(self) -> tuple[str, Callable[[KeepOn], None]] | None:
        """What waits: how it is called, and how it is done. None when nothing waits."""
        payload, self.waiting = self.waiting, None
        if payload is None:
            return None

        def work(keep_on: KeepOn) -> None:
            self._obey(payload, keep_on)

        return f"{payload.verb} of {payload.job}", work

    def forget_missed(self, keep_on: KeepOn) -> None:
        """Let go of a job that has ended without this node: it could do no backups for ever."""
        self.verbs.forget_missed(Work(News(self.clock, "a job that is over"), keep_on))

    def say_waiting(self, behind: str) -> None:
        """Let the coordinator know that the command has to wait for something else to end; once for each command."""
        if self.waiting is None or self._told_to_wait == self.waiting.text:
            return
        self._told_to_wait = self.waiting.text
        _log.info("%s of %s waits until this is over: %s", self.waiting.verb, self.waiting.job, behind)
        self._mention(self.waiting, Said("doing", now=Now(f"waiting until this is over: {behind}")))

    def _obey(self, payload: Payload, keep_on: KeepOn) -> None:
        name = f"{payload.verb} of {payload.job}"
        self.news = news = News(self.clock, name, lambda now: self._mention(payload, Said("doing", now=now)))
        self.at_work = payload
        said: Said | None = _DEFECT
        try:
            news.step(f"{payload.verb} has begun")
            came = self.verbs.obey(payload, Work(news, keep_on))
            said = Said("done", " ".join((came, *news.warnings)), now=news.now)
            _log.info("%s is done: %s", name, came)
        except BackupError as error:
            _log.error("%s failed: %s", name, error.message, extra={"error": error})
            said = Said("failed", " ".join((error.message, *news.warnings)), error.hint, now=news.now)
        except Ended:
            said = None
            _log.warning("%s was left before its end", name)
            raise
        finally:
            self.at_work = self.news = None
            if said is not None:
                self._settle(payload, said, keep_on)

    def _settle(self, payload: Payload, said: Said, keep_on: KeepOn) -> None:
        """Say what came of it, however long that takes: nobody goes on before it is heard."""
        self.failed += said.outcome == "failed"
        self.last = payload, said
        trouble = ""
        while True:
            try:
                self.answers.say(payload, said)
                break
            except BackupError as error:
                if error.message != trouble:
                    trouble = error.message
                    _log.error("what came of %s cannot be told yet: %s", payload.verb, trouble, extra={"error": error})
            keep_on()
            self.clock.sleep(_SAY_AGAIN)
            keep_on()
        self.seen.change(lambda seen: answered(seen, payload))

    def _mention(self, payload: Payload, said: Said) -> None:
        """News on the way: what cannot be told now is told with the next."""
        try:
            self.hasty.say(payload, said)
        except BackupError as error:
            _log.debug("not told: %s", error.message)

    def _refuse(self, letter: Letter) -> None:
        verdict, hint = letter.verdict, letter.hint or letter.verdict.hint
        text = hashlib.sha256(f"{verdict.code} {verdict.why} {letter.text}".encode("utf-8", "replace")).hexdigest()
        if text == self.seen.value.refused:
            return
        if text != self._refusing:
            self._refusing = text
            self.refused += 1
            _log.error("a command was refused (%s): %s", verdict.code, verdict.why, extra={"hint": hint})
        if letter.payload is not None and not self._is_slander(letter.payload, verdict):
            self.hasty.say(letter.payload, Said("refused", verdict.why, hint, verdict.code))
        self.seen.change(lambda seen: seen.model_copy(update={"refused": text}))

    def _is_slander(self, payload: Payload, verdict: Verdict) -> bool:
        """Whether a stranger's text calls itself what was obeyed already: to tell of it would look as if that had been refused."""
        known = self.seen.value.of(payload.job)
        return verdict.code == UNSIGNED and payload.place <= (known.epoch, known.number)
