"""What the agent says of itself to who asks: whether all is well, and numbers for Prometheus. Reading changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from backupstore.core import measures
from backupstore.core.measures import Measure, Sample
from backupstore.core.names import name_of_time
from backupstore.errors import BackupError
from backupstore.metrics.prometheus import exposition
from shipper.agent.loop import Agent
from shipper.agent.news import News
from shipper.restore import journal as journals


@dataclass(frozen=True, slots=True)
class View:
    """``cluster`` is the prefix, ``node`` the node's name. Asked from several threads."""

    agent: Agent
    cluster: str
    node: str

    def health(self) -> tuple[bool, bytes]:
        """Whether an operator need not look, and a JSON object that says more."""
        agent, backups = self.agent, self.agent.backups
        diary, upcoming = backups.diary.value, backups.upcoming(agent.clock.now())
        problems = agent.problems
        about: dict[str, Any] = {
            "good": not problems,
            "problems": problems,
            "doing": agent.worker.what or None,
            "progress": _progress(backups.news or (agent.orders.news if agent.orders else None)),
            "next_backup": name_of_time(upcoming - backups.offset) if upcoming is not None else None,
            "next_begins": upcoming,
            "last_slot": diary.turn.model_dump(mode="json", exclude={"slot"}) | {"backup": diary.turn.backup}
            if diary.turn
            else None,
            "last_backup": diary.ended.model_dump(mode="json") if diary.ended else None,
            "restore_open": self._restore_open(),
            "last_command": self._last_command(),
        }
        return not problems, json.dumps(about).encode() + b"\n"

    def metrics(self) -> bytes:
        """The text that Prometheus reads."""
        return exposition(Sample(measure, value, self.cluster, self.node) for measure, value in self._numbers())

    def _numbers(self) -> Iterator[tuple[Measure, float]]:
        agent, backups = self.agent, self.agent.backups
        diary, upcoming = backups.diary.value, backups.upcoming(agent.clock.now())
        if diary.ended:
            yield measures.BACKUP_DURATION, diary.ended.seconds
            yield measures.BACKUP_SIZE, diary.ended.size
            yield measures.BACKUP_CORRUPT, diary.ended.corrupt
            yield measures.BACKUP_NEW, diary.ended.new_size
            yield measures.AGENT_LAST, diary.ended.at
        if upcoming is not None:
            yield measures.AGENT_NEXT, upcoming
        yield measures.AGENT_FAILED, float(bool(backups.problem))
        yield measures.AGENT_BUSY, float(bool(agent.worker.what))
        yield measures.AGENT_RESTORING, float(self._restore_open())
        if agent.orders is not None:
            yield measures.AGENT_COMMANDS_FAILED, agent.orders.failed
            yield measures.AGENT_COMMANDS_REFUSED, agent.orders.refused

    def _restore_open(self) -> bool:
        """Whether a journal is there: one that cannot be read is of a restore that nobody has ended."""
        try:
            return journals.load(self.agent.backups.state) is not None
        except BackupError:
            return True

    def _last_command(self) -> dict[str, Any] | None:
        last = self.agent.orders.last if self.agent.orders else None
        if last is None:
            return None
        command, said = last
        return {"job": command.job, "verb": command.verb, "outcome": said.outcome, "why": said.why, "hint": said.hint}


def _progress(news: News | None) -> dict[str, Any] | None:
    return {"step": news.now.step, "bytes": news.now.done, "of": news.now.of} if news else None
