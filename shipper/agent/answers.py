"""What the node answers to commands: one new object for each state, under a number that was never used before.

The coordinator takes the one with the highest number of a job for the last. How far numbers have come is remembered, and
where that was lost, what lies in the bucket is passed over.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from backupstore.core.commands import Payload
from backupstore.core.documents import encode
from backupstore.core.job_documents import NodeState, Outcome
from backupstore.core.layout import Layout
from backupstore.core.obedience import Seen, with_seq
from backupstore.core.shown import one_line
from backupstore.errors import Conflict
from backupstore.ports import Clock, ObjectStore
from shipper.agent.memory import Memory
from shipper.agent.news import Now

_MOST = 4000
"""Characters of a reason."""


@dataclass(frozen=True, slots=True)
class Said:
    """What came of a command, or is coming. ``code``: of a refusal."""

    outcome: Outcome
    why: str = ""
    hint: str = ""
    code: str = ""
    now: Now = field(default_factory=Now)


@dataclass(frozen=True, slots=True)
class Answers:
    """``store`` is the bucket as the node may write to it."""

    store: ObjectStore
    layout: Layout
    node: str
    clock: Clock
    seen: Memory[Seen]

    def say(self, command: Payload, said: Said) -> None:
        """Write it as a new object. Raises what the store raises."""
        seq, step = self.seen.value.of(command.job).seq + 1, 1
        while True:
            key = self.layout.job_state(command.job, self.node, command.number, seq)
            try:
                self.store.create(key, encode(self._state(command, said, seq)))
                break
            except (
                Conflict
            ):  # from before the memory was lost, or our own whose answer was lost: to say it twice is fine
                seq, step = seq + step, 2 * step
        self.seen.change(lambda seen: with_seq(seen, command.job, seq))

    def _state(self, command: Payload, said: Said, seq: int) -> NodeState:
        return NodeState(
            node=self.node,
            job=command.job,
            epoch=command.epoch,
            number=command.number,
            seq=seq,
            verb=command.verb,
            outcome=said.outcome,
            code=said.code,
            why=one_line(said.why, _MOST),
            hint=one_line(said.hint, _MOST),
            step=one_line(said.now.step),
            bytes=said.now.done,
            of=said.now.of,
            at=self.clock.now(),
            boot_id=self.clock.boot_id(),
        )
