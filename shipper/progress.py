"""How the verbs tell a person what happens. The command line draws it; without a terminal it becomes plain lines."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Takes news; never decides anything. Called from one thread only."""

    def step(self, text: str) -> None:
        """A new step of the work begins."""
        ...

    def begin(self, what: str, *, files: int, size: int) -> None:
        """A transfer of that many files and bytes begins."""
        ...

    def advance(self, *, files: int, size: int) -> None:
        """So many more files and bytes are done."""
        ...

    def end(self) -> None:
        """The transfer is over, well or not."""
        ...

    def warn(self, text: str) -> None:
        """Something that the operator should know, and that does not stop the work."""
        ...


class Silent:
    """Tells nobody. For callers that only want the result."""

    def step(self, text: str) -> None:
        """Ignored."""

    def begin(self, what: str, *, files: int, size: int) -> None:
        """Ignored."""

    def advance(self, *, files: int, size: int) -> None:
        """Ignored."""

    def end(self) -> None:
        """Ignored."""

    def warn(self, text: str) -> None:
        """Ignored."""
