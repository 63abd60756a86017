"""Every error that is raised on purpose, split by what the caller can do about it.

    BackupError
    ├── Retryable       the same call may work later             (timeout, throttled, connection lost)
    │   └── OutOfTime   the time that this process was given is over; another one goes on
    ├── NotFound        there is nothing at that key
    ├── Conflict        somebody else got there first            (create-only, compare-and-swap)
    ├── Denied          the store or the system forbids it; a person must act
    ├── NoSpace         a disk is full, or would be
    ├── Corrupt         bytes do not say what they should        (manifest, digest, document)
    ├── Refused         the request is understood and not safe to carry out as it stands
    ├── NodeTrouble     Cassandra, nodetool or a configured command failed or did not answer
    └── Misconfigured   settings are wrong; found before any work starts

Each carries ``hint``: the next thing an operator can do at 3 a.m. ``str(error)`` is one line without the hint;
``error.explained`` is both. ``operation`` and ``key`` go into structured logs.
"""

from __future__ import annotations


class BackupError(Exception):
    """Root of the tree. ``exit_code`` is what a command ends with when the error reaches its entry."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "", operation: str = "", key: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.operation = operation
        self.key = key

    @property
    def explained(self) -> str:
        """The message, and on a line of its own what to do next."""
        return f"{self.message}\n  → {self.hint}" if self.hint else self.message


class Retryable(BackupError):
    """The same call may work later."""


class OutOfTime(Retryable):
    """The time that this process was given is over."""


class NotFound(BackupError):
    """There is nothing at that key, or no backup of that name."""


class Conflict(BackupError):
    """A conditional write lost: the key exists, or is no longer at the version that was read."""


class Denied(BackupError):
    """Permission is missing; retrying does not help."""


class NoSpace(BackupError):
    """A disk is full, or would be."""


class Corrupt(BackupError):
    """Bytes do not say what they should, or could not be checked."""


class Refused(BackupError):
    """The request is understood and would not be safe as it stands."""


class NodeTrouble(BackupError):
    """Cassandra, nodetool or a configured command failed, or did not answer in time."""


class Misconfigured(BackupError):
    """Settings are wrong. ``problems`` holds one line per mistake, all found at once."""

    exit_code = 2

    def __init__(self, problems: tuple[str, ...], *, hint: str = "") -> None:
        super().__init__("\n".join(problems), hint=hint, operation="settings")
        self.problems = problems
