"""Whether a node obeys a genuine command: decided from the command, the clock, and what the node has seen so far.

``Seen`` is that memory; the agent keeps it on disk, and writes it *before* it acts. It is small: of jobs that were forgotten
every command is older than the newest one seen, and therefore refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from backupstore.core.commands import Payload
from backupstore.core.documents import Own, Value
from backupstore.core.job_documents import EXPIRED

MOST_JOBS = 16
_AFTER = {"commit": frozenset({"commit"}), "put-back": frozenset({"put-back", "start"})}
"""What may still be told to a node that has been told this: nothing leads from one side of a decision to the other."""
_HINTS = {
    "elsewhere": "Compare prefix and fqdn in medusa.ini of this node with the others'. If they are right, find out who copied the"
    " command.",
    "over": "restore-status shows where the job stands; what has been decided is not turned round.",
}
"""What an operator can do about a refusal that is no matter of asking again."""
_FIRST = {
    "old-epoch": "Nothing has to be done here: a later command of this job was obeyed.",
    "old-number": "Nothing has to be done here: a later command of this job was obeyed.",
    "replayed": "Compare the clocks of all coordinators. If one was ahead: set it right, stop the agent here, delete agent.json"
    " in state_dir, and start it again.",
    EXPIRED: "Compare the clocks of this node and of the coordinator.",
    "other-restore": "End that restore first: restore-node --backup-name NAME finishes it here, restore-node --undo takes it"
    " back (restore-status, where it is a job's).",
}
"""What has to be done about the others before anybody asks again."""


class JobSeen(Value):
    """What a node knows of a job. ``payload``: the text of what it obeyed last; ``answered``: it has told what came of it.

    ``closing``: the node has been told to commit, or to put everything back.
    """

    job: str
    epoch: int = 0
    number: int = 0
    payload: str = ""
    answered: bool = False
    issued: float = 0.0
    closing: Literal["", "commit", "put-back"] = ""
    seq: int = Field(default=0, ge=0)


class Seen(Own):
    """``agent.json`` in the state directory. ``refused``: the text of what was refused last, which is told only once."""

    jobs: tuple[JobSeen, ...] = ()
    issued: float = 0.0
    refused: str = ""

    def of(self, job: str) -> JobSeen:
        """What is known of a job; nothing where it is a new one."""
        return next((each for each in self.jobs if each.job == job), JobSeen(job=job))

    def with_job(self, known: JobSeen) -> Seen:
        """With this instead of what was known of that job, which is the youngest now. The oldest ones are forgotten."""
        others = tuple(each for each in self.jobs if each.job != known.job)
        newest = max(self.issued, known.issued)
        return self.model_copy(update={"jobs": (*others, known)[-MOST_JOBS:], "issued": newest})


Kind = Literal["obey", "go-on", "answered", "refuse"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """``go-on``: it was begun already, and what it did before the end is not known. ``answered``: it is over, and was told.

    ``code``, ``why`` and ``hint`` are those of a refusal.
    """

    kind: Kind
    code: str = ""
    why: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Here:
    """The node that is asked. ``restore``: the job of the restore that is not over here; empty for one by hand, None for none."""

    prefix: str
    node: str
    restore: str | None


def accept(payload: Payload, seen: Seen, here: Here, now: float) -> Verdict:
    """Whether a command whose signature was checked is obeyed.

    What was begun is finished, however late it is, unless another job has commanded since: then its own is over.
    """
    known = seen.of(payload.job)
    if (payload.prefix, payload.node) == (here.prefix, here.node) and payload.text == known.payload:
        if known.answered:
            return Verdict("answered")
        if payload.issued >= _newest_elsewhere(payload, seen):
            return Verdict("go-on")
    for refused, code, why in _rules(payload, seen, here, now):
        if refused:
            return Verdict("refuse", code, why, _HINTS.get(code) or f"{_FIRST[code]} {_then(payload, code)}")
    return Verdict("obey")


def _rules(payload: Payload, seen: Seen, here: Here, now: float) -> Iterator[tuple[bool, str, str]]:
    """Each rule: whether it is broken, what it is called, and why it is one."""
    known = seen.of(payload.job)
    yield (
        (payload.prefix, payload.node) != (here.prefix, here.node),
        "elsewhere",
        f"it is for {payload.node} of the cluster {payload.prefix or '(without a prefix)'}",
    )
    yield (
        payload.issued < (_newest_elsewhere(payload, seen) if known.payload else seen.issued),
        "replayed",
        "it was issued before a command of another job that was obeyed here",
    )
    yield (
        payload.epoch < known.epoch,
        "old-epoch",
        f"it is of epoch {payload.epoch}, and {known.epoch} has begun",
    )
    yield (
        payload.place <= (known.epoch, known.number),
        "old-number",
        f"it has number {payload.number}, and number {known.number} was obeyed",
    )
    yield (
        known.closing != "" and payload.verb not in _AFTER[known.closing],
        "over",
        f"this node was told {known.closing} in this job, and {payload.verb} cannot follow",
    )
    yield payload.expires <= now, EXPIRED, "it had expired when it was read"
    yield (
        here.restore is not None and here.restore != payload.job,
        "other-restore",
        f"a restore {f'of job {here.restore}' if here.restore else 'by hand (restore-node)'} is not over on this node",
    )


def _then(payload: Payload, code: str) -> str:
    """How to ask again. A backup ends without the nodes that refuse; a restore goes back, unless it is decided, or was only late."""
    if payload.verb == "backup":
        return "The backup ends without this node: then run backup-cluster again."
    if code == EXPIRED:
        return "Then restore-resume the job, which waits."
    return "Then restore-resume the job if it waits; if it has gone back, run restore-cluster again."


def _newest_elsewhere(payload: Payload, seen: Seen) -> float:
    """When the newest command of another job was issued that was obeyed."""
    return max((each.issued for each in seen.jobs if each.job != payload.job), default=0.0)


def obeyed(seen: Seen, payload: Payload) -> Seen:
    """The memory after it was decided to obey: to be written before anything is done."""
    known = seen.of(payload.job)
    closing = payload.verb if payload.verb in {"commit", "put-back"} else known.closing
    changed = {
        "epoch": payload.epoch,
        "number": payload.number,
        "payload": payload.text,
        "answered": False,
        "issued": max(known.issued, payload.issued),
        "closing": closing,
    }
    return seen.with_job(known.model_copy(update=changed))


def answered(seen: Seen, payload: Payload) -> Seen:
    """The memory after its last state was written."""
    known = seen.of(payload.job)
    if known.payload != payload.text:
        return seen
    return seen.with_job(known.model_copy(update={"answered": True}))


def with_seq(seen: Seen, job: str, seq: int) -> Seen:
    """The memory after a state with this number was written. Of a job that was never obeyed nothing is remembered."""
    known = seen.of(job)
    if not known.payload:
        return seen
    return seen.with_job(known.model_copy(update={"seq": max(known.seq, seq)}))
