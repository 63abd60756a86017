"""What the agent needs to obey a command: somebody who does what the verb says. ``obey`` has the real ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from backupstore.core.commands import Payload
from backupstore.core.job_documents import Verb
from shipper.progress import Progress

LEFT_AT_ONCE: frozenset[Verb] = frozenset({"backup", "prepare", "place", "load"})
"""Verbs that may take hours to fetch or to send: they are left at their next call to the bucket, for a later command or when
the agent ends. ``place`` fetches where the old data was deleted first; while it moves files it makes no such call.

The others are waited for: they are soon over, and what they have half done is finished by the next start of the agent.
"""


@dataclass(frozen=True, slots=True)
class Work:
    """Where a verb says what it does. ``keep_on`` raises ``in_threads.Ended`` when it is to be left."""

    progress: Progress
    keep_on: Callable[[], None]


class Verbs(Protocol):
    """All verbs of ``core.commands``. Each of them can be repeated, after its own end or after a kill."""

    def obey(self, command: Payload, work: Work) -> str:
        """Do it to the end, and say in a sentence what it came to. Raises BackupError, and Ended when it is left."""
        ...

    def forget_missed(self, work: Work) -> None:
        """Drop what was fetched for a restore that is over, and that this node was told no more of. Raises the same."""
        ...
