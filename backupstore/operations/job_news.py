"""What is new of a job that waits: whoever coordinates looks at it every few seconds, and says it once."""

from __future__ import annotations

from dataclasses import dataclass, field

from backupstore.core.job_documents import Wait
from backupstore.operations.coordinate import Coordinated


@dataclass(frozen=True, slots=True)
class JobNews:
    """What one process has said already, of all clusters."""

    _said: dict[tuple[str, str], tuple[Wait, ...]] = field(default_factory=dict, init=False)

    def waits(self, prefix: str, done: Coordinated) -> tuple[Wait, ...]:
        """Why the job waits now and did not when this was asked last."""
        before = self._said.pop((prefix, done.job), ())
        if done.waiting:
            self._said[prefix, done.job] = done.waiting
        return tuple(wait for wait in done.waiting if wait not in before)
